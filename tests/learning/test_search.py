"""A search is the same however often it was interrupted and however many threads it had, and ends in time."""

import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from galeno.errors import LearningError
from galeno.learning.folds import Fold
from galeno.learning.portfolio import BASELINE, portfolio
from galeno.learning.score import score_candidate
from galeno.learning.search import PATIENCE, SEARCH_SHARE, Bench, judge, search
from galeno.learning.selection import select
from galeno.learning.trials import Trial, TrialFolder
from galeno.learning.tuning import Proposal
from galeno.model.ensemble import Link
from galeno.progress import SearchProgress, Silent
from galeno.records import Candidate
from galeno.study import Study

from .learning_cases import QUICK, deal, draw_records, fold_up, learn, make_study

ROWS = 90
TRIALS = 12
"""Enough to go past the portfolio of these families, to what is optimised."""


class Killed(Exception):  # noqa: N818  # no error of the program
    """Stands for the end of the process."""


class Killer(Silent):
    """Ends the search before its candidate of that number."""

    def __init__(self, after: int) -> None:
        self.after = after

    def search(self, progress: SearchProgress) -> None:
        """Count, and end."""
        if progress.tried == self.after:
            raise Killed


class Listener(Silent):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[SearchProgress] = []

    def search(self, progress: SearchProgress) -> None:
        """Keep it."""
        self.heard.append(progress)


def the_study(**learning: Any) -> Study:
    return make_study(
        **{
            "families": ["logistic", "tree"],
            "balance": ["none", "weights"],
            "budget": {"trials": TRIALS},
            **learning,
        }
    )


