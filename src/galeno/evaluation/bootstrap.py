"""Resamples of patients, and percentile intervals of figures.

All rows of a patient are drawn together, so that repeated encounters do not make intervals look
narrower than they are. Intervals are percentiles of the resampled figures (Efron, 1979).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS, Replicates, nest

_RANKED_WORK = 200_000_000
_FEWEST_RANKED = 100
FEWEST_PATIENTS = 2
"""Fewer patients than this vary in no resample; their figures get no interval."""


def resamples(units: int, count: int, seed: int) -> NDArray[np.uint8]:
    """How often each patient is drawn in each resample with replacement, shape (count, units)."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((count, units), dtype=np.uint8)
    for row in weights:
        drawn = np.bincount(rng.integers(0, units, units), minlength=units)
        row[:] = np.minimum(drawn, np.iinfo(np.uint8).max)
    return weights


def ranked_resamples(rows: int, classes: int, count: int) -> int:
    """How many resamples the ranking figures (AUC, average precision) use.

    All of them, unless rows x classes x resamples would take more than some seconds; never fewer
    than 100 of those asked for.
    """
    return min(count, max(_FEWEST_RANKED, _RANKED_WORK // max(1, rows * classes)))


def intervals(
    draws: Replicates,
    confidence: float,
    classes: Sequence[str],
    patients: int,
    class_patients: NDArray[np.int64],
) -> dict[str, Any]:
    """Percentile intervals in the nested shape of the figures; a leaf is [low, high] or None.

    Args:
        draws: resampled figures.
        confidence: level of the intervals, such as 0.95.
        classes: names, in the order of the class indices.
        patients: patients among the rows.
        class_patients: patients of each class, shape (classes,).
    """
    flat: dict[str, Any] = {}
    for name in (*MAIN, *CONFORMAL):
        flat[name] = _percentiles(draws[name], confidence) if patients >= FEWEST_PATIENTS else None
    for name in PER_CLASS:
        flat[name] = [
            _percentiles(draws[name][:, index], confidence) if n >= FEWEST_PATIENTS else None
            for index, n in enumerate(class_patients)
        ]
    return nest(flat, classes)


def _percentiles(values: NDArray[np.float64], confidence: float) -> list[float] | None:
    """None where more than half of the resamples leave the figure undefined."""
    defined = values[~np.isnan(values)]
    if not len(defined) or len(defined) < len(values) / 2:
        return None
    tail = (1 - confidence) / 2
    return [float(bound) for bound in np.quantile(defined, [tail, 1 - tail])]
