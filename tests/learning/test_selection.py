"""What is selected comes from the study's families, not clearly worse than the best single candidate."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import LearningError
from galeno.learning.decision import macro_f1
from galeno.learning.score import log_loss, score_candidate
from galeno.learning.selection import Selection, select
from galeno.learning.trials import Trial
from galeno.records import Labels, Probabilities
from galeno.study import Study

from .learning_cases import make_study, make_trial


def draw_trials(
    study: Study, rows: int, qualities: list[float], seed: int, family: str = "tree"
) -> tuple[list[Trial], Labels]:
    """Trials whose probabilities point at the labels as well as their quality says (0: not at all)."""
    rng = np.random.default_rng(seed)
    classes = len(study.classes)
    labels = rng.integers(0, classes, rows)
    trials = []
    for number, quality in enumerate(qualities):
        scores = quality * np.eye(classes)[labels] + rng.normal(size=(rows, classes))
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        trials.append(make_trial(number, probabilities, labels, study, family=family))
    return trials, labels.astype(np.int64)


def mixed(selection: Selection, trials: list[Trial]) -> Probabilities:
    by_candidate = {str(trial.candidate): trial.judged for trial in trials}
    parts = [choice.weight * by_candidate[str(choice.candidate)] for choice in selection.choices]
    return np.asarray(np.sum(parts, axis=0) / sum(choice.weight for choice in selection.choices))


@given(
    qualities=st.lists(st.floats(0, 3), min_size=1, max_size=8),
    seed=st.integers(0, 100),
    most=st.integers(1, 5),
    rows=st.integers(20, 150),
)
@settings(max_examples=25, deadline=None)
def test_it_is_an_ensemble_of_trials_with_the_figures_it_says(
    qualities: list[float], seed: int, most: int, rows: int
) -> None:
    study = make_study(ensemble=most)
    trials, labels = draw_trials(study, rows, qualities, seed)
    selection = select(trials, labels, study)
    assert 1 <= len(selection.choices) <= most
    assert sum(choice.weight for choice in selection.choices) == pytest.approx(1, abs=1e-4)
    assert min(choice.weight for choice in selection.choices) > 0
    assert selection.best == max(trials, key=lambda trial: (trial.score or 0, -trial.number)).number
    probabilities = mixed(selection, trials)
    assert selection.figures == pytest.approx(score_candidate(probabilities, labels, study), abs=0.03)
    assert Selection.from_dict(json.loads(json.dumps(selection.to_dict()))) == selection


@given(qualities=st.lists(st.floats(0, 4), min_size=2, max_size=8), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_the_best_single_candidate_is_not_clearly_better(qualities: list[float], seed: int) -> None:
    """Had it won against what was selected in nearly all resamples of the rows, it had been selected."""
    study = make_study(calibration="none", decision="probability")
    trials, labels = draw_trials(study, 120, qualities, seed)
    selection = select(trials, labels, study)
    single = trials[selection.best].judged.argmax(axis=1)
    chosen = mixed(selection, trials).argmax(axis=1)
    rng = np.random.default_rng(seed)
    wins = 0
    for _ in range(300):
        rows = rng.integers(0, 120, 120)
        wins += macro_f1(labels[rows], single[rows]) > macro_f1(labels[rows], chosen[rows])
    assert wins <= 0.99 * 300


def test_candidates_that_err_independently_are_mixed() -> None:
    study = make_study()
    trials, labels = draw_trials(study, 300, [1.5] * 6, 1)
    selection = select(trials, labels, study)
    assert len(selection.choices) > 1
    assert selection.figures["log_loss"] < min(trial.figures["log_loss"] for trial in trials) - 0.05
    assert selection.figures["score"] > max(trial.score or 0 for trial in trials)


def test_one_good_candidate_among_bad_ones_is_nearly_alone() -> None:
    study = make_study()
    trials, labels = draw_trials(study, 300, [0.0, 0.0, 6.0, 0.0], 2)
    selection = select(trials, labels, study)
    assert selection.best == 2
    assert selection.figures["score"] > (trials[2].score or 0) - 0.01
    assert log_loss(mixed(selection, trials), labels) < 2


@given(seed=st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_trials_does_not_matter(seed: int) -> None:
    study = make_study()
    trials, labels = draw_trials(study, 80, [0.5, 1.0, 1.0, 1.5, 0.0], seed)
    shuffled = [trials[i] for i in np.random.default_rng(seed).permutation(len(trials))]
    assert select(shuffled, labels, study) == select(trials, labels, study)


def test_other_families_and_balances_take_no_part() -> None:
    study = make_study(families=["tree"], balance=["none"])
    trials, labels = draw_trials(study, 100, [1.0, 1.5], 3)
    probabilities = np.eye(3)[labels] * 0.9 + 0.1 / 3
    outside = [
        make_trial(2, probabilities, labels, study, family="logistic"),
        make_trial(3, probabilities, labels, study, balance="smote"),
    ]
    assert select([*trials, *outside], labels, study) == select(trials, labels, study)


def test_one_member_is_the_best_single_candidate() -> None:
    study = make_study(ensemble=1)
    trials, labels = draw_trials(study, 100, [1.0, 2.0, 1.5], 4)
    selection = select(trials, labels, study)
    assert [choice.candidate for choice in selection.choices] == [trials[1].candidate]
    assert selection.figures["score"] == pytest.approx(trials[1].score)


def test_nothing_judged_is_an_error() -> None:
    study = make_study(families=["tree"])
    trials, labels = draw_trials(study, 50, [1.0], 5, family="logistic")
    for none in ([], trials):
        with pytest.raises(LearningError, match=r"no candidate of the study's families .*learning\.budget"):
            select(none, labels, study)
