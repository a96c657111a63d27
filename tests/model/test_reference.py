"""Reference statistics: right, JSON, and nobody's values."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_model import STUDY, draw_records

from galeno.ingest.contract import Contract
from galeno.model.reference import Reference, round_outward
from galeno.records import PATIENT
from galeno.study import Study


@pytest.fixture(scope="module")
def reference() -> Reference:
    study = Study.model_validate(STUDY)
    raw, labels = draw_records(500, 1)
    raw = raw.with_columns(
        colour=pl.when(pl.int_range(500) < 3).then(pl.lit("blue")).otherwise(pl.lit("red"))
    )
    typed, _ = Contract(study).answer(raw)
    held = np.random.default_rng(0).dirichlet(np.ones(3), size=100)
    return Reference.fit(study, typed.with_columns(raw["patient"].alias(PATIENT)), labels, held)


def test_figures(reference: Reference) -> None:
    assert (reference.rows, reference.patients) == (500, 500)
    assert sum(reference.classes.values()) == pytest.approx(1)
    assert sum(reference.top) == 100
    age = reference.columns["age"]
    assert age["count"] + round(age["missing"] * 500) == 500
    assert sum(age["counts"]) == age["count"]
    assert len(age["counts"]) == len(age["edges"]) + 1
    assert min(age["counts"]) > 20
    assert 0 < reference.columns["fever"]["true"] < 1
    assert 2 < reference.columns["note"]["words"] < 5


def test_levels_of_few_patients_are_not_named(reference: Reference) -> None:
    colour = reference.columns["colour"]
    assert list(colour["levels"]) == ["red"]
    assert colour["other"] == pytest.approx(3 / 500)


def test_json_round_trip(reference: Reference) -> None:
    assert Reference.from_dict(json.loads(json.dumps(reference.to_dict(), allow_nan=False))) == reference


def test_empty_columns_and_no_rows() -> None:
    study = Study.model_validate(STUDY)
    typed, _ = Contract(study).answer(pl.DataFrame({"age": pl.Series([], dtype=pl.String)}))
    empty = Reference.fit(study, typed, np.zeros(0, np.int64), np.zeros((0, 3)))
    assert empty.ranges == {}
    assert json.dumps(empty.to_dict(), allow_nan=False)
    nulls, _ = Contract(study).answer(pl.DataFrame({"age": [None, None]}, schema={"age": pl.String}))
    assert Reference.fit(study, nulls, np.array([0, 1]), np.eye(3)).columns["age"]["missing"] == 1


@given(low=st.floats(-1e12, 1e12), span=st.floats(0, 1e12))
@settings(max_examples=50, deadline=None)
def test_ranges_are_rounded_outward(low: float, span: float) -> None:
    high = low + span
    below, above = round_outward(low, high)
    assert below <= low <= high <= above
    size = (high - low) or abs(high) or 1
    assert (above - below) <= 3 * size + 1e-6 * abs(low)


def test_extreme_values_are_not_kept() -> None:
    assert round_outward(0.0137, 83.2) == (0, 85)
    assert round_outward(1, 97) == (0, 100)
    assert round_outward(0.005, 530) == (0, 550)
    assert round_outward(36.1, 41.7) == (36, 42)
