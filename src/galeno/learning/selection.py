"""From trials to what is fitted in the end: an ensemble, or a single candidate where that is clearly better.

The best of many candidates by macro-F1 owes part of its lead to luck, the more so the fewer rows there
are; a mix of good ones does not. Half of the mix is greedy selection with replacement by log loss
(Caruana et al., Ensemble selection from libraries of models, ICML 2004), half an equal share for the
candidates that rank best by log loss and score together. The best single candidate is taken only where
it beats the mix in nearly all bootstrap resamples of the out-of-fold rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galeno.errors import LearningError
from galeno.learning.decision import macro_f1
from galeno.learning.fitting import Choice
from galeno.learning.portfolio import allows
from galeno.learning.score import finish, log_loss, score_candidate
from galeno.learning.trials import Trial
from galeno.model.calibration import Calibration
from galeno.model.decision import DecisionRule
from galeno.model.ensemble import Link
from galeno.records import Candidate, Labels, Probabilities
from galeno.study import Study

ROUNDS = 25
"""Additions of the greedy selection."""
POOL = 30
"""Candidates that may enter it: the best by log loss."""
FIRST = 5
"""Candidates with an equal share."""
RESAMPLES = 200
CLEARLY = 0.95
"""Share of resamples in which a single candidate must beat the mix to be taken instead."""


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
        trials: of the search; those not judged, or of families that the study does not allow, are left out.
        labels: class index of each training row.
        study: size of the ensemble, calibration, decision.

    Raises:
        LearningError: no trial was judged.
    """
    judged = [t for t in trials if t.probabilities is not None and allows(study, t.candidate)]
    if not judged:
        raise LearningError(
            "no candidate of the study's families was judged",
            where="learning.families",
            remedy="Raise learning.budget or allow more families",
        )
    best = max(judged, key=lambda trial: (trial.score or 0.0, -trial.number))
    by_number = {trial.number: trial for trial in judged}
    weights = {best.number: 1.0}
    if study.learning.ensemble > 1 and len(judged) > 1:
        mixed = _weigh(judged, labels, study.learning.ensemble)
        if not _clearly_better(best.judged, _mix(mixed, by_number), labels, study):
            weights = mixed
    probabilities = _mix(weights, by_number)
    calibration, decision = finish(probabilities, labels, study)
    choices = tuple(
        Choice(by_number[number].candidate, weight, by_number[number].link)
        for number, weight in sorted(weights.items())
    )
    return Selection(
        choices, calibration, decision, score_candidate(probabilities, labels, study), best.number
    )


def answer_out_of_fold(selection: Selection, trials: Sequence[Trial]) -> Probabilities:
    """Calibrated probabilities of the selection on its training rows, each by members that did not see it.

    Zero where a class had no rows that those members could learn from.
    """
    judged = {trial.number: trial for trial in trials if trial.outcome == "judged"}
    members: dict[int, float] = {}
    for choice in selection.choices:
        number = next(number for number, trial in judged.items() if trial.candidate == choice.candidate)
        members[number] = members.get(number, 0.0) + choice.weight
    mixed = _mix(members, judged)
    answers: Probabilities = np.where(mixed > 0, selection.calibration.apply(mixed), 0.0)
    return answers


def _weigh(trials: Sequence[Trial], labels: Labels, most: int) -> dict[int, float]:
    """Weights of at most so many members, summing to one."""
    taken = _grow(trials, labels, most)
    weights = {number: times / sum(taken.values()) for number, times in taken.items()}
    for trial in _rank(trials)[:FIRST]:
        weights[trial.number] = weights.get(trial.number, 0.0) + 1 / min(FIRST, len(trials))
    heaviest = sorted(weights, key=lambda number: (-weights[number], number))[:most]
    total = sum(weights[number] for number in heaviest)
    return {number: round(weights[number] / total, 6) for number in heaviest}


def _rank(trials: Sequence[Trial]) -> list[Trial]:
    """Best first, by the sum of the ranks by score and by log loss."""
    by_score = sorted(trials, key=lambda trial: (-(trial.score or 0.0), trial.number))
    by_loss = sorted(trials, key=lambda trial: (trial.figures["log_loss"], trial.number))
    places = Counter({trial.number: place for place, trial in enumerate(by_score)})
    places.update({trial.number: place for place, trial in enumerate(by_loss)})
    return sorted(trials, key=lambda trial: (places[trial.number], trial.number))


def _clearly_better(single: Probabilities, mixed: Probabilities, labels: Labels, study: Study) -> bool:
    """Whether the single candidate's macro-F1 is higher in nearly all resamples of the rows."""
    answers = []
    for probabilities in (single, mixed):
        calibration, decision = finish(probabilities, labels, study)
        answers.append(decision.answers(calibration.apply(probabilities)))
    rng = np.random.default_rng(study.seed)
    wins = 0
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(labels), len(labels))
        wins += macro_f1(labels[rows], answers[0][rows]) > macro_f1(labels[rows], answers[1][rows])
    return wins > CLEARLY * RESAMPLES


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


def _mix(weights: Mapping[int, float], trials: Mapping[int, Trial]) -> Probabilities:
    parts = [trials[number].judged * weight for number, weight in sorted(weights.items())]
    mixed: Probabilities = np.sum(parts, axis=0) / sum(weights.values())
    return mixed
