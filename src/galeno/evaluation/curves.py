"""The data under the plots: confusion counts, reliability bins, ROC and PR curves, histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.evaluation.metrics import BINS, Judged, confidence_bin

HISTOGRAM_BINS = 20
_CURVE_POINTS = 60


def confusion(judged: Judged) -> dict[str, Any]:
    k = judged.probabilities.shape[1]
    where = np.where(judged.labels >= 0, judged.labels, k) * k + judged.answers
    counts = np.bincount(where, minlength=(k + 1) * k).reshape(k + 1, k)
    return {"counts": counts[:k].tolist(), "other": counts[k].tolist()}


def reliability(judged: Judged) -> list[dict[str, Any]]:
    known = judged.rows(judged.labels >= 0)
    if not len(known.labels):
        return []
    top = known.probabilities.argmax(axis=1)
    confidence = known.probabilities.max(axis=1)
    bins = confidence_bin(confidence)
    found = []
    for index in np.unique(bins):
        inside = bins == index
        found.append(
            {
                "low": round(float(index / BINS), 4),
                "high": round(float((index + 1) / BINS), 4),
                "n": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "accuracy": float((top[inside] == known.labels[inside]).mean()),
            }
        )
    return found


def plots(judged: Judged, classes: Sequence[str]) -> dict[str, Any]:
    known = judged.rows(judged.labels >= 0)
    roc, pr = {}, {}
    for index, name in enumerate(classes):
        positive = known.labels == index
        if positive.any() and not positive.all():
            roc[name], pr[name] = _curves(positive, known.probabilities[:, index])
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    right = judged.answers == judged.labels
    top = judged.probabilities[np.arange(len(judged.answers)), judged.answers]
    histogram = {
        name: np.histogram(top[mask], bins=edges)[0].tolist()
        for name, mask in (("right", right), ("wrong", ~right))
    }
    return {"roc": roc, "pr": pr, **histogram}


def _curves(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[list[Any], list[Any]]:
    """ROC as [false positive rate, recall] and PR as [recall, precision], thinned to some 60 points."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    rates = np.stack([(ends + 1 - hits[ends]) / (~positive).sum(), hits[ends] / positive.sum()])
    walked = np.cumsum(np.abs(np.diff(rates, axis=1, prepend=0)).sum(axis=0))
    kept = np.unique(
        np.searchsorted(walked, np.linspace(0, walked[-1], _CURVE_POINTS)).clip(0, len(ends) - 1)
    )
    recall, precision = rates[1, kept], hits[ends[kept]] / (ends[kept] + 1)
    roc = [[0.0, *np.round(rates[0, kept], 4).tolist()], [0.0, *np.round(recall, 4).tolist()]]
    return roc, [np.round(recall, 4).tolist(), np.round(precision, 4).tolist()]
