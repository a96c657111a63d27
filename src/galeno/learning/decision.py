"""The decision rule is learned so that macro-F1, which gives each class the same say, is highest.

Naming the most probable condition maximises accuracy and overlooks rare
conditions. For macro-F1 the best rule compares an affine function of each
class' probability; it is found by fixed-point iteration on calibrated
probabilities, without a look at labels, which keeps it steady where a class has
few rows (plug-in approach: Koyejo et al., Consistent multilabel classification,
NeurIPS 2015; Narasimhan et al., ICML 2015).
"""

import numpy as np
from numpy.typing import NDArray

from galeno.model.decision import DecisionRule
from galeno.records import Labels, Probabilities

ITERATIONS = 30


FEW = 5
"""Classes with fewer rows take the median weight and offset of the others."""


def fit_decision(probabilities: Probabilities, labels: Labels, *, prior_rows: float = 1.0) -> DecisionRule:
    """Learn the rule from out-of-fold probabilities.

    Args:
        probabilities: calibrated, shape (rows, classes).
        labels: class index of each row; only used to tell which classes have few rows, and to fall back
            to the most probable condition where the learned rule would be worse on these very rows.
        prior_rows: pseudo-rows in each class' denominator, which pull rare classes towards the plain rule.
    """
    plain = DecisionRule.plain(probabilities.shape[1])
    steady = np.bincount(labels, minlength=probabilities.shape[1]) >= FEW
    learned = _maximise_expected_f1(probabilities, steady, prior_rows)
    better = macro_f1(labels, learned.answers(probabilities)) >= macro_f1(
        labels, plain.answers(probabilities)
    )
    return learned if better else plain


def fit_balanced(probabilities: Probabilities, labels: Labels) -> DecisionRule:
    """The rule for balanced accuracy: the class is named that gains most over its share of the rows.

    It is the same whatever the shares are, so that it holds where a condition is rarer or more common.

    Args:
        probabilities: calibrated and out of fold, shape (rows, classes).
        labels: class index of each row; classes with fewer than FEW rows take the median weight.
    """
    expected = probabilities.sum(axis=0) + 1.0
    weights = 1 / expected
    steady = np.bincount(labels, minlength=probabilities.shape[1]) >= FEW
    if steady.any():
        weights[~steady] = np.median(weights[steady])
    return DecisionRule(_rounded(weights / weights.max()))


def macro_f1(labels: Labels, answers: Labels) -> float:
    """Mean F1 over the classes that occur in labels (not in answers: a wrongly named absent class
    already costs the class it was taken from).
    """
    classes = int(max(labels.max(initial=0), answers.max(initial=0))) + 1
    truth = np.bincount(labels[labels >= 0], minlength=classes)
    named = np.bincount(answers, minlength=classes)
    right = np.bincount(labels[labels == answers], minlength=classes)
    present = truth > 0
    return float((2 * right[present] / (truth + named)[present]).mean())


def _maximise_expected_f1(
    probabilities: Probabilities, steady: NDArray[np.bool_], prior_rows: float
) -> DecisionRule:
    expected = probabilities.sum(axis=0) + 1e-9
    rows = expected + prior_rows
    weights, offsets = rows**-0.5, np.zeros(len(expected))
    if steady.any():
        weights[~steady] = np.median(weights[steady])
    answers = (probabilities * weights).argmax(axis=1)
    best: tuple[float, NDArray[np.float64], NDArray[np.float64]] = (-1.0, weights, offsets)
    for _ in range(ITERATIONS):
        named = np.bincount(answers, minlength=len(expected))
        right = np.array([probabilities[answers == c, c].sum() for c in range(len(expected))])
        f1 = 2 * right / (rows + named)
        expected_f1 = float(f1[steady].mean()) if steady.any() else float(f1.mean())
        if expected_f1 > best[0]:
            best = (expected_f1, weights, offsets)
        weights, offsets = 2 / (rows + named), f1 / (rows + named)
        if steady.any():
            weights[~steady], offsets[~steady] = np.median(weights[steady]), np.median(offsets[steady])
        again = (probabilities * weights - offsets).argmax(axis=1)
        if np.array_equal(again, answers):
            break
        answers = again
    scale = best[1].max()
    # nine digits: the rule must not change with the last bit of a sum
    return DecisionRule(_rounded(best[1] / scale), _rounded(best[2] / scale))


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.9g}") for value in values)
