"""The two baselines."""

import numpy as np
import pytest

from galeno.learning.baselines import fit_logistic, majority_figures, majority_probabilities
from galeno.learning.decision import macro_f1

from .learning_cases import draw_records, make_study


def test_majority_answers_the_most_frequent_class_with_the_shares() -> None:
    labels = np.array([0, 1, 1, 2, -1])
    probabilities = majority_probabilities(labels, 4, 3)
    assert probabilities.tolist() == [[0.25, 0.5, 0.25, 0.0]] * 3
    figures = majority_figures(np.array([0, 1, 1, 1]), make_study(classes=2))
    assert figures["accuracy"] == 0.75
    assert figures["macro_f1"] == pytest.approx((2 * 3 / 7) / 2)
    assert figures["log_loss"] == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def test_plain_logistic_regression_learns_without_balance_or_rule() -> None:
    frame, labels = draw_records(400, seed=1)
    fitted = fit_logistic(make_study(), frame[:300], labels[:300])
    assert [member.choice.candidate.name for member in fitted.members] == ["logistic"]
    probabilities = fitted.probabilities(frame[300:])
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(100))
    assert macro_f1(labels[300:], probabilities.argmax(axis=1)) > 0.5
