"""Proposals keep to the study, do not depend on interruptions, and can be fitted."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.learning.candidates import fit_candidate, quietly
from galeno.learning.portfolio import view_of
from galeno.learning.trials import Trial, TrialFolder
from galeno.learning.tuning import LEADING, propose
from galeno.model.ensemble import Link
from galeno.records import Candidate
from galeno.study import BALANCES, FAMILIES, Study

from .learning_cases import draw_matrix, make_study


def told(study: Study, count: int, seed: int) -> list[Trial]:
    """Trials with random scores, some of them failed, each proposed from those before it."""
    rng = np.random.default_rng(seed)
    trials: list[Trial] = []
    for number in range(count):
        proposal = propose(study, trials, number, 100)
        score = None if rng.random() < 0.2 else float(rng.random())
        trials.append(
            Trial(
                number,
                proposal.candidate,
                "failed" if score is None else "judged",
                score,
                {},
                Link(),
                0.1,
                suggested=proposal.suggested,
                probabilities=None if score is None else np.full((2, 3), 1 / 3),
            )
        )
    return trials


@given(
    st.lists(st.sampled_from(FAMILIES), min_size=1, unique=True),
    st.lists(st.sampled_from(BALANCES), min_size=1, unique=True),
    st.integers(0, 100),
)
@settings(max_examples=10, deadline=None)
def test_they_keep_to_the_study(families: list[str], balances: list[str], seed: int) -> None:
    for trial in told(make_study(families=families, balance=balances, seed=seed), 8, seed):
        assert trial.candidate.family in families
        assert trial.candidate.balance in balances
        assert trial.candidate.view == view_of(trial.candidate.family)  # type: ignore[arg-type]
        assert ("power" in trial.candidate.params) == (trial.candidate.balance == "weights")


def test_they_are_the_same_from_trials_that_were_read_back(tmp_path: Path) -> None:
    study = make_study(families=["xgboost", "mlp"])
    trials = told(study, 14, 1)
    folder = TrialFolder(tmp_path)
    for trial in trials:
        folder.write(trial)
    for count in (6, 10, 14):
        one, other = (
            propose(study, trials[:count], count, 100),
            propose(study, folder.read()[:count], count, 100),
        )
        assert json.dumps(one.candidate.params) == json.dumps(other.candidate.params)
        assert one.suggested == other.suggested


def test_leading_families_are_tried_most_and_the_others_in_turn() -> None:
    scores = {"tree": 0.9, "logistic": 0.8, "forest": 0.7, "extra_trees": 0.6, "xgboost": 0.5}
    study = make_study(families=list(scores))
    trials = [
        Trial(number, Candidate(family, "none"), "judged", score, {}, Link(), 0.1)
        for number, (family, score) in enumerate(scores.items())
    ]
    turns = 4
    families = [propose(study, trials, n, 100).candidate.family for n in range(turns * (LEADING + 1))]
    assert [families.count(name) for name in scores] == [turns, turns, turns, turns // 2, turns // 2]


def test_one_family_alone_is_always_tried() -> None:
    study = make_study(families=["tree"])
    assert {propose(study, [], number, 100).candidate.family for number in range(8)} == {"tree"}


def test_it_learns_where_the_good_values_are() -> None:
    """The score is highest at C = 1: later proposals lie nearer to it than one decade, which is chance."""
    late: list[float] = []
    for seed in range(4):
        study = make_study(families=["logistic"], balance=["none"], seed=1000 * seed)
        trials: list[Trial] = []
        for number in range(24):
            proposal = propose(study, trials, number, 100)
            score = 1 - abs(np.log10(proposal.candidate.params["C"])) / 2
            trials.append(
                Trial(
                    number, proposal.candidate, "judged", score, {}, Link(), 0.1, suggested=proposal.suggested
                )
            )
        late += [2 * (1 - (trial.score or 0)) for trial in trials[12:]]
    assert np.mean(late) < 0.75


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_proposed_can_be_fitted(family: str) -> None:
    matrix, labels = draw_matrix(60, seed=1)
    study = make_study(families=[family], balance=["none", "weights"])
    candidate = propose(study, [], 5, 60).candidate
    with quietly():
        fitted = fit_candidate(candidate, matrix, labels, n_classes=3, seed=1)
    assert fitted.output(matrix).shape == (60, 3)
