"""Probabilities that mean what they say, fitted on predictions that the model did not learn from.

    none         as they are
    temperature  softmax(log p / T): Guo et al., On calibration of modern neural networks, ICML 2017
    vector       softmax(log p / T + b), a bias for each class, shrunk towards zero
    isotonic     one monotone curve for each class against the rest, renormalised:
                 Zadrozny and Elkan, KDD 2002

Few rows and absent classes are held by penalties on log T and b, and by leaving the curve of a
class with fewer than MIN_POSITIVES rows as it is. Numbers are kept to six digits: the noise of
float32 sums, which differs with the number of threads, must not change a package.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from galeno.records import Labels, Probabilities

Kind = Literal["none", "temperature", "vector", "isotonic"]

FLOOR = 1e-6
"""Smaller probabilities are raised to it before their logarithm is taken."""
MIN_POSITIVES = 5

_LOG_T = 3.0
_BIAS = 5.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """How raw probabilities become calibrated ones."""

    kind: Kind = "none"
    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    curves: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()
    """For each class the breakpoints (p, calibrated p), ascending; empty keeps p."""

    @classmethod
    def fit(
        cls,
        kind: Kind,
        probabilities: Probabilities,
        labels: Labels,
        sample_weight: NDArray[np.float64] | None = None,
    ) -> Self:
        """Fit on held-out predictions.

        Args:
            kind: what to fit.
            probabilities: shape (rows, classes), each row summing to one.
            labels: class of each row; rows with -1 are left out.
            sample_weight: weight of each row, or None for one each.
        """
        known = (labels >= 0) & (np.ones(len(labels), bool) if sample_weight is None else sample_weight > 0)
        if kind == "none" or not known.any():
            return cls()
        p, y = probabilities[known], labels[known]
        w = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)[known]
        if kind == "temperature":
            return cls(kind, temperature=_fit_temperature(p, y, w))
        if kind == "vector":
            temperature, bias = _fit_vector(p, y, w)
            return cls(kind, temperature=temperature, bias=bias)
        return cls(kind, curves=tuple(_fit_curve(p[:, c], y == c, w) for c in range(p.shape[1])))

    def apply(self, probabilities: Probabilities) -> Probabilities:
        """Calibrated probabilities, same shape; rows sum to one, also where the input has zeros."""
        if self.kind == "none":
            return probabilities
        if self.kind == "isotonic":
            return _normalise(self._follow_curves(probabilities))
        scores = np.log(np.maximum(probabilities, FLOOR)) / self.temperature
        if self.bias:
            scores += np.asarray(self.bias)
        return _softmax(scores)

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads; floats keep every digit."""
        return {
            "kind": self.kind,
            "temperature": self.temperature,
            "bias": list(self.bias),
            "curves": [[list(x), list(y)] for x, y in self.curves],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The calibration that `to_dict` wrote."""
        curves = tuple((tuple(x), tuple(y)) for x, y in data["curves"])
        return cls(data["kind"], float(data["temperature"]), tuple(data["bias"]), curves)

    def _follow_curves(self, probabilities: Probabilities) -> Probabilities:
        followed = np.array(probabilities, dtype=np.float64)
        for column, (x, y) in enumerate(self.curves):
            if x:
                followed[:, column] = np.interp(followed[:, column], x, y)
        return followed


def _fit_temperature(p: Probabilities, y: Labels, w: NDArray[np.float64]) -> float:
    from scipy.optimize import minimize_scalar  # takes memory, and answering does not need it

    logs = np.log(np.maximum(p, FLOOR))

    def loss(log_t: float) -> float:
        return float(-w @ _log_softmax(logs * np.exp(-log_t))[np.arange(len(y)), y] + log_t**2)

    found = minimize_scalar(loss, bounds=(-_LOG_T, _LOG_T), method="bounded", options={"xatol": 1e-4})
    return _six_digits(np.exp(found.x))


def _fit_vector(p: Probabilities, y: Labels, w: NDArray[np.float64]) -> tuple[float, tuple[float, ...]]:
    from scipy.optimize import minimize  # takes memory, and answering does not need it

    logs, rows, k = np.log(np.maximum(p, FLOOR)), np.arange(len(y)), p.shape[1]

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        sharpness, bias = np.exp(theta[0]), theta[1:]
        logq = _log_softmax(sharpness * logs + bias)
        gap = np.exp(logq)
        gap[rows, y] -= 1
        gap *= w[:, None]
        value = -w @ logq[rows, y] + theta[0] ** 2 + 0.5 * bias @ bias
        slope = np.concatenate([[(gap * logs).sum() * sharpness + 2 * theta[0]], gap.sum(axis=0) + bias])
        return float(value), slope

    limits = [(-_LOG_T, _LOG_T)] + [(-_BIAS, _BIAS)] * k
    found = minimize(loss, np.zeros(k + 1), jac=True, method="L-BFGS-B", bounds=limits)
    return _six_digits(np.exp(-found.x[0])), tuple(round(float(b), 5) for b in found.x[1:])


def _fit_curve(
    p: NDArray[np.float64], positive: NDArray[np.bool_], w: NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if positive.sum() < MIN_POSITIVES or positive.all():
        return (), ()
    from scipy.optimize import isotonic_regression  # takes memory, and answering does not need it

    x, place = np.unique(p, return_inverse=True)
    weight = np.bincount(place, weights=w)
    share = np.bincount(place, weights=w * positive) / weight
    heights = isotonic_regression(share, weights=weight).x
    # Never quite zero or one: so many rows cannot tell more.
    least = 1 / (2 * (len(p) + 1))
    heights = np.clip(heights, least, 1 - least)
    turns = np.ones(len(x), dtype=bool)
    turns[1:-1] = (heights[1:-1] != heights[:-2]) | (heights[1:-1] != heights[2:])
    return tuple(x[turns].tolist()), tuple(heights[turns].tolist())


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _log_softmax(scores: Probabilities) -> Probabilities:
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs: Probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def _softmax(scores: Probabilities) -> Probabilities:
    return _normalise(np.exp(scores - np.maximum.reduce(scores, axis=1, keepdims=True)))


def _normalise(values: Probabilities) -> Probabilities:
    total = np.add.reduce(values, axis=1, keepdims=True)
    if len(values) == 1 and total[0, 0] > 0:  # one record is worth the short way
        shares: Probabilities = values / total
        return shares
    even = 1 / values.shape[1]
    probabilities: Probabilities = np.where(total > 0, values / np.where(total > 0, total, 1), even)
    return probabilities
