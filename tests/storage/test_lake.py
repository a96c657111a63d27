"""The lake: append-only, versioned, idempotent."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galeno.errors import LakeError
from galeno.records import BATCH, KEY
from galeno.storage.lake import Lake


def frame(keys: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            KEY: keys,
            "TSH (mU/L)": [1.5 * i if i else None for i in range(len(keys))],
            "sick": [True, None, False, True][: len(keys)],
            "note": ["sí", None, "", "no"][: len(keys)],
            "when": [datetime(2024, 1, 2, 3, 4, 5, 6), None, None, None][: len(keys)],
        },
        schema_overrides={"TSH (mU/L)": pl.Float64, "when": pl.Datetime("us")},
    )


def test_reads_back_what_was_appended(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = frame(["c", "a", "b"])
    assert lake.version("s/1") is None
    version = lake.append("s/1", rows, "first")
    read = lake.read("s/1", version)
    assert read.drop(BATCH).equals(rows.sort(KEY))
    assert read.columns[-1] == BATCH
    assert read[BATCH].unique().to_list() == ["first"]


def test_the_same_batch_is_not_appended_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.append("s/1", frame(["a"]), "one") == 0
    assert lake.append("s/1", frame(["a"]), "one") == 0
    assert lake.append("s/1", frame(["b", "c"]), "two") == 1
    assert lake.batches("s/1", 1) == ("one", "two")
    assert lake.batches("s/1", 0) == ("one",)
    assert lake.read("s/1", 1)[KEY].to_list() == ["a", "b", "c"]
    assert lake.read("s/1", 1, ["two"])[KEY].to_list() == ["b", "c"]
    assert lake.read("s/1", 0)[KEY].to_list() == ["a"]


def test_a_batch_column_of_the_caller_is_replaced(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("s", frame(["a"]).with_columns(pl.lit("x").alias(BATCH)), "y")
    assert lake.read("s", 0)[BATCH].to_list() == ["y"]


def test_errors_say_what_is_there(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="no such table"):
        lake.read("s/1", 0)
    with pytest.raises(LakeError, match="no rows"):
        lake.append("s/1", frame([]), "x")
    with pytest.raises(LakeError, match="not a table name"):
        lake.version("../s")
    with pytest.raises(LakeError, match="batch is named"):
        lake.append("s/1", frame(["a"]), "a/b")
    lake.append("s/1", frame(["a"]), "x")
    with pytest.raises(LakeError, match="no version 7; the latest is 0"):
        lake.read("s/1", 7)
    with pytest.raises(LakeError, match="batch y is not in version 0"):
        lake.read("s/1", 0, ["y"])
    with pytest.raises(LakeError, match="cannot be read or written"):
        lake.append("s/1", frame(["a"]).rename({"note": "other"}), "z")


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("s", frame(["a", "b"]), "x")
    next((tmp_path / "s").rglob("*.parquet")).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(LakeError, match="cannot be read"):
        lake.read("s", 0)


def test_an_append_that_never_committed_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "s" / "_delta_log").mkdir(parents=True)
    lake = Lake(tmp_path)
    assert lake.version("s") is None
    assert lake.append("s", frame(["a"]), "x") == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.sampled_from(["p", "q", "r"]), min_size=1, max_size=6))
def test_any_order_of_repeated_appends_gives_each_batch_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[str]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    versions = [lake.append("t", frame([f"{batch}1", f"{batch}2"]), batch) for batch in batches]
    last = lake.version("t")
    assert last is not None
    assert versions[-1] == last
    assert last == len(set(batches)) - 1
    assert lake.read("t", last)[KEY].to_list() == sorted(f"{b}{i}" for b in set(batches) for i in (1, 2))


def test_a_scan_converts_the_keys_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    lake.append("s/1", frame(["c", "a", "b", "d"]), "first")
    asked: list[object] = []
    is_in = pl.Series.is_in

    def watch(series: pl.Series, other: pl.Series) -> pl.Series:
        asked.append(other)
        return is_in(series, other)

    monkeypatch.setattr(pl.Series, "is_in", watch)
    parts = list(lake.scan("s/1", [KEY], {"a", "d", "x"}, rows=1))
    assert pl.concat(parts)[KEY].sort().to_list() == ["a", "d"]
    assert len(asked) == 4
    assert isinstance(asked[0], pl.Series)
    assert all(one is asked[0] for one in asked)
    assert list(lake.scan("s/1", [KEY], set())) == []
