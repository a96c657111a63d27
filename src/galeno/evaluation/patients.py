"""Patients of several rows: their recordings taken together into one answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.evaluation.metrics import Judged
from galeno.records import Labels, Probabilities

__all__ = ["PooledPatients", "aggregate_patients", "pool_patients"]


@dataclass(frozen=True, slots=True, eq=False)
class PooledPatients:
    """The patients of some rows.

    Attributes:
        ids: of the patients, sorted, shape (patients,).
        of_row: index of each row's patient, shape (rows,).
        rows: how many rows each patient has, shape (patients,).
        probabilities: pooled, shape (patients, classes).
    """

    ids: NDArray[Any]
    of_row: NDArray[np.int64]
    rows: NDArray[np.int64]
    probabilities: Probabilities


def pool_patients(probabilities: Probabilities, patients: NDArray[Any]) -> PooledPatients:
    """What the rows of each patient say together: the arithmetic mean of their calibrated probabilities.

    The mean ("sum rule" of Kittler et al., On combining classifiers, IEEE TPAMI 1998) and not the product:
    recordings of one patient share the patient, the stethoscope and the room, so they are not independent
    evidence, and multiplying would promise more than they can show. The decision rule is applied to the mean.

    Args:
        probabilities: calibrated, shape (rows, classes).
        patients: patient of each row, texts or numbers, shape (rows,).
    """
    ids, of_row, rows = np.unique(patients, return_inverse=True, return_counts=True)
    pooled = _sum_by(np.asarray(probabilities, dtype=np.float64), of_row, len(ids)) / rows[:, None]
    return PooledPatients(ids, of_row, rows, pooled)


def aggregate_patients(
    judged: Judged, unit_of: NDArray[np.int64], rule: Callable[[Probabilities], Labels] | None
) -> tuple[Judged, NDArray[np.int64]]:
    """One row for each patient whose rows have one label, with the mean of their probabilities.

    Patients whose rows have different labels are left out: no one label is true of them.

    Args:
        judged: the rows, n of them.
        unit_of: index of each row's patient, each index from 0 to the greatest at least once, shape (n,).
        rule: the decision rule, applied to the means; without it the answer that most rows have, ties to
            the more probable.

    Returns:
        the rows of the patients that were kept, and their indices, shape (kept,). A class is in a patient's
        conformal set where it is in at least half of the rows' sets.
    """
    pooled = pool_patients(judged.probabilities, unit_of)
    units, k = pooled.probabilities.shape
    labels = np.full(units, np.iinfo(np.int64).max)
    np.minimum.at(labels, unit_of, judged.labels)
    kept = np.setdiff1d(np.arange(units), unit_of[judged.labels != labels[unit_of]])
    if rule is not None:
        answers = np.asarray(rule(pooled.probabilities), dtype=np.int64)
    else:
        chosen = np.bincount(unit_of * k + judged.answers, minlength=units * k).reshape(units, k)
        answers = (chosen + pooled.probabilities / 2).argmax(axis=1).astype(np.int64)
    sets = judged.sets
    if sets is not None:
        sets = _sum_by(sets.astype(np.float64), unit_of, units) / pooled.rows[:, None] >= 0.5
    return Judged(labels, pooled.probabilities, answers, sets).rows(kept), kept


def _sum_by(values: NDArray[np.float64], unit_of: NDArray[np.int64], units: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(unit_of, weights=column, minlength=units) for column in values.T], axis=1)
