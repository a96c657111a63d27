"""Late fusion: what each modality says by itself, beside the numbers it says it with.

Each modality has an expert, a linear discriminant with a shrunken covariance (Ledoit and Wolf 2004), which
learns from the rows that have the modality. It says how much more its numbers speak for a class than the
shares of the classes do; where the modality is missing it says nothing, which is zero. The fitting rows get
what experts say that did not see their patients, so that the members of the ensemble learn how far each
modality can be trusted (stacking: Wolpert, Neural Networks 1992).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from galeno.features.encoder import Arrays, Block, FeatureColumn, Sample
from galeno.features.projection import Projection
from galeno.records import FloatMatrix

SEEN: frozenset[Block] = frozenset({"table", "svd", "media"})
"""Blocks that an expert looks at."""
_FEWEST = 12
"""Fitting rows that an expert needs at least."""


@dataclass(frozen=True, slots=True)
class Part:
    """The columns of one modality."""

    modality: str
    shown: NDArray[np.int64]
    """Columns of the encoded matrix that its expert looks at."""
    always: bool
    """Whether it is there even where all its numbers are zero, as plain columns are."""


class Fusion:
    """The experts of a study's modalities.

    Args:
        parts: the modalities.
        experts: one each; None where too few rows have the modality.
        classes: names of the study's classes.
    """

    def __init__(
        self, parts: Sequence[Part], experts: Sequence[Projection | None], classes: Sequence[str]
    ) -> None:
        self._parts, self._experts, self._classes = tuple(parts), tuple(experts), tuple(classes)
        self.columns = tuple(
            FeatureColumn(f"{part.modality} for {name}", "", "late")
            for part, expert in zip(parts, experts, strict=True)
            if expert is not None
            for name in classes
        )

    @classmethod
    def fit(
        cls, matrix: FloatMatrix, parts: Sequence[Part], classes: Sequence[str], sample: Sample, seed: int
    ) -> tuple[Self, FloatMatrix]:
        """Learn the experts, and what others like them say of the fitting rows, shape (rows, columns)."""
        experts: list[Projection | None] = []
        said: list[FloatMatrix] = []
        for part in parts:
            rows = np.flatnonzero(_there(matrix, part) & (sample.labels >= 0))
            present = len(np.unique(sample.labels[rows]))
            if len(rows) < _FEWEST or present < 2:
                experts.append(None)
                continue
            _, patients = np.unique(sample.patients[rows], return_inverse=True)
            own = replace(
                sample,
                frame=sample.frame[rows],
                labels=sample.labels[rows],
                patients=patients.astype(np.int64),
            )
            seen = matrix[np.ix_(rows, part.shown)]  # not all columns: what networks take is large
            expert, crossed = Projection.fit(
                "scores", seen, np.arange(seen.shape[1]), own, components=len(classes), seed=seed
            )
            whole = np.zeros((len(matrix), crossed.shape[1]), np.float32)
            whole[rows] = crossed
            experts.append(expert.of(part.shown))
            said.append(whole)
        empty = np.zeros((len(matrix), 0), np.float32)
        return cls(parts, experts, classes), np.hstack([empty, *said])

    def say(self, matrix: FloatMatrix) -> FloatMatrix:
        """What the experts say of any rows, shape (rows, columns)."""
        said = [
            expert.project(matrix) * _there(matrix, part)[:, np.newaxis]
            for part, expert in zip(self._parts, self._experts, strict=True)
            if expert is not None
        ]
        return np.hstack([np.zeros((len(matrix), 0), np.float32), *said])

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned."""
        arrays: Arrays = {}
        for number, (part, expert) in enumerate(zip(self._parts, self._experts, strict=True)):
            arrays[f"{number}.shown"] = part.shown
            if expert is not None:
                arrays |= {f"{number}.expert.{key}": value for key, value in expert.arrays().items()}
        listed = [
            {"modality": part.modality, "always": part.always, "expert": expert is not None}
            for part, expert in zip(self._parts, self._experts, strict=True)
        ]
        return {"parts": listed, "classes": list(self._classes)}, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The fusion that `state` came from."""
        parts, experts = [], []
        for number, told in enumerate(state["parts"]):
            parts.append(Part(told["modality"], arrays[f"{number}.shown"], told["always"]))
            held = (
                {key: arrays[f"{number}.expert.{key}"] for key in ("shown", "weights", "offset")}
                if told["expert"]
                else None
            )
            experts.append(None if held is None else Projection.from_arrays("scores", held))
        return cls(parts, experts, state["classes"])


def _there(matrix: FloatMatrix, part: Part) -> NDArray[np.bool_]:
    """Rows that have the modality."""
    if part.always:
        return np.ones(len(matrix), np.bool_)
    there: NDArray[np.bool_] = (matrix[:, part.shown] != 0).any(axis=1)
    return there
