"""Class balancing, on the rows that an estimator is fitted on and never on others."""

import warnings
from typing import Any

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC
from imblearn.under_sampling import RandomUnderSampler
from numpy.typing import NDArray

from galeno.errors import LearningError
from galeno.records import FloatMatrix, Labels
from galeno.study import Balance

FILL = 0.5
"""Oversampling brings a class up to this share of the largest one."""
KEEP = 20
"""Undersampling leaves a class at least so many rows."""
MOST_DISCRETE = 200
"""With more two-valued columns than this, SMOTE interpolates them too: SMOTENC would take minutes."""


def class_weights(labels: Labels, power: float) -> NDArray[np.float64]:
    """Weight of each row: its class' size to the power of minus `power`, with mean 1.

    Args:
        labels: class index of each row, shape (rows,).
        power: 0 leaves classes as they are, 1 gives every class the same total weight.
    """
    sizes = np.bincount(labels).astype(np.float64)
    weights = np.maximum(sizes, 1.0)[labels] ** -power
    return np.asarray(weights / weights.mean())


def resample(
    matrix: FloatMatrix, labels: Labels, balance: Balance, seed: int
) -> tuple[FloatMatrix, Labels]:
    """Over- or undersample; `none` and `weights` leave the rows as they are.

    Classes with fewer than two rows have no neighbours and stay as they are.

    Args:
        matrix: float32, shape (rows, columns).
        labels: class index of each row, shape (rows,).
        balance: the strategy.
        seed: of the sampler.

    Raises:
        LearningError: the sampler finds nothing to do or no neighbours.
    """
    if balance in ("none", "weights"):
        return matrix, labels
    sampler = _sampler(matrix, labels, balance, seed)
    if sampler is None:
        return matrix, labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rows, classes = sampler.fit_resample(matrix, labels)
        except (ValueError, RuntimeError) as error:
            raise LearningError(f"{balance} cannot balance these rows ({type(error).__name__})") from None
    return np.ascontiguousarray(rows, dtype=np.float32), np.asarray(classes, dtype=np.int64)


def _sampler(matrix: FloatMatrix, labels: Labels, balance: Balance, seed: int) -> Any:
    sizes = np.bincount(labels)
    present = np.flatnonzero(sizes)
    if balance == "undersample":
        most = int(max(3 * np.median(sizes[present]), KEEP))
        wanted = {int(c): int(min(sizes[c], most)) for c in present}
        return RandomUnderSampler(sampling_strategy=wanted, random_state=seed)
    target = int(sizes.max() * FILL)
    wanted = {int(c): target for c in present if 2 <= sizes[c] < target}
    if not wanted:
        return None
    neighbours = int(min(5, min(sizes[c] for c in wanted) - 1))
    if balance == "adasyn":
        return ADASYN(sampling_strategy=wanted, n_neighbors=neighbours, random_state=seed)
    discrete = np.flatnonzero([len(np.unique(column)) <= 2 for column in matrix.T])
    if 0 < len(discrete) < matrix.shape[1] and len(discrete) <= MOST_DISCRETE:
        return SMOTENC(
            categorical_features=discrete, sampling_strategy=wanted, k_neighbors=neighbours, random_state=seed
        )
    return SMOTE(sampling_strategy=wanted, k_neighbors=neighbours, random_state=seed)
