"""What a search found out, kept on disk trial by trial, so that a killed search goes on."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from galeno.model.ensemble import Link
from galeno.records import Candidate, Probabilities
from galeno.storage.atomic import read_json, write_bytes, write_json

Outcome = Literal["judged", "pruned", "failed", "out_of_time"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate, judged on folds that it was not fitted on."""

    number: int
    candidate: Candidate
    outcome: Outcome
    score: float | None
    """Selection score; None unless judged."""
    figures: Mapping[str, float]
    link: Link
    seconds: float
    reason: str = ""
    """Why it was not judged to the end."""
    suggested: Mapping[str, Any] | None = None
    """Parameters that the optimiser proposed; None for the portfolio."""
    probabilities: Probabilities | None = None
    """Out-of-fold probabilities, shape (rows, classes)."""

    @property
    def judged(self) -> Probabilities:
        """The out-of-fold probabilities of a trial that was judged.

        Raises:
            ValueError: it was not.
        """
        if self.probabilities is None:
            raise ValueError(f"trial {self.number} was not judged")
        return self.probabilities


class TrialFolder:
    """Trials as files: `0007.json`, and `0007.npy` with its out-of-fold probabilities."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> list[Trial]:
        """All trials that were finished, in order."""
        trials: list[Trial] = []
        while (self._folder / f"{len(trials):04d}.json").is_file():
            trials.append(self._read(len(trials)))
        return trials

    def write(self, trial: Trial) -> Trial:
        """Keep a trial, and give it back as it will be read: probabilities rounded to float32."""
        stem = self._folder / f"{trial.number:04d}"
        if trial.probabilities is not None:
            buffer = io.BytesIO()
            np.save(buffer, trial.probabilities.astype(np.float32), allow_pickle=False)
            write_bytes(stem.with_suffix(".npy"), buffer.getvalue())
        facts = {
            **asdict(replace(trial, probabilities=None)),
            "link": trial.link.to_dict(),
        }
        write_json(stem.with_suffix(".json"), facts)
        return self._read(trial.number)

    def _read(self, number: int) -> Trial:
        stem = self._folder / f"{number:04d}"
        facts = read_json(stem.with_suffix(".json"))
        # the array of an attempt that was killed may lie beside a trial that then was not judged
        judged = facts["outcome"] == "judged"
        return Trial(
            **{
                **facts,
                "candidate": Candidate(**facts["candidate"]),
                "link": Link.from_dict(facts["link"]),
                "probabilities": self._read_array(stem.with_suffix(".npy")) if judged else None,
            }
        )

    @staticmethod
    def _read_array(path: Path) -> Probabilities:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
