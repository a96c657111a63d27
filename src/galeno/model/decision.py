"""Which condition is named first.

The most probable one is rarely the rare one. A weight and an offset for each
class, learned out of fold, say how much probability is worth there; weights of
one are the plain rule of the most probable class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul, sub
from typing import Any, Self

import numpy as np

from galeno.records import Labels, Probabilities


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """Conditions are ranked by probability * weight - offset; ties go to the earlier class."""

    weights: tuple[float, ...]
    """One for each class, above zero."""
    offsets: tuple[float, ...] = ()
    """One for each class, or none at all."""

    @classmethod
    def plain(cls, n_classes: int) -> Self:
        """The most probable condition is first."""
        return cls((1.0,) * n_classes)

    def scores(self, probabilities: Probabilities) -> Probabilities:
        """What is ranked, shape (rows, classes)."""
        scores: Probabilities = probabilities * np.asarray(self.weights)
        return scores - np.asarray(self.offsets) if self.offsets else scores

    def answers(self, probabilities: Probabilities) -> Labels:
        """The first condition of each row, shape (rows,)."""
        answers: Labels = self.scores(probabilities).argmax(axis=1).astype(np.int64)
        return answers

    def order(self, probabilities: Probabilities) -> Labels:
        """All conditions of each row, first to last, shape (rows, classes)."""
        order: Labels = np.argsort(-self.scores(probabilities), axis=1, kind="stable").astype(np.int64)
        return order

    def order_one(self, probabilities: Sequence[float]) -> list[int]:
        """`order` of one row, without arrays."""
        scores = list(map(mul, probabilities, self.weights))
        if self.offsets:
            scores = list(map(sub, scores, self.offsets))
        # Reversed sorting keeps equals in their order, too.
        return sorted(range(len(scores)), key=scores.__getitem__, reverse=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        return {"weights": list(self.weights), "offsets": list(self.offsets)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The rule that `to_dict` wrote."""
        weights, offsets = data["weights"], data["offsets"]
        return cls(tuple(float(weight) for weight in weights), tuple(float(offset) for offset in offsets))
