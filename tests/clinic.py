"""A small clinic: 240 visits of 200 patients, three conditions, one of them scarce. Made up, seeded."""

from pathlib import Path

import numpy as np
import polars as pl

from galeno.study import Study
from galeno.study_file import load_study

CANARY = "XQJZKW"
"""Stands in patient ids and in one note; it is seen nowhere but in records, quarantine and predictions."""

STUDY = """\
name: clinic
records:
  source: clinic.csv
  target: condition
  patient: mrn
  record: visit
classes:
  - {name: well, values: [W]}
  - {name: ill, values: [I]}
  - {name: grave, values: [G], rare: true}
columns:
  age: {type: number, min: 0, max: 120}
  sex: {type: category, options: [F, M]}
  lactate: {type: number, unit: mmol/L, min: 0, max: 30}
  note: {type: text}
features:
  text: {svd: 2, characters: 0}
split: {folds: 2}
learning:
  budget: {trials: 1}
  families: [logistic]
  balance: [none]
evaluation:
  groups: [sex]
  bootstrap: 20
"""


def visits(seed: int = 0, n: int = 240) -> pl.DataFrame:
    """Visits as the clinic's system exports them: texts, with a few faults."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        patient = number if number < 200 else int(rng.integers(200))
        condition = "W" if patient % 10 < 6 else "I" if patient % 10 < 9 else "G"
        lactate = rng.normal({"W": 1, "I": 3, "G": 6}[condition], 1.2)
        told = condition if rng.random() < 0.7 else "WIG"[rng.integers(3)]
        found = {"W": "sin fiebre, tos leve", "I": "fiebre y tos", "G": "disnea y fiebre alta"}[told]
        rows.append(
            {
                "visit": f"V{seed}-{number}",
                "mrn": f"{CANARY}{patient:04d}",
                "age": "65526" if number == 5 else str(20 + patient % 60),
                "sex": "?" if number % 40 == 3 else "FM"[patient % 2],
                "lactate": "" if number % 25 == 7 else f"{max(lactate, 0):.2f}",
                "note": f'Refiere "{found}"' + (f", familiar de {CANARY}" if number == 9 else ""),
                "condition": condition,
            }
        )
    return pl.DataFrame(rows)


def open_clinic(folder: Path, frame: pl.DataFrame | None = None) -> Path:
    """Write the visits and the study into a folder.

    Returns:
        path of the study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (visits() if frame is None else frame).write_csv(folder / "clinic.csv")
    path = folder / "clinic.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def clinic_study(folder: Path, *overrides: str) -> Study:
    """The study over freshly written visits."""
    return load_study(open_clinic(folder), overrides)
