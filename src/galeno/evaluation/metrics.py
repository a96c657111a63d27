"""Figures of a classifier, each with one definition that point estimates and bootstraps share.

Rows whose label is -1 (a condition that is none of the classes) are misses: they count in accuracy
and as false positives of the class that was answered. They are left out of the figures of
probabilities (log loss, Brier, calibration, ranking) and of the conformal figures, which are not
defined for them. A figure that is not defined is None, never NaN.

accuracy            share of rows answered right
balanced_accuracy   mean recall of the classes that have rows
macro_f1            mean F1 of the classes that occur in labels or answers (scikit-learn's default)
weighted_f1         mean F1 weighted by rows of the class
log_loss            mean -ln of the true class' probability, clipped at 1e-15
brier               mean over rows of the sum over classes of squared differences, halved for two
                    classes (scikit-learn's `scale_by_half="auto"`); 0 is best
ece                 expected calibration error of the most probable class, 15 bins of equal width
auc_ovr             mean one-vs-rest area under the ROC curve of the classes with rows of both kinds
conformal.coverage  share of rows whose class is in the conformal set
conformal.size      mean classes a set
per_class           precision (0 where the class has rows but is never answered), recall, f1,
                    average_precision, auc (one-vs-rest), n (rows of the class)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from galeno.records import Labels, Probabilities

MAIN = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "log_loss", "brier", "ece", "auc_ovr")
CONFORMAL = ("coverage", "size")
PER_CLASS = ("precision", "recall", "f1", "average_precision", "auc")
BINS = 15
_CLIP = 1e-15
_CHUNK = 32

Replicates = dict[str, NDArray[np.float64]]
"""Figure name to values, shape (resamples,), or (resamples, classes) for PER_CLASS; NaN = undefined."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows with their answers, the input of every figure.

    Attributes:
        labels: class indices, shape (n,), -1 for a label outside the classes.
        probabilities: shape (n, k), float64.
        answers: class indices answered by the decision rule, shape (n,).
        sets: conformal sets, boolean mask of shape (n, k), or None.
    """

    labels: Labels
    probabilities: Probabilities
    answers: Labels
    sets: NDArray[np.bool_] | None

    def rows(self, chosen: NDArray[Any]) -> "Judged":
        """The chosen rows (mask or indices)."""
        sets = None if self.sets is None else self.sets[chosen]
        return Judged(self.labels[chosen], self.probabilities[chosen], self.answers[chosen], sets)


def figures(
    labels: Labels,
    probabilities: Probabilities,
    answers: Labels,
    sets: NDArray[np.bool_] | None,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Every figure of these rows, as the module defines them.

    Args:
        labels: shape (n,), -1 for labels outside the classes.
        probabilities: shape (n, k); rows sum to one.
        answers: shape (n,), from the decision rule.
        sets: shape (n, k) mask of conformal sets, or None.
        classes: the k names, in the order of the indices.

    Returns:
        n, the main figures, `conformal` {coverage, size} and `per_class` {name: {...}}.
    """
    judged = Judged(labels, np.asarray(probabilities, dtype=np.float64), answers, sets)
    return point_figures(Tally(judged, np.arange(len(judged.labels)), len(judged.labels)), judged, classes)


def point_figures(tally: "Tally", judged: Judged, classes: Sequence[str]) -> dict[str, Any]:
    """The figures of all rows, nested and JSON-ready."""
    replicates = tally.replicate(np.ones((1, tally.units), dtype=np.uint8))
    support = np.bincount(judged.labels[judged.labels >= 0], minlength=len(classes))
    nested = nest({name: values[0] for name, values in replicates.items()}, classes)
    for index, name in enumerate(classes):
        nested["per_class"][name]["n"] = int(support[index])
    return {"n": len(judged.labels), **nested}


