"""Who is in which group."""

from datetime import datetime

import numpy as np
import polars as pl

from galeno.evaluation.fairness import (
    MOST_GROUPS,
    OTHER,
    column_groups,
    gaps,
    group_labels,
    limit_groups,
    smallest,
)
from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS
from galeno.study import Study


def test_numbers_are_cut_at_the_borders():
    ages = pl.Series([0.0, 17.9, 18.0, 64.0, 65.0, 80.0, None, float("nan")])
    groups = column_groups(ages, (18, 65, 80))
    assert groups.tolist() == ["<18", "<18", "18-<65", "18-<65", "65-<80", ">=80", "missing", "missing"]
    assert column_groups(pl.Series([1.0, None]), ()).tolist() == ["all", "missing"]


def test_other_types_keep_their_values():
    assert column_groups(pl.Series([True, None, False]), ()).tolist() == ["yes", "missing", "no"]
    assert column_groups(pl.Series(["F", None]), ()).tolist() == ["F", "missing"]
    assert column_groups(pl.Series([datetime(2020, 3, 1), None]), ()).tolist() == ["2020", "missing"]


def test_groups_are_those_that_the_study_names():
    study = Study.model_validate(
        {
            "name": "s",
            "records": {"source": "x.csv", "target": "t", "site": "ward"},
            "classes": [{"name": "a"}, {"name": "b"}],
            "columns": {"age": {"type": "number"}, "sex": {"type": "category"}},
            "evaluation": {"groups": ["sex", "age", "ward"]},
        }
    )
    frame = pl.DataFrame({"age": [20.0, 90.0], "_site": ["north", None]})
    found = group_labels(frame, study)
    assert {name: values.tolist() for name, values in found.items()} == {
        "sex": ["missing", "missing"],
        "age": ["18-<40", ">=80"],
        "ward": ["north", "missing"],
    }


def test_scarce_groups_become_one():
    labels = np.array([f"g{i:02}" for i in range(MOST_GROUPS + 5)] + ["g24"] * 3)
    kept = limit_groups(labels)
    assert set(kept) == {f"g{i:02}" for i in range(MOST_GROUPS - 1)} | {"g24", OTHER}


def test_gap_leaves_out_missing_and_small_groups():
    values = {"F": 0.9, "M": 0.7, "X": 0.0, "missing": 0.1}
    groups = {
        name: {f: np.array([v]) for f in (*MAIN, *CONFORMAL)} | {f: np.array([[v, v]]) for f in PER_CLASS}
        for name, v in values.items()
    }
    counts = {"F": 30, "M": 20, "X": 2, "missing": 50}
    of_class = {
        "F": np.array([9, 9]),
        "M": np.array([9, 3]),
        "X": np.array([1, 1]),
        "missing": np.array([9, 9]),
    }
    found = gaps(groups, counts, of_class, 5)
    assert round(found["accuracy"][0], 6) == 0.2
    assert round(found["recall"][0, 0], 6) == 0.2
    assert np.isnan(found["recall"][0, 1])
    assert smallest(counts, 5) == 20
    assert smallest({"F": 30, "M": 3}, 5) == 3
    assert smallest({"F": 30}, 5) == 0
