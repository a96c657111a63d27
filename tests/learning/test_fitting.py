"""Members fitted together answer as their weighted mean, whatever the number of threads."""

import numpy as np
import pytest

from galeno.learning.fitting import Choice, fit_ensemble
from galeno.model.ensemble import Link
from galeno.records import Candidate

from .learning_cases import QUICK, draw_records, make_study

CHOICES = (
    Choice(Candidate("logistic", "smote", QUICK["logistic"], "linear"), 0.5, Link()),
    Choice(
        Candidate("xgboost", "weights", QUICK["xgboost"], "dense"),
        0.25,
        Link("log", (0.7,) * 3, (0.1, 0.0, -0.1)),
    ),
    Choice(Candidate("svm", "none", QUICK["svm"], "linear"), 0.25, Link("softmax", (2.0,) * 3, (0.0,) * 3)),
)


def test_the_answer_is_the_weighted_mean_of_the_members() -> None:
    frame, labels = draw_records(200, seed=1)
    study = make_study()
    ensemble = fit_ensemble(CHOICES, study, frame, labels, threads=1)
    fresh, _ = draw_records(40, seed=2)
    expected = np.zeros((40, 3))
    for choice in CHOICES:
        alone = fit_ensemble([choice], study, frame, labels, threads=1)
        expected += choice.weight * alone.probabilities(fresh)
    found = ensemble.probabilities(fresh)
    assert found == pytest.approx(expected)
    assert found.sum(axis=1) == pytest.approx(np.ones(40))


def test_threads_change_nothing() -> None:
    frame, labels = draw_records(200, seed=3)
    one, two = (
        fit_ensemble(CHOICES, make_study(), frame, labels, threads=threads).probabilities(frame)
        for threads in (1, 2)
    )
    assert (one == two).all()


def test_weights_need_not_sum_to_one() -> None:
    frame, labels = draw_records(100, seed=4)
    choices = [Choice(choice.candidate, choice.weight * 7, choice.link) for choice in CHOICES]
    one, other = (
        fit_ensemble(each, make_study(), frame, labels, threads=1).probabilities(frame)
        for each in (CHOICES, choices)
    )
    assert one == pytest.approx(other)
