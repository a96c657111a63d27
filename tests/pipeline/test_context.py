"""What steps are given: digests, labels, results of earlier steps, and rows of the lake."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from clinic import open_clinic, visits
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import RunError
from galeno.pipeline.context import StepContext, digest_frame, join_patients, label_indices
from galeno.pipeline.runner import RunResult, run_study
from galeno.progress import Silent
from galeno.records import KEY, PATIENT, UNIT
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study
from galeno.study_file import load_study


@pytest.fixture
def context(clinic: Study, clinic_home: Path, done: RunResult) -> StepContext:
    home = Home(clinic_home)
    return StepContext(clinic, home, RunFolder.open(home.runs, done.run), Silent(), threads=1)


def test_digest_tells_values_names_types_and_order_apart() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    others = [
        frame.with_columns(a=pl.Series([1, 3])),
        frame.rename({"a": "c"}),
        frame.with_columns(pl.col("a").cast(pl.Int32)),
        frame.reverse(),
        frame.select("b", "a"),
    ]
    assert digest_frame(frame) == digest_frame(frame.clone())
    assert len({digest_frame(one) for one in [frame, *others]}) == 6


def test_label_indices_follow_the_classes() -> None:
    names = pl.Series(["b", "a", None, "other"])
    assert label_indices(names, ("a", "b")).tolist() == [1, 0, -1, -1]


def test_parts_hold_every_row_once(context: StepContext) -> None:
    whole = context.records()
    parts = [context.rows(part) for part in ("train", "validation", "test")]
    keys = pl.concat([rows.frame[KEY] for rows in parts])
    assert sorted(keys) == whole[KEY].to_list()
    patients = [set(rows.frame[PATIENT]) for rows in parts]
    assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]
    assert set(np.unique(parts[0].folds)) == {0, 1}
    assert set(np.unique(parts[1].folds)) == {-1}


def test_rows_that_left_the_lake_are_noticed(context: StepContext, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "other", {})
    run.finish("ingest", dict(context.result("ingest")))
    sides = pl.read_parquet(context.made("split") / "sides.parquet")
    (run.root / "split").mkdir()
    sides.head(5).write_parquet(run.root / "split" / "sides.parquet")
    other = StepContext(context.study, context.home, run, Silent(), threads=1)
    with pytest.raises(RunError, match="no longer holds the rows"):
        other.rows("train")


def test_a_step_that_is_not_done_is_told(context: StepContext, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "other", {})
    with pytest.raises(RunError, match="step 'split' is not done"):
        StepContext(context.study, context.home, run, Silent(), threads=1).result("split")


def test_rows_without_a_class_count_as_misses_and_do_not_teach(
    tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    frame = visits().with_row_index("n")
    other = pl.col("n").is_between(0, 199) & (pl.col("n") % 9 == 0)
    frame = frame.with_columns(condition=pl.when(other).then(pl.lit("X")).otherwise("condition")).drop("n")
    study = load_study(open_clinic(tmp_path, frame), ["records.rules.unknown_class=keep"])
    home = make_home()
    result = run_study(study, home, threads=1)
    context = StepContext(study, Home(home), RunFolder.open(Home(home).runs, result.run), Silent(), threads=1)
    assert (context.rows("train").labels >= 0).all()
    assert (context.rows("validation").labels >= 0).all()
    outside = int((context.rows("test").labels < 0).sum())
    assert outside > 0
    known = sum(figures["n"] for figures in result.metrics["per_class"].values())
    assert result.metrics["n"] == known + outside


def test_patients_who_share_a_file_are_one_to_the_split() -> None:
    frame = pl.DataFrame(
        {
            PATIENT: ["a", "b", "c", "d", "e", "e"],
            "film": ["1", "2", "2", None, "3", None],
            "breath": [None, "8", "9", None, None, "9"],
        }
    )
    assert join_patients(frame, ["film"]).to_list() == ["a", "b", "b", "d", "e", "e"]
    assert join_patients(frame, ["film", "breath"]).to_list() == ["a", "b", "b", "d", "b", "b"]
    assert join_patients(frame.with_columns(film=pl.lit(None, pl.String)), ["film"]).to_list() == list(
        "abcdee"
    )


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 8)), min_size=4, max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_file_is_on_two_sides(pairs: list[tuple[int, int]]) -> None:
    frame = pl.DataFrame(
        {PATIENT: [f"p{who}" for who, _ in pairs], "film": [f"f{what}" for _, what in pairs]}
    )
    joined = frame.with_columns(join_patients(frame, ["film"]))
    for column in (PATIENT, "film"):
        assert joined.group_by(column).agg(pl.col(UNIT).n_unique())[UNIT].max() == 1
