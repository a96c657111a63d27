"""Resamples are whole draws of patients; intervals are honest about what they cannot tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.evaluation.bootstrap import intervals, ranked_resamples, resamples
from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(0, 20), st.integers(0, 2**32))
def test_each_resample_draws_as_many_patients_as_there_are(units, count, seed):
    weights = resamples(units, count, seed)
    assert weights.shape == (count, units)
    assert (weights.sum(axis=1) == units).all()
    assert (weights == resamples(units, count, seed)).all()


def test_ranking_figures_take_fewer_resamples_only_where_rows_are_many():
    assert ranked_resamples(30_000, 2, 500) == 500
    assert 100 <= ranked_resamples(1_000_000, 9, 500) < 500
    assert ranked_resamples(10**9, 9, 40) == 40


def test_intervals_are_percentiles_of_what_is_defined():
    values = np.linspace(0, 1, 101)
    draws = dict.fromkeys((*MAIN, *CONFORMAL), values) | {
        name: np.stack([values, values], 1) for name in PER_CLASS
    }
    draws["auc_ovr"] = np.where(values < 0.6, np.nan, values)
    draws["ece"] = np.where(values < 0.4, np.nan, values)
    found = intervals(draws, 0.9, ("a", "b"), 10, np.array([10, 1]))
    assert found["accuracy"] == pytest.approx([0.05, 0.95])
    assert found["auc_ovr"] is None
    assert found["ece"][0] > 0.4
    assert found["per_class"]["a"]["recall"] == pytest.approx([0.05, 0.95])
    assert found["per_class"]["b"]["recall"] is None
    assert intervals(draws, 0.9, ("a", "b"), 1, np.array([1, 1]))["accuracy"] is None
