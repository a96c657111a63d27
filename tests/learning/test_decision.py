"""The rule for macro-F1: never worse than the plain one where it was learned, better for scarce classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from galeno.learning.decision import fit_balanced, fit_decision, macro_f1
from galeno.model.decision import DecisionRule
from galeno.records import Labels, Probabilities

from .learning_cases import judged_rows

SHARES = np.array([0.9, 0.06, 0.03, 0.01])


def draw_scarce(rows: int, seed: int) -> tuple[Probabilities, Labels]:
    """True class probabilities of a problem with scarce classes, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    centers = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5], [1.5, 1.5]])
    labels = rng.choice(4, rows, p=SHARES)
    x = centers[labels] + rng.normal(size=(rows, 2))
    density = SHARES * np.exp(-0.5 * ((x[:, None] - centers) ** 2).sum(axis=2))
    return density / density.sum(axis=1, keepdims=True), labels.astype(np.int64)


@given(judged_rows())
@settings(max_examples=50, deadline=None)
def test_it_is_never_worse_than_the_plain_rule_on_its_own_rows(case: tuple[Probabilities, Labels]) -> None:
    probabilities, labels = case
    rule = fit_decision(probabilities, labels)
    plain = DecisionRule.plain(probabilities.shape[1])
    learned = macro_f1(labels, rule.answers(probabilities))
    assert learned >= macro_f1(labels, plain.answers(probabilities))
    assert len(rule.weights) == probabilities.shape[1]
    assert min(rule.weights) > 0


@given(judged_rows(), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_it_does_not_depend_on_the_order_of_the_rows(case: tuple[Probabilities, Labels], seed: int) -> None:
    probabilities, labels = case
    order = np.random.default_rng(seed).permutation(len(labels))
    one, other = fit_decision(probabilities, labels), fit_decision(probabilities[order], labels[order])
    assert other.weights == pytest.approx(one.weights, rel=1e-6)
    assert other.offsets == pytest.approx(one.offsets, rel=1e-6)


def test_the_learned_rule_ranks_by_weight_and_offset() -> None:
    probabilities, labels = draw_scarce(4000, 1)
    rule = fit_decision(probabilities, labels)
    assert rule.offsets, "the plain rule was kept, although the affine one is better here"
    affine = probabilities * np.array(rule.weights) - np.array(rule.offsets)
    assert rule.answers(probabilities).tolist() == affine.argmax(axis=1).tolist()


def test_scarce_classes_gain_on_rows_that_taught_nothing() -> None:
    """With true probabilities the rule is near the best there is: clearly above the most probable class."""
    rule = fit_decision(*draw_scarce(4000, 1))
    probabilities, labels = draw_scarce(20_000, 2)
    plain = macro_f1(labels, probabilities.argmax(axis=1))
    assert macro_f1(labels, rule.answers(probabilities)) > plain + 0.03


@given(judged_rows(), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_macro_f1_is_that_of_scikit_learn_over_the_classes_in_the_labels(
    case: tuple[Probabilities, Labels], seed: int
) -> None:
    probabilities, labels = case
    answers = np.random.default_rng(seed).integers(0, probabilities.shape[1], len(labels))
    expected = f1_score(labels, answers, labels=np.unique(labels), average="macro", zero_division=0)
    assert macro_f1(labels, answers) == pytest.approx(expected)


def test_the_balanced_rule_does_not_hang_on_the_shares() -> None:
    """The same evidence is named alike, however common the conditions are."""
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(4000, 2)) * 2
    answers = []
    for shares in (np.array([0.5, 0.5]), np.array([0.2, 0.8])):
        likelihood = np.exp(evidence)
        probabilities = likelihood * shares
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        # rows drawn so that the probabilities are calibrated
        chance = (likelihood @ shares) / likelihood.sum(axis=1)
        kept = rng.random(4000) < chance
        labels = (rng.random(4000) < probabilities[:, 1]).astype(np.int64)
        answers.append(fit_balanced(probabilities[kept], labels[kept]).answers(probabilities))
    assert (answers[0] == answers[1]).mean() > 0.9
    plain = [DecisionRule.plain(2).answers(evidence + np.log([0.2, 0.8])) for _ in range(1)]
    assert (plain[0] == answers[0]).mean() < 0.85


def test_the_balanced_rule_lifts_the_mean_recall() -> None:
    probabilities, labels = draw_scarce(20_000, 3)

    def recall(rule: DecisionRule) -> float:
        answers = rule.answers(probabilities)
        return float(np.mean([(answers[labels == c] == c).mean() for c in range(4)]))

    assert recall(fit_balanced(probabilities, labels)) > recall(DecisionRule.plain(4)) + 0.1
    assert recall(fit_balanced(probabilities, labels)) >= recall(fit_decision(probabilities, labels)) - 0.01
