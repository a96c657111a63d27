"""From trials to what is fitted in the end: the best single candidate, or a greedy ensemble where it is better.

Greedy selection with replacement (Caruana et al., Ensemble selection from libraries of models, ICML 2004)
on out-of-fold probabilities.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galeno.errors import LearningError
from galeno.learning.fitting import Choice
from galeno.learning.score import finish, log_loss, score_candidate
from galeno.learning.trials import Trial
from galeno.model.calibration import Calibration
from galeno.model.decision import DecisionRule
from galeno.model.ensemble import Link
from galeno.records import Candidate, Labels, Probabilities
from galeno.study import Study

ROUNDS = 25
POOL = 30
"""Candidates that may enter an ensemble: the best by log loss."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the search led to."""

    choices: tuple[Choice, ...]
    calibration: Calibration
    decision: DecisionRule
    figures: Mapping[str, float]
    """Of the selection, out of fold."""
    best: int
    """Number of the best single trial."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        return {
            "choices": [
                {
                    "candidate": asdict(choice.candidate),
                    "weight": choice.weight,
                    "link": choice.link.to_dict(),
                }
                for choice in self.choices
            ],
            "calibration": self.calibration.to_dict(),
            "decision": self.decision.to_dict(),
            "figures": dict(self.figures),
            "best": self.best,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Selection":
        """The selection that `to_dict` wrote."""
        return cls(
            choices=tuple(
                Choice(Candidate(**each["candidate"]), each["weight"], Link.from_dict(each["link"]))
                for each in data["choices"]
            ),
            calibration=Calibration.from_dict(data["calibration"]),
            decision=DecisionRule.from_dict(data["decision"]),
            figures=data["figures"],
            best=data["best"],
        )


def select(trials: Sequence[Trial], labels: Labels, study: Study) -> Selection:
    """Choose members, and fit calibration and decision rule on their out-of-fold probabilities.

    Args:
        trials: of the search; those not judged, or of families that the study does not allow, are passed over.
        labels: class index of each training row.
        study: size of the ensemble, calibration, decision.

    Raises:
        LearningError: no trial was judged.
    """
    judged = [t for t in trials if t.probabilities is not None and t.candidate.family in study.learning.families]
    if not judged:
        raise LearningError(
            "no candidate of the study's families was judged",
            where="learning.families",
            remedy="Raise learning.budget or allow more families",
        )
    best = max(judged, key=lambda trial: (trial.score or 0.0, -trial.number))
    alone = Counter({best.number: 1})
    options = [alone]
    if study.learning.ensemble > 1 and len(judged) > 1:
        options.append(_grow(judged, labels, study.learning.ensemble))
    by_number = {trial.number: trial for trial in judged}
    scored = [(score_candidate(_mix(option, by_number), labels, study), option) for option in options]
    figures, chosen = max(scored, key=lambda pair: pair[0]["score"])
    calibration, decision = finish(_mix(chosen, by_number), labels, study)
    total = sum(chosen.values())
    choices = tuple(
        Choice(by_number[number].candidate, times / total, by_number[number].link)
        for number, times in sorted(chosen.items())
    )
    return Selection(choices, calibration, decision, figures, best.number)


def _grow(trials: Sequence[Trial], labels: Labels, most: int) -> Counter[int]:
    """How often each trial is taken; the mix with the lowest log loss on the way."""
    pool = {trial.number: trial for trial in sorted(trials, key=lambda t: t.figures["log_loss"])[:POOL]}
    total: Probabilities = np.zeros_like(trials[0].judged)
    taken: Counter[int] = Counter()
    best_loss, best = np.inf, Counter[int]()
    for size in range(1, ROUNDS + 1):
        open_to = pool if len(taken) < most else {number: pool[number] for number in taken}
        losses = {
            number: log_loss((total + trial.judged) / size, labels) for number, trial in open_to.items()
        }
        number = min(losses, key=lambda n: (losses[n], n))
        total = total + pool[number].judged
        taken[number] += 1
        if losses[number] < best_loss - 1e-7:
            best_loss, best = losses[number], Counter(taken)
    return best


def _mix(taken: Mapping[int, int], trials: Mapping[int, Trial]) -> Probabilities:
    parts = [trials[number].judged * times for number, times in sorted(taken.items())]
    mixed: Probabilities = np.sum(parts, axis=0) / sum(taken.values())
    return mixed
