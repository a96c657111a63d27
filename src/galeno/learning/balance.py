"""Class balancing, on the rows that an estimator is fitted on and never on others."""

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


def resample(matrix: FloatMatrix, labels: Labels, balance: Balance, seed: int) -> tuple[FloatMatrix, Labels]:
    """Over- or undersample; `none` and `weights` leave the rows as they are.

    Classes with fewer than two rows have no neighbours and stay as they are; so does a class for which
    ADASYN finds nothing to add.

    Args:
        matrix: float32, shape (rows, columns).
        labels: class index of each row, shape (rows,).
        balance: the strategy.
        seed: of the sampler.

    Raises:
        LearningError: the sampler cannot work with these rows.
    """
    if balance in ("none", "weights"):
        return matrix, labels
    sizes = np.bincount(labels)
    try:
        if balance == "adasyn":
            rows, classes = _adasyn(matrix, labels, sizes, seed)
        else:
            sampler = _sampler(matrix, sizes, balance, seed)
            rows, classes = (matrix, labels) if sampler is None else sampler.fit_resample(matrix, labels)
    except (ValueError, RuntimeError) as error:
        raise LearningError(f"{balance} cannot balance these rows ({type(error).__name__})") from None
    return np.ascontiguousarray(rows, dtype=np.float32), np.asarray(classes, dtype=np.int64)


def _sampler(matrix: FloatMatrix, sizes: NDArray[np.int64], balance: Balance, seed: int) -> Any:
    """The sampler, or None where there is nothing to do."""
    present = np.flatnonzero(sizes)
    if balance == "undersample":
        most = int(max(3 * np.median(sizes[present]), KEEP))
        kept = {int(c): int(min(sizes[c], most)) for c in present}
        return RandomUnderSampler(sampling_strategy=kept, random_state=seed) if len(present) > 1 else None
    wanted = _wanted(sizes)
    if not wanted:
        return None
    neighbours = int(min(5, min(sizes[c] for c in wanted) - 1))
    discrete = np.flatnonzero([len(np.unique(column)) <= 2 for column in matrix.T])
    if 0 < len(discrete) < matrix.shape[1] and len(discrete) <= MOST_DISCRETE:
        return SMOTENC(
            categorical_features=discrete.tolist(),
            sampling_strategy=wanted,
            k_neighbors=neighbours,
            random_state=seed,
        )
    return SMOTE(sampling_strategy=wanted, k_neighbors=neighbours, random_state=seed)


def _adasyn(
    matrix: FloatMatrix, labels: Labels, sizes: NDArray[np.int64], seed: int
) -> tuple[FloatMatrix, Labels]:
    """ADASYN class by class: where one class needs no row, or is far from the others, it refuses them all."""
    parts, classes = [matrix], [labels]
    for index, target in _wanted(sizes).items():
        sampler = ADASYN(
            sampling_strategy={index: target}, n_neighbors=int(min(5, sizes[index] - 1)), random_state=seed
        )
        try:
            rows, found = sampler.fit_resample(matrix, labels)
        except (ValueError, RuntimeError):
            continue
        parts.append(rows[len(matrix) :])
        classes.append(found[len(matrix) :])
    return np.concatenate(parts), np.concatenate(classes)


def _wanted(sizes: NDArray[np.int64]) -> dict[int, int]:
    """The classes to bring up, with the rows that each will have."""
    target = int(sizes.max() * FILL)
    return {int(c): target for c in np.flatnonzero((sizes >= 2) & (sizes < target))}