def facts(trials: list[Trial]) -> list[dict[str, Any]]:
    """All of a trial but its time."""
    return [
        {
            "number": trial.number,
            "candidate": trial.candidate,
            "outcome": trial.outcome,
            "score": trial.score,
            "figures": trial.figures,
            "link": trial.link,
            "suggested": trial.suggested,
            "probabilities": None if trial.probabilities is None else trial.probabilities.tobytes(),
        }
        for trial in trials
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Trial]]:
    """A search that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, learn(the_study(), ROWS, folder)


def test_it_tries_the_baseline_the_portfolio_and_then_what_is_proposed(
    whole: tuple[Path, list[Trial]],
) -> None:
    folder, trials = whole
    fixed = portfolio(the_study(), ROWS)
    assert len(trials) == TRIALS + 1, "the baseline does not count"
    assert [trial.number for trial in trials] == list(range(TRIALS + 1))
    assert trials[0].candidate == BASELINE
    assert [trial.candidate for trial in trials[: len(fixed)]] == fixed
    assert len(fixed) < TRIALS
    assert all((trial.suggested is None) == (trial.number < len(fixed)) for trial in trials)
    assert not list(folder.glob("fold-*")), "fold matrices are patient data and are removed"


def test_trials_hold_what_they_were_judged_by(whole: tuple[Path, list[Trial]]) -> None:
    _, labels = draw_records(ROWS)
    for trial in whole[1]:
        if trial.outcome == "judged":
            assert trial.judged.shape == (ROWS, 3)
            assert trial.judged.sum(axis=1) == pytest.approx(np.ones(ROWS), abs=1e-5)
            figures = score_candidate(trial.judged, labels, the_study())
            assert trial.figures == pytest.approx(figures, abs=0.02)
            assert trial.score == trial.figures["score"]
        else:
            assert trial.score is None
            assert trial.reason


@pytest.mark.parametrize("after", [0, 1, 4, TRIALS - 1])
def test_a_killed_search_goes_on_to_the_same_end(
    after: int, whole: tuple[Path, list[Trial]], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        learn(the_study(), ROWS, tmp_path, reporter=Killer(after))
    assert len(TrialFolder(tmp_path).read()) == after
    resumed = learn(the_study(), ROWS, tmp_path)
    assert facts(resumed) == facts(whole[1])
    _, labels = draw_records(ROWS)
    assert select(resumed, labels, the_study()) == select(whole[1], labels, the_study())


def test_lost_trials_are_found_again(whole: tuple[Path, list[Trial]], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "0009.json").unlink()  # its array is left, as by a kill between the two files
    (tmp_path / "0011.npy").unlink(missing_ok=True)
    (tmp_path / "0011.json").unlink()
    assert facts(learn(the_study(), ROWS, tmp_path)) == facts(whole[1])


def test_threads_change_nothing(whole: tuple[Path, list[Trial]], tmp_path: Path) -> None:
    assert facts(learn(the_study(), ROWS, tmp_path, threads=2)) == facts(whole[1])


def test_a_finished_search_fits_nothing_more(whole: tuple[Path, list[Trial]], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    learn(the_study(), ROWS, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_it_tells_what_it_does(tmp_path: Path) -> None:
    listener = Listener()
    trials = learn(the_study(budget={"trials": 3}), ROWS, tmp_path, reporter=listener)
    heard = listener.heard
    assert [progress.trying for progress in heard] == [*(trial.candidate.name for trial in trials), ""]
    assert [progress.tried for progress in heard] == [0, 1, 2, 3, 4]
    assert [progress.fraction for progress in heard] == sorted(progress.fraction for progress in heard)
    assert heard[-1].fraction == 1
    assert heard[-1].score == max(trial.score or 0 for trial in trials)


def test_minutes_end_it_near_their_time(tmp_path: Path) -> None:
    started = time.monotonic()
    trials = learn(the_study(budget={"minutes": 0.03}), 300, tmp_path)
    spent = time.monotonic() - started
    assert spent < 1.8 + 15  # one candidate may be under way, and the machine busy
    assert spent >= 1.8 * SEARCH_SHARE or len(trials) > PATIENCE
    assert trials[0].outcome == "judged"


@pytest.mark.parametrize("families", [["logistic", "tree"], ["tree"]])
def test_without_any_time_there_is_still_a_model(families: list[str], tmp_path: Path) -> None:
    study = the_study(budget={"minutes": 1e-6}, families=families)
    trials = learn(study, ROWS, tmp_path)
    assert trials[0].candidate == BASELINE
    assert trials[0].outcome == "judged"
    assert len(trials) <= 2
    _, labels = draw_records(ROWS)
    assert {choice.candidate.family for choice in select(trials, labels, study).choices} <= set(families)


def test_time_spent_before_a_kill_counts(tmp_path: Path) -> None:
    study = the_study(budget={"minutes": 1.0})
    with pytest.raises(Killed):
        learn(study, ROWS, tmp_path, reporter=Killer(1))
    folder = TrialFolder(tmp_path)
    folder.write(replace(folder.read()[0], seconds=61.0))
    assert len(learn(study, ROWS, tmp_path)) == 1


def test_the_baseline_is_no_measure_for_families_that_the_study_allows(tmp_path: Path) -> None:
    """Logistic regression is far better here, but this study wants a tree: it gets the best tree."""
    rng = np.random.default_rng(1)
    frame, _ = draw_records(150, classes=2)
    x = rng.normal(size=(150, 3))
    frame = frame.with_columns(x0=x[:, 0], x1=x[:, 1], x2=x[:, 2])
    labels = (x.sum(axis=1) > 0).astype(np.int64)
    study = the_study(classes=2, families=["tree"], budget={"trials": 4})
    trials = search(study, frame, labels, [deal(150)], tmp_path, threads=1, reporter=Silent())
    assert trials[0].figures["macro_f1"] > 0.9
    judged = [trial for trial in trials[1:] if trial.outcome == "judged"]
    assert judged, "every tree was given up"
    selection = select(trials, labels, study)
    assert {choice.candidate.family for choice in selection.choices} == {"tree"}


def test_balances_that_the_study_does_not_allow_are_not_selected(tmp_path: Path) -> None:
    study = the_study(families=["logistic"], balance=["weights"], budget={"trials": 3})
    trials = learn(study, ROWS, tmp_path)
    _, labels = draw_records(ROWS)
    assert {choice.candidate.balance for choice in select(trials, labels, study).choices} == {"weights"}


def test_a_search_in_which_nothing_can_be_fitted_ends_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(candidate: Candidate, *_: object, **__: object) -> None:
        raise LearningError(f"{candidate.name} cannot be fitted (ValueError)")

    monkeypatch.setattr("galeno.learning.search.fit_candidate", refuse)
    with pytest.raises(LearningError, match=r"no candidate could be fitted .*tree cannot be fitted"):
        learn(the_study(), ROWS, tmp_path)


def bench_of(study: Study, folder: Path, classes: int = 3) -> Bench:
    frame, labels = draw_records(ROWS, classes=classes)
    return Bench(study, labels, fold_up(study, frame, labels, folder), 1)


def test_a_hopeless_candidate_and_a_slow_one_are_given_up(tmp_path: Path) -> None:
    bench = bench_of(the_study(), tmp_path)
    good = judge(
        Proposal(Candidate("tree", "none", QUICK["tree"], "dense"), None), 0, bench, best=None, seconds_left=9
    )
    assert good.outcome == "judged"
    stump = Proposal(Candidate("mlp", "none", {"hidden_layer_sizes": [2], "max_iter": 1}, "linear"), None)
    perfect = replace(good, probabilities=np.eye(3)[bench.labels])
    pruned = judge(stump, 1, bench, best=perfect, seconds_left=np.inf)
    assert (pruned.outcome, pruned.score, pruned.probabilities) == ("pruned", None, None)
    slow = judge(stump, 1, bench, best=good, seconds_left=0)
    assert slow.outcome == "out_of_time"
    assert judge(stump, 1, bench, best=None, seconds_left=0).outcome == "judged", (
        "the first is judged at any price"
    )


def test_folds_that_lack_a_class_are_judged(tmp_path: Path) -> None:
    """One patient of class 2: the fold that holds it out has not seen the class."""
    frame, labels = draw_records(ROWS)
    kept = np.sort(np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:1]]))
    study = the_study(families=["logistic", "tree", "svm", "xgboost"], budget={"trials": 4})
    trials = search(
        study, frame[kept], labels[kept], [deal(len(kept))], tmp_path, threads=1, reporter=Silent()
    )
    assert {trial.outcome for trial in trials} <= {"judged", "pruned"}
    select(trials, labels[kept], study)


def test_repeated_cross_validation_averages_over_the_repeats(tmp_path: Path) -> None:
    frame, labels = draw_records(ROWS)
    study = the_study(budget={"trials": 2})
    divisions = [deal(ROWS), np.roll(deal(ROWS), 1)]
    trials = search(study, frame, labels, divisions, tmp_path, threads=1, reporter=Silent())
    assert all(trial.judged.sum(axis=1) == pytest.approx(np.ones(ROWS), abs=1e-5) for trial in trials)


def test_fits_side_by_side_leave_the_filters_of_warnings_alone(tmp_path: Path) -> None:
    before = list(warnings.filters)
    bench = replace(bench_of(the_study(), tmp_path), threads=4)
    for number in range(4):
        hasty = Candidate("mlp", "smote", {"hidden_layer_sizes": [2], "max_iter": 1 + number % 3}, "linear")
        judge(Proposal(hasty, None), number, bench, best=None, seconds_left=np.inf)
    assert warnings.filters == before


def test_rows_held_out_are_never_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SMOTE is given are the fold's fitting rows, all of them and no others."""
    given: list[bytes] = []

    def watch(matrix: Any, labels: Any, *rest: Any) -> Any:
        given.append(matrix.tobytes() + labels.tobytes())
        return matrix, labels

    monkeypatch.setattr("galeno.learning.candidates.resample", watch)
    bench = bench_of(the_study(), tmp_path)
    trial = judge(
        Proposal(Candidate("tree", "smote", QUICK["tree"], "all"), None),
        0,
        bench,
        best=None,
        seconds_left=np.inf,
    )
    assert trial.outcome == "judged"
    folds: list[Fold] = list(bench.folds)
    expected = [
        fold.matrix[:, fold.views["all"]].tobytes() + bench.labels[fold.fitting].tobytes() for fold in folds
    ]
    assert sorted(given) == sorted(expected)
    assert trial.link != Link()
