"""Members fitted on one set of rows: an assembler and the chosen candidates on its matrix."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.features.assemble import Assembler
from galeno.learning.candidates import FittedCandidate, fit_candidate, quietly
from galeno.model.ensemble import Link
from galeno.records import Candidate, FloatMatrix, Labels, Probabilities
from galeno.study import Study


@dataclass(frozen=True, slots=True)
class Choice:
    """One member of the chosen ensemble, before it is fitted."""

    candidate: Candidate
    weight: float
    link: Link


@dataclass(frozen=True, slots=True)
class FittedMember:
    """One member after fitting."""

    choice: Choice
    fitted: FittedCandidate
    columns: NDArray[np.int64]
    """Columns of the feature matrix that it sees."""


@dataclass(frozen=True, slots=True)
class FittedEnsemble:
    """Members on one assembler."""

    assembler: Assembler
    members: tuple[FittedMember, ...]

    def probabilities(self, frame: pl.DataFrame) -> Probabilities:
        """Weighted mean of the members' probabilities, not calibrated, shape (rows, classes)."""
        return self.mix(self.assembler.transform(frame))

    def mix(self, matrix: FloatMatrix) -> Probabilities:
        """The same from a feature matrix."""
        total = sum(member.choice.weight for member in self.members)
        parts = (
            member.fitted.probabilities(matrix[:, member.columns], member.choice.link)
            * (member.choice.weight / total)
            for member in self.members
        )
        mixed: Probabilities = np.sum(list(parts), axis=0)
        return mixed


def fit_ensemble(
    choices: Sequence[Choice], study: Study, frame: pl.DataFrame, labels: Labels, *, threads: int
) -> FittedEnsemble:
    """Fit the assembler and all members on the same rows.

    Args:
        choices: the members.
        study: says how records become features, and the seed.
        frame: typed rows.
        labels: class index of each row, none of them -1.
        threads: members that are fitted side by side.

    Raises:
        LearningError: a member cannot be fitted on these rows.
    """
    assembler, matrix = Assembler.fit(study, frame, labels, study.seed, threads)

    def fit(choice: Choice) -> FittedMember:
        columns = assembler.view(choice.candidate.view)
        seen = np.ascontiguousarray(matrix[:, columns])
        fitted = fit_candidate(choice.candidate, seen, labels, n_classes=len(study.classes), seed=study.seed)
        return FittedMember(choice, fitted, columns)

    with quietly(), ThreadPoolExecutor(threads) as pool:
        return FittedEnsemble(assembler, tuple(pool.map(fit, choices)))
