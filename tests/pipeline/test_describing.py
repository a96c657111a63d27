"""Descriptions of a lake's contents: under the right name, and so many at a time as memory holds."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from striped_cells import STUDY, Cells

from galeno.features.describer import Describer
from galeno.features.encoder import DESCRIPTION
from galeno.pipeline import describing
from galeno.pipeline.context import StepContext, add_descriptions
from galeno.pipeline.describing import describe_frame, describe_good
from galeno.progress import Silent
from galeno.storage.contents import Contents
from galeno.storage.home import Home
from galeno.storage.lake import Lake
from galeno.storage.runs import RunFolder
from galeno.study_file import load_study


class Counting(Silent):
    """Notes how many contents are done each time that it is told."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def rows(self, done: int) -> None:
        self.done.append(done)


@pytest.fixture
def context(tmp_path: Path, make_home: Callable[[], Path]) -> StepContext:
    """Of a study whose column of images is called `description`."""
    (tmp_path / "cells.csv").write_text("kind\n", encoding="utf-8")
    (tmp_path / "cells.yaml").write_text(STUDY.replace("picture:", "description:"), encoding="utf-8")
    home = Home(make_home())
    run = RunFolder.create(home.runs, "described", {})
    (run.root / "ingest").mkdir()
    return StepContext(load_study(tmp_path / "cells.yaml"), home, run, Counting(), threads=1)


@pytest.fixture
def good(cells: Cells, context: StepContext) -> pl.DataFrame:
    """Rows that name five pictures of the lake, one of them twice, and a row without one."""
    files = [(cells.folder / "pictures" / f"{number}.png").read_bytes() for number in range(5)]
    Contents(Lake(context.home.lake)).keep((f"d{at}", "image", file) for at, file in enumerate(files))
    return pl.DataFrame({"description": ["d0", "d1", None, "d2", "d3", "d4", "d1"]})


def test_a_column_may_be_called_description(context: StepContext, good: pl.DataFrame) -> None:
    describe_good(good, context)
    read = add_descriptions(good, context.made("ingest"))
    assert read.columns == ["description", f"description{DESCRIPTION}"]
    assert read["description"].equals(good["description"])
    told = read[f"description{DESCRIPTION}"]
    assert told.is_null().to_list() == good["description"].is_null().to_list()
    assert told[1] == told[6]
    assert told.n_unique() == 6
    assert describe_frame(read, Describer.of(context.study), context).equals(read)


@pytest.mark.parametrize(
    ("limits", "done"), [((512, 1), [1, 2, 3, 4, 5]), ((2, 2**20), [2, 4, 5]), ((512, 2**20), [5])]
)
def test_contents_are_described_as_memory_holds_them(
    context: StepContext,
    good: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    done: list[int],
) -> None:
    for name, limit in zip(("CHUNK", "CHUNK_BYTES"), limits, strict=True):
        monkeypatch.setattr(describing, name, limit)
    describe_good(good, context)
    assert isinstance(context.reporter, Counting)
    assert context.reporter.done == done
