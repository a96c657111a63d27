"""Calibration: probabilities stay probabilities, and become better ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.model.calibration import Calibration, Kind
from galeno.records import Labels, Probabilities

KINDS: tuple[Kind, ...] = ("none", "temperature", "vector", "isotonic")


def overconfident(rows: int, k: int, seed: int) -> tuple[Probabilities, Labels]:
    """Labels drawn from softmax(z), probabilities reported as softmax(3 z)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, k))
    true = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, k - 1)
    sharp = np.exp(3 * scores) / np.exp(3 * scores).sum(axis=1, keepdims=True)
    return sharp, labels.astype(np.int64)


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())


@pytest.mark.parametrize("kind", KINDS[1:])
def test_improves_overconfident_probabilities(kind: Kind) -> None:
    p, y = overconfident(4000, 4, 0)
    fresh_p, fresh_y = overconfident(4000, 4, 1)
    calibration = Calibration.fit(kind, p, y)
    assert log_loss(calibration.apply(fresh_p), fresh_y) < log_loss(fresh_p, fresh_y) - 0.2


def test_temperature_is_found() -> None:
    p, y = overconfident(20000, 4, 2)
    assert Calibration.fit("temperature", p, y).temperature == pytest.approx(3, rel=0.05)
    assert Calibration.fit("vector", p, y).temperature == pytest.approx(3, rel=0.05)


def test_vector_moves_a_shifted_class() -> None:
    p, y = overconfident(20000, 3, 3)
    shifted = p * [1, 1, 20]
    shifted /= shifted.sum(axis=1, keepdims=True)
    bias = Calibration.fit("vector", shifted, y).bias
    assert bias[2] - bias[0] == pytest.approx(-np.log(20) / 3, abs=0.15)


@given(
    kind=st.sampled_from(KINDS),
    k=st.integers(2, 6),
    rows=st.integers(1, 30),
    seed=st.integers(0, 1000),
    labels=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_always_probabilities(kind: Kind, k: int, rows: int, seed: int, labels: st.DataObject) -> None:
    """Tiny data, absent classes, unknown labels, probabilities of exactly zero and one."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 0.05), size=rows)
    p[p < 1e-3] = 0
    p /= p.sum(axis=1, keepdims=True)
    y = np.array(labels.draw(st.lists(st.integers(-1, k - 1), min_size=rows, max_size=rows)), dtype=np.int64)
    calibration = Calibration.fit(kind, p, y)
    for rows_of in (p, np.eye(k), np.full((1, k), 1 / k)):
        applied = calibration.apply(rows_of)
        assert applied.shape == rows_of.shape
        assert np.isfinite(applied).all()
        assert (applied >= 0).all()
        assert applied.sum(axis=1) == pytest.approx(1, abs=1e-9)
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict(), allow_nan=False)))
    assert again == calibration


@pytest.mark.parametrize("kind", ["temperature", "vector"])
def test_order_of_two_rows_is_kept_within_a_class(kind: Kind) -> None:
    p, y = overconfident(500, 3, 4)
    applied = Calibration.fit(kind, p, y).apply(p)
    ratio, applied_ratio = np.log(p[:, 0] / p[:, 1]), np.log(applied[:, 0] / applied[:, 1])
    assert (np.diff(applied_ratio[np.argsort(ratio)]) > -1e-9).all()


def test_weights_count_like_repeated_rows() -> None:
    p, y = overconfident(200, 3, 5)
    weights = np.random.default_rng(0).integers(0, 4, 200).astype(float)
    repeated = np.repeat(np.arange(200), weights.astype(int))
    for kind in ("temperature", "vector"):
        weighted = Calibration.fit(kind, p, y, weights).apply(p)
        assert weighted == pytest.approx(Calibration.fit(kind, p[repeated], y[repeated]).apply(p), abs=1e-4)


def test_isotonic_is_monotone_and_leaves_scarce_classes_alone() -> None:
    p, y = overconfident(300, 3, 6)
    y[y == 2] = 0
    y[:2] = 2
    curves = Calibration.fit("isotonic", p, y).curves
    assert curves[2] == ((), ())
    for x, heights in curves[:2]:
        assert (np.diff(x) > 0).all()
        assert (np.diff(heights) >= 0).all()
