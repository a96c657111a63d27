"""Samplers add and take rows of the classes they should, and leave the others and their input alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.learning.balance import FILL, KEEP, class_weights, resample
from galeno.records import FloatMatrix, Labels

from .learning_cases import draw_matrix

sizes_of_classes = st.lists(st.integers(0, 80), min_size=2, max_size=5).filter(lambda sizes: sum(sizes) > 0)


def draw(sizes: list[int], seed: int = 0) -> tuple[FloatMatrix, Labels]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    matrix = labels[:, None] + rng.normal(size=(len(labels), 4))
    matrix[:, 3] = matrix[:, 3] > 1
    return np.ascontiguousarray(matrix, np.float32), labels.astype(np.int64)


@given(sizes_of_classes, st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_weights_have_mean_one_and_share_out_by_class(sizes: list[int], power: float) -> None:
    _, labels = draw(sizes)
    weights = class_weights(labels, power)
    assert weights.mean() == pytest.approx(1)
    totals = np.bincount(labels, weights=weights)
    present = [size for size in sizes if size]
    expected = np.array([size ** (1 - power) for size in present])
    assert totals[totals > 0] / totals.sum() == pytest.approx(expected / expected.sum())


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_these_leave_the_rows_as_they_are(balance: str) -> None:
    matrix, labels = draw([30, 5])
    rows, classes = resample(matrix, labels, balance, 1)  # type: ignore[arg-type]
    assert rows is matrix
    assert classes is labels


@given(sizes_of_classes, st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_smote_brings_up_what_has_neighbours_and_leaves_tiny_classes_alone(
    sizes: list[int], seed: int
) -> None:
    matrix, labels = draw(sizes, seed)
    before = matrix.copy()
    rows, classes = resample(matrix, labels, "smote", seed)
    assert (matrix == before).all(), "the input was changed"
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert (rows[: len(matrix)] == matrix).all(), "given rows stay, first"
    assert (classes[: len(labels)] == labels).all()
    found = np.bincount(classes, minlength=len(sizes))
    target = int(max(sizes) * FILL)
    expected = [target if 2 <= size < target else size for size in sizes]
    assert found.tolist() == expected
    for index in range(len(sizes)):
        own, made = matrix[labels == index], rows[len(matrix) :][classes[len(matrix) :] == index]
        if len(made):
            assert (made >= own.min(axis=0) - 1e-5).all()
            assert (made <= own.max(axis=0) + 1e-5).all()
            assert set(np.unique(made[:, 3])) <= {0.0, 1.0}, "a flag was interpolated"


@given(sizes_of_classes, st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_adasyn_adds_near_other_classes_and_leaves_the_rest_alone(sizes: list[int], seed: int) -> None:
    matrix, labels = draw(sizes, seed)
    rows, classes = resample(matrix, labels, "adasyn", seed)
    assert (rows[: len(matrix)] == matrix).all()
    assert (classes[: len(labels)] == labels).all()
    found = np.bincount(classes, minlength=len(sizes))
    target = int(max(sizes) * FILL)
    for size, now in zip(sizes, found, strict=True):
        if 2 <= size < target:
            assert size <= now <= target * 1.2 + 5  # it rounds row by row
        else:
            assert now == size


def test_adasyn_helps_one_class_although_another_needs_nothing() -> None:
    """A class one row short of its share made the sampler refuse them all."""
    matrix, labels = draw([80, 39, 10])
    _, classes = resample(matrix, labels, "adasyn", 1)
    assert np.bincount(classes)[2] > 30


@given(sizes_of_classes, st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_undersampling_takes_given_rows_and_keeps_every_class(sizes: list[int], seed: int) -> None:
    matrix, labels = draw(sizes, seed)
    rows, classes = resample(matrix, labels, "undersample", seed)
    given_rows = {(*row, label) for row, label in zip(matrix.tolist(), labels.tolist(), strict=True)}
    assert {(*row, label) for row, label in zip(rows.tolist(), classes.tolist(), strict=True)} <= given_rows
    found = np.bincount(classes, minlength=len(sizes))
    assert all(kept >= min(size, KEEP) for kept, size in zip(found, sizes, strict=True))
    assert found.max() <= max(3 * np.median([size for size in sizes if size]), KEEP)


@pytest.mark.parametrize("balance", ["smote", "adasyn", "undersample"])
def test_the_same_seed_gives_the_same_rows(balance: str) -> None:
    matrix, labels = draw_matrix(300, seed=2)
    one, again = (resample(matrix, labels, balance, 5) for _ in range(2))  # type: ignore[arg-type]
    assert (one[0] == again[0]).all()
    assert (one[1] == again[1]).all()
    other = resample(matrix, labels, balance, 6)  # type: ignore[arg-type]
    assert one[0].shape != other[0].shape or (one[0] != other[0]).any()


def test_smote_keeps_two_valued_columns_two_valued() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [200, 20]).astype(np.int64)
    matrix = np.column_stack([rng.normal(size=(220, 2)), rng.integers(0, 2, (220, 2))]).astype(np.float32)
    rows, classes = resample(matrix, labels, "smote", seed=1)
    assert (classes == 1).sum() == 100
    assert set(np.unique(rows[:, 2:])) == {0.0, 1.0}
    assert len(np.unique(rows[220:, 0])) > 60, "numbers are interpolated"
