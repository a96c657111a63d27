"""Figures of a ranking: where the true disease came among all candidates.

top_1 ... top_50  share of cases whose disease is among the first k
mrr               mean of 1 / rank
median_rank       median of the ranks; None where more than half of the cases are misses
ece               expected calibration error of the first disease's probability, 15 bins of equal width

A case without a usable sign, or whose disease is no candidate, is a miss: it is in no top k and adds 0 to
the mean of reciprocal ranks. Candidates with equal scores share the mean of their places, so that no order
among them, such as that of a file, can help (Kendall, Biometrika 1945). Intervals are percentiles of
resamples of whole papers, as cases of one paper are much alike.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.evaluation.bootstrap import resamples

TOPS = (1, 3, 5, 10, 50)
FIGURES = (*(f"top_{k}" for k in TOPS), "mrr", "median_rank", "ece")
BINS = 15
MISS = float("inf")
_FEWEST_UNITS = 2

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the true disease of each case came, the input of every figure.

    Attributes:
        ranks: from 1, halves where places are shared, `MISS` where it has none, shape (cases,).
        confidence: probability of the first disease, 0 to 1; NaN where nothing was ranked, shape (cases,).
        units: what is drawn together in a resample, such as the paper, one a case.
    """

    ranks: Floats
    confidence: Floats
    units: Sequence[Hashable]

    def take(self, chosen: NDArray[Any]) -> "Placed":
        """Some of the cases, by mask or indices."""
        places = np.arange(len(self.ranks))[chosen]
        return Placed(
            self.ranks[places],
            self.confidence[places],
            [self.units[place] for place in places],
        )


def rank_of(scores: Floats, truth: Sequence[int]) -> float:
    """Where the best placed of the true candidates comes.

    Args:
        scores: one a candidate, higher is better, shape (candidates,).
        truth: indices of the candidates that are right; none makes a miss.

    Returns:
        its rank: the mean over all orders of those that have its score; `MISS` where nothing is right.
    """
    if not len(truth):
        return MISS
    best = scores[list(truth)].max()
    above = int(np.count_nonzero(scores > best))
    equal = int(np.count_nonzero(scores == best))
    right = int(np.count_nonzero(scores[list(set(truth))] == best))
    return above + (equal + 1) / (right + 1)


def figures(
    placed: Placed, *, resampled: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Every figure of these cases with its interval.

    Args:
        placed: the cases.
        resampled: number of resamples; 0 leaves the intervals out.
        confidence: level of the intervals.
        seed: of the resamples; the same cases and seed give the same intervals.

    Returns:
        n, the figures of FIGURES (None where one is not defined), `units` (how many are resampled) and
        `intervals` {figure: [low, high] or None}.
    """
    numbers, units = _number(placed.units)
    everything = np.ones((1, units))
    points = _replicate(placed, numbers, everything)
    result: dict[str, Any] = {"n": len(placed.ranks), **{name: _json(points[name][0]) for name in FIGURES}}
    result["units"] = units
    if not resampled:
        return result
    enough = units >= _FEWEST_UNITS
    draws = (
        _replicate(placed, numbers, resamples(units, resampled, seed).astype(np.float64)) if enough else {}
    )
    result["intervals"] = {
        name: _percentiles(draws[name], confidence) if enough and result[name] is not None else None
        for name in FIGURES
    }
    return result


def cap(groups: Sequence[Hashable], most: int, order: Sequence[str]) -> NDArray[np.bool_]:
    """Choose at most so many cases of each group, so that none outweighs the others.

    Args:
        groups: group of each case, such as its disease.
        most: cases to keep of each group.
        order: text of each case, such as its id; those that hash lowest are kept, whatever the file's order.

    Returns:
        which are kept, shape (cases,).
    """
    digests = [sha256(text.encode()).hexdigest() for text in order]
    kept = np.zeros(len(groups), bool)
    counts: dict[Hashable, int] = {}
    for place in sorted(range(len(groups)), key=lambda place: (digests[place], place)):
        counts[groups[place]] = counts.get(groups[place], 0) + 1
        kept[place] = counts[groups[place]] <= most
    return kept


def _number(units: Sequence[Hashable]) -> tuple[NDArray[np.int64], int]:
    """A number for each unit, in the order they come."""
    seen: dict[Hashable, int] = {}
    numbers = np.array([seen.setdefault(unit, len(seen)) for unit in units], np.int64)
    return numbers, len(seen)


def _replicate(placed: Placed, numbers: NDArray[np.int64], weights: Floats) -> Mapping[str, Floats]:
    """The figures of each resample: weights of the units, shape (resamples, units)."""
    units = weights.shape[1]

    def total(values: Floats) -> Floats:
        return weights @ np.bincount(numbers, values, units)

    cases = total(np.ones(len(placed.ranks)))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {f"top_{k}": total((placed.ranks <= k).astype(np.float64)) / cases for k in TOPS}
        found["mrr"] = total(1 / placed.ranks) / cases
        found["ece"] = _calibration(placed, numbers, weights)
    found["median_rank"] = _medians(placed.ranks, numbers, weights)
    return found


def _calibration(placed: Placed, numbers: NDArray[np.int64], weights: Floats) -> Floats:
    """Expected calibration error of the first disease (Naeini et al., AAAI 2015), one a resample."""
    known = ~np.isnan(placed.confidence)
    bins = np.minimum((placed.confidence[known] * BINS).astype(np.int64), BINS - 1)
    place = numbers[known] * BINS + bins
    size = weights.shape[1] * BINS
    gap = np.bincount(place, placed.confidence[known] - (placed.ranks[known] <= 1), size).reshape(-1, BINS)
    count = np.bincount(place, minlength=size).reshape(-1, BINS)
    result: Floats = np.abs(weights @ gap).sum(axis=1) / (weights @ count.astype(np.float64)).sum(axis=1)
    return result


def _medians(ranks: Floats, numbers: NDArray[np.int64], weights: Floats) -> Floats:
    """Weighted medians, one a resample: the mean of the two middle cases; infinite where one is a miss."""
    order = np.argsort(ranks, kind="stable")
    ordered = ranks[order]
    medians = np.full(len(weights), np.nan)
    for number, row in enumerate(weights):
        below = np.cumsum(row[numbers[order]])
        if not below.size or not below[-1]:
            continue
        places = np.searchsorted(below, [(below[-1] + 1) // 2, below[-1] // 2 + 1])
        medians[number] = ordered[places].mean()
    return medians


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _percentiles(values: Floats, confidence: float) -> list[float] | None:
    """None where an end of the interval is not defined."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return None
    tail = (1 - confidence) / 2
    ends = np.quantile(defined, [tail, 1 - tail], method="nearest")
    return [float(end) for end in ends] if np.isfinite(ends).all() else None
