"""Folds by patient, for what is learned from labels: no row is described by its own label."""

import numpy as np
from numpy.typing import NDArray

from galeno.features.encoder import Sample

FOLDS = 5


def deal_patients(sample: Sample, seed: int, folds: int = FOLDS) -> NDArray[np.int64]:
    """Deal patients into folds, each class evenly.

    Returns:
        Fold of each row, shape (rows,), int64. All rows of a patient share one fold: an identifier
        that repeats with the patient would otherwise carry the label over.
    """
    if not sample.frame.height:
        return np.zeros(0, np.int64)
    patients = int(sample.patients.max()) + 1
    label = np.full(patients, -1, np.int64)
    np.maximum.at(label, sample.patients, sample.labels)
    order = np.lexsort((np.random.default_rng(seed).permutation(patients), label))
    fold = np.empty(patients, np.int64)
    fold[order] = np.arange(patients) % folds
    return fold[sample.patients]
