"""What the ranker has learned: one weight for each feature, in a file that can be read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.errors import KnowledgeError
from galeno.knowledge.evidence import FEATURES

FILE = "parameters.json"
ABSENCE = ("constant", "ratio_a_sign", "exact_information_part", "resnik", "log_signs")
"""What tells that a disease is none of those known, of the first candidate; see `Parameters.absence`."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Learned by `learning.ranking`, from published cases.

    Attributes:
        weights: of `FEATURES`, shape (features,).
        folds: the same, each learned without one fold of papers, shape (folds, features).
        temperature: what scores are divided by to be calibrated probabilities.
        outside: share of the cases whose disease is not among the candidates that are looked at closely.
        absence: weights of `ABSENCE`, a logistic model of whether the disease is none of those known.
        fold_of: fingerprint of each paper that was learned from to its fold.
        learned_from: what from: cases, diseases, versions.
        sha256: of the file.
    """

    weights: Floats
    folds: Floats
    temperature: float
    outside: float
    absence: Floats
    fold_of: Mapping[str, int]
    learned_from: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    @property
    def papers(self) -> frozenset[str]:
        """Fingerprints of the papers that were learned from, see `counts.fingerprint_paper`."""
        return frozenset(self.fold_of)

    def to_json(self) -> str:
        """As it is shipped."""
        content = {
            "learned_from": dict(self.learned_from),
            "temperature": round(self.temperature, 4),
            "outside": round(self.outside, 4),
            "absence": dict(zip(ABSENCE, _rounded(self.absence), strict=True)),
            "weights": dict(zip(FEATURES, _rounded(self.weights), strict=True)),
            "folds": [dict(zip(FEATURES, _rounded(fold), strict=True)) for fold in self.folds],
            "fold_of_paper": dict(sorted(self.fold_of.items())),
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = FILE) -> "Parameters":
        """Read what `to_json` wrote.

        Raises:
            KnowledgeError: it is of another format, or of other features.
        """
        try:
            content = json.loads(text)
            return cls(
                np.array([content["weights"][name] for name in FEATURES]),
                np.array([[fold[name] for name in FEATURES] for fold in content["folds"]]),
                float(content["temperature"]),
                float(content["outside"]),
                np.array([content["absence"][name] for name in ABSENCE]),
                {str(paper): int(number) for paper, number in content["fold_of_paper"].items()},
                content["learned_from"],
                sha256(text.encode()).hexdigest(),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KnowledgeError(
                "these are not the parameters of this ranker", where=where, remedy="Install Galeno again"
            ) from None


@cache
def shipped_parameters() -> Parameters:
    """Those that come with the package."""
    return Parameters.from_json(files("galeno.knowledge").joinpath(FILE).read_text("utf-8"))


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