def nest(flat: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Flat figure values (scalars, or k values for per-class names) as the nested shape of reports."""
    return {
        **{name: number(flat[name]) for name in MAIN},
        "conformal": {name: number(flat[name]) for name in CONFORMAL},
        "per_class": {
            label: {name: number(flat[name][index]) for name in PER_CLASS}
            for index, label in enumerate(classes)
        },
    }


def number(value: Any) -> Any:
    """A JSON number; None for NaN; a pair stays a pair."""
    if value is None or isinstance(value, list):
        return value
    return None if np.isnan(value) else float(value)


class Tally:
    """Per-patient sums from which each figure of any resample of patients follows.

    A resample is a vector of counts, one a unit (patient). Sums of the rows are one sparse matrix
    product; the ranking figures (AUC, average precision) sort each class once and then need two
    cumulative sums a resample.

    Args:
        judged: the rows.
        unit_of: index of the unit that each row belongs to, shape (n,).
        units: number of units.
    """

    def __init__(self, judged: Judged, unit_of: NDArray[np.int64], units: int) -> None:
        self.units = units
        self.classes = judged.probabilities.shape[1]
        self._has_sets = judged.sets is not None
        self._sums = _row_sums(judged, unit_of, units)
        known = judged.labels >= 0
        self._rankings = [
            _Ranking.of(judged.labels[known] == index, judged.probabilities[known, index], unit_of[known])
            for index in range(self.classes)
        ]

    def replicate(self, weights: NDArray[np.uint8], ranked: int | None = None) -> Replicates:
        """The figures of resamples.

        Args:
            weights: how often each unit is drawn, shape (resamples, units).
            ranked: how many resamples the ranking figures are computed for; None for all.

        Returns:
            arrays by figure name; `auc`, `average_precision` and `auc_ovr` have `ranked` rows.
        """
        blocks = [np.ascontiguousarray(block.T, dtype=np.float64) for block in _blocks(weights)]
        totals = np.concatenate([(self._sums @ block).T for block in blocks])
        found = _from_totals(totals, self.classes, self._has_sets)
        ranks = [self._rank(block) for block in _blocks(weights[:ranked])]
        found["auc"] = np.concatenate([auc for auc, _ in ranks])
        found["average_precision"] = np.concatenate([precision for _, precision in ranks])
        found["auc_ovr"] = _mean(found["auc"])
        return found

    def _rank(self, weights: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        both = [ranking.areas(weights) for ranking in self._rankings]
        return np.stack([auc for auc, _ in both], axis=1), np.stack([ap for _, ap in both], axis=1)


def _blocks(weights: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [weights[start : start + _CHUNK] for start in range(0, len(weights), _CHUNK)]


def _row_sums(judged: Judged, unit_of: NDArray[np.int64], units: int) -> sparse.csr_matrix:
    """Sparse sums, shape (figures, units): confusion cells, losses, calibration bins."""
    n, k = judged.probabilities.shape
    cells = (k + 1) * k
    known = np.flatnonzero(judged.labels >= 0)
    labels, probabilities = judged.labels[known], judged.probabilities[known]
    truth = probabilities[np.arange(len(known)), labels]
    squared = (probabilities**2).sum(axis=1) - 2 * truth + 1
    sets = np.zeros_like(probabilities, dtype=bool) if judged.sets is None else judged.sets[known]
    top = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(known)), top]
    bins = confidence_bin(confidence)
    where = np.where(judged.labels >= 0, judged.labels, k) * k + judged.answers
    sums = [np.full(len(known), cells + i) for i in range(4)]
    columns = [where, *sums, cells + 4 + bins, cells + 4 + BINS + bins]
    values = [
        np.ones(n),
        -np.log(np.clip(truth, _CLIP, 1.0)),
        squared * (0.5 if k == 2 else 1.0),
        sets[np.arange(len(known)), labels].astype(np.float64),
        sets.sum(axis=1).astype(np.float64),
        confidence,
        (top == labels).astype(np.float64),
    ]
    owners = [unit_of, *([unit_of[known]] * 6)]
    return sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(columns), np.concatenate(owners))),
        shape=(cells + 4 + 2 * BINS, units),
    )


def confidence_bin(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the bin (low, high] that a probability falls into, 0 to BINS - 1."""
    found = np.searchsorted(np.linspace(0, 1, BINS + 1), confidence, side="left") - 1
    return np.clip(found, 0, BINS - 1).astype(np.int64)


def _from_totals(totals: NDArray[np.float64], k: int, has_sets: bool) -> Replicates:
    cells = (k + 1) * k
    confusion = totals[:, :cells].reshape(-1, k + 1, k)
    hits = np.diagonal(confusion[:, :k], axis1=1, axis2=2)
    support, answered = confusion[:, :k].sum(axis=2), confusion.sum(axis=1)
    known = support.sum(axis=1)
    precision = np.where((answered == 0) & (support > 0), 0.0, _ratio(hits, answered))
    recall, f1 = _ratio(hits, support), _ratio(2 * hits, support + answered)
    loss, squared, covered, size = (totals[:, cells + i] for i in range(4))
    confidence = totals[:, cells + 4 : cells + 4 + BINS]
    correct = totals[:, cells + 4 + BINS :]
    undefined = np.full(len(totals), np.nan)
    return {
        "accuracy": _ratio(hits.sum(axis=1), confusion.sum(axis=(1, 2))),
        "balanced_accuracy": _mean(recall),
        "macro_f1": _mean(f1),
        "weighted_f1": _ratio((support * np.nan_to_num(f1)).sum(axis=1), known),
        "log_loss": _ratio(loss, known),
        "brier": _ratio(squared, known),
        "ece": _ratio(np.abs(confidence - correct).sum(axis=1), known),
        "coverage": _ratio(covered, known) if has_sets else undefined,
        "size": _ratio(size, known) if has_sets else undefined,
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of the values that are defined."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


@dataclass(frozen=True, slots=True)
class _Ranking:
    """One class against the rest, rows sorted from the highest probability down.

    Only groups of tied rows that hold a positive row matter to either area; `starts` and `ends`
    are how many rows come before such a group and up to its end, `positive_*` how many positives.
    """

    units: NDArray[np.int64]
    positive_units: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    positive_starts: NDArray[np.int64]
    positive_ends: NDArray[np.int64]

    @classmethod
    def of(
        cls, positive: NDArray[np.bool_], scores: NDArray[np.float64], unit_of: NDArray[np.int64]
    ) -> "_Ranking":
        order = np.argsort(-scores, kind="stable")
        positive, scores, unit_of = positive[order], scores[order], unit_of[order]
        ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], [True] * (len(scores) > 0))) + 1
        starts = np.append(0, ends[:-1])[: len(ends)]
        counted = np.append(0, np.cumsum(positive))
        useful = counted[ends] > counted[starts]
        starts, ends = starts[useful], ends[useful]
        return cls(unit_of, unit_of[positive], starts, ends, counted[starts], counted[ends])

    def areas(self, weights: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """AUC and average precision of each resample, shape (resamples,); NaN where undefined."""
        if not len(self.positive_units):
            undefined = np.full(len(weights), np.nan)
            return undefined, undefined
        rows = _running(weights, self.units)
        hits = _running(weights, self.positive_units)
        hits_start, hits_end = hits[:, self.positive_starts], hits[:, self.positive_ends]
        rows_end = rows[:, self.ends]
        gained = (hits_end - hits_start).astype(np.float64)
        misses = (rows[:, self.starts] - hits_start) + (rows_end - hits_end)
        positives = hits[:, -1].astype(np.float64)
        negatives = rows[:, -1] - positives
        below = (gained * (negatives[:, None] - misses / 2)).sum(axis=1)
        precise = (gained * (hits_end / np.maximum(rows_end, 1))).sum(axis=1)
        return _ratio(below, positives * negatives), _ratio(precise, positives)


def _running(weights: NDArray[np.uint8], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cumulative counts along the rows of these units, a zero first; shape (resamples, rows + 1)."""
    found = np.zeros((len(weights), len(units) + 1), dtype=np.int64)
    np.cumsum(weights[:, units], axis=1, out=found[:, 1:])
    return found
