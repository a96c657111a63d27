"""A small study of pictures: stripes that lie or stand, three pictures of each of forty patients."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from galeno.ingest.tables import read_table
from galeno.model.model import Model
from galeno.pipeline import scoring
from galeno.pipeline.loading import load
from galeno.pipeline.runner import run_study
from galeno.study_file import load_study

STUDY = """\
name: cells
records: {source: cells.csv, target: kind, patient: mrn, record: scan}
classes: [{name: lying}, {name: standing}]
columns:
  age: {type: number}
  picture: {type: image}
features: {image: {components: 2, network: none}, fusion: early}
split: {folds: 2}
learning: {budget: {trials: 1}, families: [logistic], balance: [none]}
evaluation: {bootstrap: 20, review_below: 0.9}
gate: {accuracy: 0}
"""
PICTURES = 3
"""Of each patient."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A learned study of stripes that lie or stand, in a folder with its table and pictures."""

    folder: Path
    model: Model
    package: Path
    home: Path
    run: str

    @property
    def table(self) -> pl.DataFrame:
        return read_table(self.folder / "cells.csv")

    def write(self, folder: Path, frame: pl.DataFrame, name: str = "new.csv") -> Path:
        """A table with the pictures beside it."""
        shutil.copytree(self.folder / "pictures", folder / "pictures")
        with scoring.open_writers(folder / name) as (write,):
            write(frame)
        return folder / name


def draw(path: Path, number: int, standing: bool) -> None:
    """Stripes, clear or faint, in noise."""
    rng = np.random.default_rng(number)
    stripes = np.where(np.arange(28) // 3 % 2 == 0, rng.uniform(0, 25), 0.0)
    pixels = np.tile(stripes, (28, 1)) if standing else np.tile(stripes, (28, 1)).T
    pixels = pixels + rng.normal(90, 30, (28, 28))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def learn_cells(folder: Path, home: Path) -> Cells:
    """Draw the pictures, write their table and the study, and run it."""
    (folder / "pictures").mkdir()
    rows = []
    for number in range(40 * PICTURES):
        patient = number // PICTURES
        standing = patient % 2 == 1
        draw(folder / "pictures" / f"{number}.png", number, standing)
        kind = "standing" if standing else "lying"
        rows.append({"scan": f"S{number}", "mrn": f"P{patient}", "age": "40", "picture": f"{number}.png"})
        rows[-1]["kind"] = kind
    pl.DataFrame(rows).write_csv(folder / "cells.csv")
    (folder / "cells.yaml").write_text(STUDY, encoding="utf-8")
    done = run_study(load_study(folder / "cells.yaml", []), home, threads=1)
    return Cells(folder, load(done.package, threads=1), Path(done.package), home, done.run)
