"""The selection score: macro-F1 and the recall of the rare classes, as the study weighs them."""

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import recall_score

from galeno.learning.score import finish, log_loss, score_candidate
from galeno.model.decision import DecisionRule
from galeno.records import Labels, Probabilities

from .learning_cases import judged_rows, make_study


@given(judged_rows())
@settings(max_examples=50, deadline=None)
def test_it_lies_between_its_two_parts(case: tuple[Probabilities, Labels]) -> None:
    probabilities, labels = case
    study = make_study(classes=probabilities.shape[1], rare=[1], rare_weight=0.3)
    figures = score_candidate(probabilities, labels, study)
    assert all(np.isfinite(value) for value in figures.values())
    parts = sorted([figures["macro_f1"], figures["rare_recall"]])
    assert parts[0] - 1e-12 <= figures["score"] <= parts[1] + 1e-12
    assert 0 <= figures["score"] <= 1
    calibration, decision = finish(probabilities, labels, study)
    answers = decision.answers(calibration.apply(probabilities))
    if (labels == 1).any():
        expected = recall_score(labels, answers, labels=[1], average="macro", zero_division=0)
        assert figures["rare_recall"] == pytest.approx(expected)
        assert figures["score"] == pytest.approx(0.7 * figures["macro_f1"] + 0.3 * expected)


@given(judged_rows())
@settings(max_examples=25, deadline=None)
def test_without_rare_classes_it_is_macro_f1(case: tuple[Probabilities, Labels]) -> None:
    probabilities, labels = case
    figures = score_candidate(probabilities, labels, make_study(classes=probabilities.shape[1]))
    assert figures["score"] == figures["macro_f1"]


@given(judged_rows())
@settings(max_examples=25, deadline=None)
def test_the_rule_for_macro_f1_never_lowers_it(case: tuple[Probabilities, Labels]) -> None:
    probabilities, labels = case
    scores = {
        decision: score_candidate(
            probabilities, labels, make_study(classes=probabilities.shape[1], decision=decision)
        )["score"]
        for decision in ("probability", "macro_f1")
    }
    assert scores["macro_f1"] >= scores["probability"]


def test_the_study_says_how_it_is_finished() -> None:
    probabilities = np.full((6, 3), 1 / 3)
    labels = np.array([0, 1, 2, 0, 1, 2])
    calibration, decision = finish(
        probabilities, labels, make_study(calibration="none", decision="probability")
    )
    assert calibration.kind == "none"
    assert decision == DecisionRule.plain(3)
    calibration, _ = finish(probabilities, labels, make_study(calibration="vector"))
    assert calibration.kind == "vector"


def test_one_absurd_answer_does_not_decide() -> None:
    probabilities = np.array([[1.0, 0.0], [0.9, 0.1]])
    assert log_loss(probabilities, np.array([1, 0])) == pytest.approx((-np.log(1e-4) - np.log(0.9)) / 2)
