"""Sets of conditions that are not ruled out, with the true one inside as often as promised.

Split conformal prediction: a score says how strange a condition is for a row; the
threshold is the (n + 1) * coverage smallest score of the true conditions of n held-out
rows, so that a new row's true condition stays below it with that probability.

Rows of one patient are not independent. Where patients have several, each patient counts
once and each of his rows as a part of him, so that the promise is for a row of a new patient:
Lee, Barber and Willett, Distribution-free inference with hierarchical data, 2023 (HCP);
Dunn, Wasserman and Ramdas, JASA 2022. With one row a patient it is the same threshold.

    lac  score 1 - p: smallest sets on average. Sadinle, Lei and Wasserman, JASA 2019
    aps  score: probability of all conditions ranked above. Larger sets for harder rows.
         Romano, Sesia and Candès, NeurIPS 2020, without the random part (their u = 1)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from galeno.records import Labels, Probabilities

Method = Literal["lac", "aps"]

SLACK = 1e-6
"""Added to the threshold: float32 noise must not push a row that sits on it outside."""


@dataclass(frozen=True, slots=True)
class ConformalSet:
    """What decides whether a condition is ruled out."""

    method: Method
    coverage: float
    threshold: float
    """Largest score that is not ruled out; 1 rules nothing out."""

    @classmethod
    def fit(
        cls,
        method: Method,
        coverage: float,
        probabilities: Probabilities,
        labels: Labels,
        patients: NDArray[Any] | None = None,
    ) -> Self:
        """Set the threshold on rows that neither fitting nor calibration saw.

        Args:
            method: lac or aps.
            coverage: share of sets that shall hold the true condition, between 0 and 1.
            probabilities: calibrated, shape (rows, classes).
            labels: class of each row; rows with -1 are left out. With fewer patients than the coverage
                needs, nothing is ruled out.
            patients: whose each row is, shape (rows,); None where every row is a patient.
        """
        known = np.flatnonzero(labels >= 0)
        scores = _scores(method, probabilities[known])[np.arange(len(known)), labels[known]]
        whose = known if patients is None else patients[known]
        ids, of_row, rows = np.unique(whose, return_inverse=True, return_counts=True)
        order = np.argsort(scores, kind="stable")
        covered = np.cumsum(1 / rows[of_row[order]])  # patients, or parts of them, with a score so small
        rank = int(np.searchsorted(covered, (len(ids) + 1) * coverage - 1e-9))
        threshold = round(float(scores[order[rank]]), 6) if rank < len(order) else 1.0
        return cls(method, coverage, threshold)

    def conforming(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """Conditions below the threshold, shape (rows, classes); with lac a row can have none."""
        inside: NDArray[np.bool_] = _scores(self.method, probabilities) <= self.threshold + SLACK
        return inside

    def conforming_one(self, probabilities: Sequence[float]) -> list[bool]:
        """`conforming` of one row."""
        if self.method == "lac":
            threshold = self.threshold + SLACK
            return [1 - p <= threshold for p in probabilities]
        found: list[bool] = self.conforming(np.array([probabilities]))[0].tolist()
        return found

    def contains(self, probabilities: Probabilities, answers: Labels | None = None) -> NDArray[np.bool_]:
        """Conditions that are not ruled out, shape (rows, classes); never none.

        Args:
            probabilities: calibrated, shape (rows, classes).
            answers: condition named first in each row, which is in its set too; None for the most probable.
        """
        inside = self.conforming(probabilities)
        inside[np.arange(len(inside)), probabilities.argmax(axis=1) if answers is None else answers] = True
        return inside

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        return {"method": self.method, "coverage": self.coverage, "threshold": self.threshold}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The set that `to_dict` wrote."""
        return cls(data["method"], float(data["coverage"]), float(data["threshold"]))


def _scores(method: Method, probabilities: Probabilities) -> Probabilities:
    """Strangeness of each condition for each row, 0 to 1."""
    if method == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    above = np.cumsum(ranked, axis=1) - ranked
    scores = np.empty_like(probabilities)
    np.put_along_axis(scores, order, above, axis=1)
    return np.clip(scores, 0, 1)
