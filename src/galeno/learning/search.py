"""The search: a fixed portfolio first, then Optuna, until the budget ends.

A trial depends on the study, the rows and the trials before it, and on nothing
else; so a search that was killed and goes on tries the same candidates, and a
budget in trials gives the same outcome anywhere. A budget in minutes counts the
seconds of earlier trials too.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from galeno.errors import LearningError
from galeno.learning.candidates import FittedCandidate, fit_candidate, quietly
from galeno.learning.folds import Fold, prepare_folds
from galeno.learning.links import fit_link
from galeno.learning.portfolio import allows, is_loadable, portfolio
from galeno.learning.score import score_candidate
from galeno.learning.trials import Outcome, Trial, TrialFolder
from galeno.learning.tuning import Proposal, propose
from galeno.model.ensemble import Link
from galeno.progress import Reporter, SearchProgress
from galeno.records import Candidate, Labels, Probabilities
from galeno.study import Study

FIRST_FOLDS = 2
"""Folds after which a hopeless candidate, or one that is too slow, is given up."""
HOPELESS = 0.15
"""How far below the best candidate on the same folds is hopeless."""
SEARCH_SHARE = 0.8
"""Share of a budget in minutes that is searched; in the rest the members are fitted and refitted."""
PATIENCE = 40
"""Optimised trials without a better one that end the search."""

_Outputs = list[tuple[FittedCandidate, Probabilities]]


@dataclass(frozen=True, slots=True)
class Bench:
    """What candidates are judged on."""

    study: Study
    labels: Labels
    folds: Sequence[Fold]
    threads: int

    @property
    def n_classes(self) -> int:
        """Classes of the study."""
        return len(self.study.classes)

    def seen(self, numbers: Sequence[int]) -> Labels:
        """Rows that are held out in these folds, ascending, each once."""
        return np.unique(np.concatenate([self.folds[number].held_out for number in numbers]))


def search(
    study: Study,
    frame: pl.DataFrame,
    labels: Labels,
    divisions: Sequence[Labels],
    folder: Path,
    *,
    threads: int,
    reporter: Reporter,
) -> list[Trial]:
    """Try candidates until the budget ends.

    Args:
        study: families, balancing strategies, budget and seed.
        frame: the training part.
        labels: class index of each row.
        divisions: fold number of each row, once or for repeated cross-validation.
        folder: keeps trials and, while the search runs, fold matrices.
        threads: folds fitted side by side, one thread each.
        reporter: told before each candidate.

    Returns:
        All trials, in order.

    Raises:
        LearningError: no candidate could be judged.
    """
    for family in study.learning.families:
        if not is_loadable(family):
            reporter.note(
                f"{family} is left out: its library does not load (Debian: apt-get install libgomp1)"
            )
    store = TrialFolder(folder)
    trials = store.read()
    clock = _Clock.of(study, trials)
    with threadpool_limits(limits=1):
        bench = Bench(
            study, labels, prepare_folds(study, frame, labels, divisions, folder, threads=threads), threads
        )
        for number, proposal in _proposals(bench, trials):
            best = _best(trials, study)
            if best is not None and clock.over(len(trials)):
                break
            reporter.search(_progress(study, trials, clock, proposal.candidate.name))
            trials.append(store.write(judge(proposal, number, bench, best=best, seconds_left=clock.left())))
    reporter.search(_progress(study, trials, clock, ""))
    for path in folder.glob("fold-*.npy"):
        path.unlink()
    if _best(trials, study) is None:
        reasons = "; ".join(
            sorted({f"{trial.candidate.name}: {trial.reason}" for trial in trials if trial.reason})
        )
        raise LearningError(f"no candidate could be fitted ({reasons})", where=f"study {study.name}")
    return trials


def judge(proposal: Proposal, number: int, bench: Bench, *, best: Trial | None, seconds_left: float) -> Trial:
    """Fit one candidate on every fold and judge it on the rows held out.

    Args:
        proposal: the candidate.
        number: of the trial.
        bench: labels and folds.
        best: the best trial so far; a candidate far below it on the first folds is given up.
        seconds_left: of the budget; a candidate that would overrun it is given up after the first folds.
    """
    started = time.monotonic()
    candidate = proposal.candidate
    first = range(min(FIRST_FOLDS, len(bench.folds)))
    rest = range(len(first), len(bench.folds))

    def ended(outcome: Outcome, reason: str) -> Trial:
        spent = time.monotonic() - started
        return Trial(number, candidate, outcome, None, {}, Link(), spent, reason, proposal.suggested)

    try:
        outputs = _fit_folds(candidate, bench, first)
        if best is not None and rest:
            spent = time.monotonic() - started
            if spent * len(rest) / len(first) > max(seconds_left - spent, 0):
                return ended("out_of_time", "would overrun the time budget")
            if _score_on(outputs, bench, first) < _known_score(best, bench, first) - HOPELESS:
                return ended("pruned", "far below the best on the first folds")
        outputs += _fit_folds(candidate, bench, rest)
    except LearningError as error:
        return ended("failed", error.what)
    link, probabilities = _join(outputs, bench, range(len(bench.folds)))
    figures = score_candidate(probabilities, bench.labels, bench.study)
    return Trial(
        number=number,
        candidate=candidate,
        outcome="judged",
        score=figures["score"],
        figures=figures,
        link=link,
        seconds=time.monotonic() - started,
        suggested=proposal.suggested,
        probabilities=probabilities,
    )


def _fit_folds(candidate: Candidate, bench: Bench, numbers: Sequence[int]) -> _Outputs:
    def fit(number: int) -> tuple[FittedCandidate, Probabilities]:
        fold = bench.folds[number]
        columns = fold.views.get(candidate.view)
        if columns is None:
            raise LearningError(f"a fold has no rows for the view {candidate.view!r}")
        fitted = fit_candidate(
            candidate,
            np.ascontiguousarray(fold.matrix[:, columns]),
            bench.labels[fold.fitting],
            n_classes=bench.n_classes,
            seed=bench.study.seed,
        )
        return fitted, fitted.output(np.ascontiguousarray(fold.held_out_matrix[:, columns]))

    with quietly(), ThreadPoolExecutor(bench.threads) as pool:
        return list(pool.map(fit, numbers))


def _join(outputs: _Outputs, bench: Bench, numbers: Sequence[int]) -> tuple[Link, Probabilities]:
    """Held-out probabilities of all rows, averaged over repeats; rows of other folds stay zero."""
    link = fit_link(
        outputs, [bench.labels[bench.folds[number].held_out] for number in numbers], bench.n_classes
    )
    total = np.zeros((len(bench.labels), bench.n_classes))
    times = np.zeros(len(bench.labels))
    for (fitted, output), number in zip(outputs, numbers, strict=True):
        held_out_rows = bench.folds[number].held_out
        total[held_out_rows] += fitted.spread(output, link)
        times[held_out_rows] += 1
    return link, total / np.maximum(times, 1)[:, None]


def _score_on(outputs: _Outputs, bench: Bench, numbers: Sequence[int]) -> float:
    rows = bench.seen(numbers)
    _, probabilities = _join(outputs, bench, numbers)
    return score_candidate(probabilities[rows], bench.labels[rows], bench.study)["score"]


def _known_score(trial: Trial, bench: Bench, numbers: Sequence[int]) -> float:
    rows = bench.seen(numbers)
    return score_candidate(trial.judged[rows], bench.labels[rows], bench.study)["score"]


def _best(trials: Sequence[Trial], study: Study) -> Trial | None:
    """Among what the study allows: a baseline that cannot be selected must not end or prune the search."""
    judged = [trial for trial in trials if trial.score is not None and allows(study, trial.candidate)]
    return max(judged, key=lambda trial: (trial.score or 0.0, -trial.number), default=None)


def _proposals(bench: Bench, trials: list[Trial]) -> Iterator[tuple[int, Proposal]]:
    """What to try next: the portfolio, then what Optuna proposes from the trials so far (the list grows)."""
    fixed = portfolio(bench.study, len(bench.labels))
    for number in count(len(trials)):
        if number < len(fixed):
            yield number, Proposal(fixed[number], None)
            continue
        best = _best(trials, bench.study)
        if number - max(best.number if best else 0, len(fixed) - 1) > PATIENCE:
            return
        yield number, propose(bench.study, trials, number, len(bench.labels))


@dataclass(frozen=True, slots=True)
class _Clock:
    """The budget, with the time spent in this process and in those that were killed.

    The baseline is judged besides: it does not count as a trial.
    """

    seconds: float
    trials: float
    ends: float

    @classmethod
    def of(cls, study: Study, trials: Sequence[Trial]) -> "_Clock":
        budget = study.learning.budget
        seconds = np.inf if budget.trials else budget.minutes * 60 * SEARCH_SHARE
        spent = sum(trial.seconds for trial in trials)
        return cls(seconds, budget.trials or np.inf, time.monotonic() + seconds - spent)

    def left(self) -> float:
        return self.ends - time.monotonic()

    def over(self, tried: int) -> bool:
        return tried > self.trials or self.left() <= 0

    def fraction(self, tried: int) -> float:
        if np.isfinite(self.trials):
            return min(tried / (self.trials + 1), 1.0)
        return float(np.clip(1 - self.left() / self.seconds, 0, 1))


def _progress(study: Study, trials: Sequence[Trial], clock: _Clock, trying: str) -> SearchProgress:
    best = _best(trials, study)
    return SearchProgress(
        tried=len(trials),
        fraction=clock.fraction(len(trials)) if trying else 1.0,
        trying=trying,
        best=best.candidate.name if best else "",
        score=best.score if best else None,
    )
