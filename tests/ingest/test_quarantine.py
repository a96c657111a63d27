"""The quarantine file."""

import stat
from pathlib import Path

import polars as pl

from galeno.ingest.contract import RULES, Contract
from galeno.ingest.quarantine import write_quarantine
from galeno.records import ROW
from galeno.study import Study

STUDY = Study.model_validate(
    {
        "name": "s",
        "records": {"source": "x", "target": "y"},
        "classes": [{"name": "a"}, {"name": "b"}],
        "columns": {"x": {"type": "number"}},
    }
)


def test_rows_keep_their_values_and_their_rules(tmp_path: Path) -> None:
    raw = pl.DataFrame({"x": ["1", "2", "3"], "y": ["a", "c", ""], ROW: ["7", "8", "9"]})
    path = tmp_path / "runs" / "quarantine.parquet"
    write_quarantine(path, Contract(STUDY).admit(raw, "x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pl.read_parquet(path).to_dicts() == [
        {ROW: 2, RULES: ["unknown_class:y"], "x": "2", "y": "c", f"{ROW}_source": "8"},
        {ROW: 3, RULES: ["missing_target:y"], "x": "3", "y": "", f"{ROW}_source": "9"},
    ]


def test_an_empty_quarantine_is_written_too(tmp_path: Path) -> None:
    write_quarantine(tmp_path / "q.parquet", Contract(STUDY).admit(pl.DataFrame({"x": [1], "y": ["a"]}), "x"))
    empty = pl.read_parquet(tmp_path / "q.parquet")
    assert empty.height == 0
    assert empty.columns == [ROW, RULES, "x", "y"]
