"""The data under the plots hold every row."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from galeno.evaluation.curves import confusion, plots, reliability
from galeno.evaluation.metrics import Judged


def judged(seed, n=50, grain=1000):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 3, n)
    raw = rng.integers(1, grain, (n, 3)).astype(float)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    return Judged(labels, probabilities, probabilities.argmax(axis=1), None)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from([2, 4, 1000]))
@example(315, 278, 4)
def test_curves_run_along_those_of_scikit_learn(seed, n, grain):
    rows = judged(seed, n, grain)
    known = rows.labels >= 0
    found = plots(rows, ("a", "b", "c"))
    for index, name in enumerate("abc"):
        positive = rows.labels[known] == index
        assert (name in found["roc"]) == (positive.any() and not positive.all())
        if name not in found["roc"]:
            continue
        x, y = found["roc"][name]
        assert len(x) <= 62
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        fpr, tpr, _ = roc_curve(positive, rows.probabilities[known, index], drop_intermediate=False)
        away = np.abs(np.column_stack([x, y])[:, None] - np.column_stack([fpr, tpr])).max(axis=2).min(axis=1)
        assert (away <= 0.00005 + 1e-9).all()  # they are told to four digits; a half goes either way
        recall, precision = found["pr"][name]
        assert max(recall) == 1
        assert all(0 <= p <= 1 for p in precision)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_every_row_is_counted_once(seed, n):
    rows = judged(seed, n)
    counts = confusion(rows)
    assert np.sum(counts["counts"]) == (rows.labels >= 0).sum()
    assert sum(counts["other"]) == (rows.labels < 0).sum()
    bins = reliability(rows)
    assert sum(b["n"] for b in bins) == (rows.labels >= 0).sum()
    for b in bins:
        assert b["low"] - 1e-4 <= b["confidence"] <= b["high"] + 1e-4
    found = plots(rows, ("a", "b", "c"))
    assert sum(found["right"]) + sum(found["wrong"]) == n
    if n:
        assert sum(found["right"]) == pytest.approx((rows.answers == rows.labels).sum())
