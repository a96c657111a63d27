"""The gate: passed, failed, too few to tell, and the champion."""

import json

import numpy as np
import pytest

from galeno.errors import LearningError, StudyError
from galeno.evaluation.gate import check_gate, decide, gate_from_dict
from galeno.evaluation.judge import judge
from galeno.study import Gate, Judging

CLASSES = ("flu", "cold", "rare")


def evaluation(wrong=10, n=100, patients=None):
    """`wrong` of n rows are answered wrong; the last three rows are the rare class."""
    labels = np.array([0, 1] * (n // 2))
    labels[-3:] = 2
    answers = labels.copy()
    answers[:wrong] = 1 - answers[:wrong]
    probabilities = np.full((n, 3), 0.1) + 0.7 * np.eye(3)[answers]
    owners = np.arange(n) if patients is None else np.arange(n) % patients
    sex = np.where(np.arange(n) % 4 < 2, "F", "M")
    return judge(
        labels,
        probabilities,
        answers,
        None,
        CLASSES,
        owners.astype(str),
        {"sex": sex},
        Judging(bootstrap=0),
        1,
    )


def outcome(gate, **options):
    report = decide(Gate.model_validate(gate), evaluation(**options), None)
    return report.passed, [(v.figure, v.bound, v.outcome) for v in report.verdicts]


def test_the_default_is_accuracy_of_seven_tenths():
    assert outcome({}) == (True, [("accuracy", "min", "passed")])
    assert outcome({}, wrong=31) == (False, [("accuracy", "min", "failed")])
    assert outcome({}, wrong=30)[0]


def test_a_figure_may_have_both_bounds_and_losses_are_bounded_above():
    gate = {"accuracy": {"min": 0.5, "max": 0.8}, "brier": 0.5}
    passed, lines = outcome(gate)
    assert not passed
    assert lines == [("accuracy", "min", "passed"), ("accuracy", "max", "failed"), ("brier", "max", "passed")]


def test_a_gap_is_bounded_above():
    report = decide(Gate.model_validate({"gap": {"sex": {"accuracy": 0.3}}}), evaluation(), None)
    verdict = next(v for v in report.verdicts if v.figure.startswith("gap"))
    assert (verdict.bound, verdict.outcome) == ("max", "passed")


def test_too_few_patients_is_a_verdict_of_its_own():
    gate = {"per_class": {"rare": {"recall": 0.5}}}
    passed, lines = outcome(gate)
    assert not passed
    assert lines[1] == ("per_class.rare.recall", "min", "too_few")
    assert outcome({**gate, "too_few": "allow"})[0]
    assert outcome({**gate, "min_patients": 3})[0]
    report = decide(Gate.model_validate(gate), evaluation(), None)
    assert report.verdicts[1].n == 3
    assert "3 patients" in report.verdicts[1].reason


def test_repeated_rows_of_few_patients_are_too_few():
    assert outcome({}, patients=4) == (False, [("accuracy", "min", "too_few")])


def test_a_group_without_rows_is_too_few():
    _, lines = outcome({"per_group": {"sex": {"X": {"accuracy": 0.5}}}})
    assert lines[1] == ("per_group.sex.X.accuracy", "min", "too_few")


def test_an_undefined_figure_cannot_tell():
    _, lines = outcome({"conformal": {"coverage": 0.8}})
    assert lines[1] == ("conformal.coverage", "min", "too_few")


@pytest.mark.parametrize(
    ("gate", "expected"),
    [({}, False), ({"margin": 0.02}, False), ({"margin": 0.06}, True), ({"champion": "none"}, True)],
)
def test_the_champion_must_be_beaten_up_to_the_margin(gate, expected):
    report = decide(Gate.model_validate(gate), evaluation(wrong=10), evaluation(wrong=5))
    assert report.passed is expected


@pytest.mark.parametrize("figure", ["macro_f1", "accuracy", "balanced_accuracy", "log_loss"])
def test_the_better_one_wins_in_each_figure(figure):
    gate = Gate.model_validate({"champion": figure})
    assert decide(gate, evaluation(wrong=5), evaluation(wrong=10)).passed
    assert not decide(gate, evaluation(wrong=10), evaluation(wrong=5)).passed
    assert decide(gate, evaluation(wrong=5), evaluation(wrong=5)).passed


def test_a_champion_on_other_rows_is_not_compared():
    with pytest.raises(LearningError, match="other rows"):
        decide(Gate.model_validate({}), evaluation(), evaluation(n=98))


@pytest.mark.parametrize(
    ("gate", "hint"),
    [
        ({"acuracy": 0.5}, "Did you mean accuracy"),
        ({"per_class": {"flue": {"recall": 0.5}}}, "Did you mean per_class.flu.recall"),
        ({"gap": {"age": {"accuracy": 0.5}}}, "group columns: sex"),
        ({"per_group": {"sex": {"F": {"acc": 0.5}}}}, "Known figures"),
        ({"per_patient": {"f1": 0.5}}, "Known figures"),
    ],
)
def test_a_figure_that_is_none_is_named_with_the_known_ones(gate, hint):
    with pytest.raises(StudyError, match="is no figure") as caught:
        check_gate(Gate.model_validate(gate), CLASSES, ("sex",))
    assert hint in str(caught.value)
    with pytest.raises(StudyError):
        decide(Gate.model_validate(gate), evaluation(), None)


def test_a_report_survives_json():
    report = decide(Gate.model_validate({"brier": 0.1}), evaluation(), evaluation(wrong=5))
    assert gate_from_dict(json.loads(json.dumps(report.to_dict()))) == report
