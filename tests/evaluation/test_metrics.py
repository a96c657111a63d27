"""Every figure against scikit-learn's own function, on awkward rows too."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn import metrics as sk

from galeno.evaluation.metrics import BINS, Judged, Tally, figures

NAMES = ("a", "b.c", "d", "e")


@st.composite
def judged_rows(draw, unknown=True):
    """Labels (with -1 and absent classes), probabilities with ties, answers, sets."""
    k = draw(st.integers(2, 4))
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    grain = draw(st.sampled_from([2, 5, 1000]))
    raw = rng.integers(0, grain, (n, k)) + 1e-3
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    present = rng.choice(k, draw(st.integers(1, k)), replace=False)
    labels = rng.choice(present, n)
    if unknown and draw(st.booleans()):
        labels[rng.random(n) < 0.3] = -1
    answers = (probabilities * rng.choice([1.0, 3.0], k)).argmax(axis=1)
    sets = probabilities > 0.2
    sets[np.arange(n), answers] = True
    return labels.astype(np.int64), probabilities, answers.astype(np.int64), sets


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


@settings(max_examples=50, deadline=None)
@given(judged_rows())
def test_figures_of_answers_are_those_of_scikit_learn(rows):
    labels, probabilities, answers, sets = rows
    k = probabilities.shape[1]
    found = figures(labels, probabilities, answers, sets, NAMES[:k])
    known = labels >= 0
    present = sorted({*labels[known].tolist(), *answers.tolist()})
    assert found["n"] == len(labels)
    assert_allclose(found["accuracy"], sk.accuracy_score(labels, answers))
    assert_allclose(
        found["macro_f1"],
        sk.f1_score(labels, answers, labels=present, average="macro", zero_division=0),
    )
    if not known.any():
        assert found["balanced_accuracy"] is None
        assert found["weighted_f1"] is None
        return
    assert_allclose(
        found["balanced_accuracy"], quiet(sk.balanced_accuracy_score, labels[known], answers[known])
    )
    assert_allclose(
        found["weighted_f1"],
        sk.f1_score(labels, answers, labels=np.unique(labels[known]), average="weighted", zero_division=0),
    )


@settings(max_examples=50, deadline=None)
@given(judged_rows())
def test_figures_of_classes_are_those_of_scikit_learn(rows):
    labels, probabilities, answers, sets = rows
    k = probabilities.shape[1]
    found = figures(labels, probabilities, answers, sets, NAMES[:k])["per_class"]
    everything = range(k)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, answers, labels=everything, zero_division=0
    )
    known = labels >= 0
    for index, name in enumerate(NAMES[:k]):
        own, mine = found[name], labels == index
        assert own["n"] == mine.sum()
        assert (own["recall"] is None) == (not mine.any())
        assert (own["precision"] is None) == (not mine.any() and index not in answers)
        assert_allclose(own["precision"] or 0, precision[index])
        assert_allclose(own["recall"] or 0, recall[index])
        assert_allclose(own["f1"] or 0, f1[index])
        scores = probabilities[known, index]
        if not mine.any():
            assert own["average_precision"] is None
            assert own["auc"] is None
            continue
        assert_allclose(own["average_precision"], sk.average_precision_score(mine[known], scores))
        if mine[known].all():
            assert own["auc"] is None
        else:
            assert_allclose(own["auc"], sk.roc_auc_score(mine[known], scores))


@settings(max_examples=50, deadline=None)
@given(judged_rows(unknown=False))
def test_figures_of_probabilities_are_those_of_scikit_learn(rows):
    labels, probabilities, answers, sets = rows
    k = probabilities.shape[1]
    found = figures(labels, probabilities, answers, sets, NAMES[:k])
    everything = list(range(k))
    assert_allclose(found["log_loss"], sk.log_loss(labels, probabilities, labels=everything))
    given_p = probabilities[:, 1] if k == 2 else probabilities
    assert_allclose(found["brier"], sk.brier_score_loss(labels, given_p, labels=everything), atol=1e-12)
    if len(set(labels.tolist())) == k:
        expected = sk.roc_auc_score(labels, given_p, multi_class="ovr", average="macro")
        assert_allclose(found["auc_ovr"], expected)
    covered = sets[np.arange(len(labels)), labels]
    assert_allclose(found["conformal"]["coverage"], covered.mean())
    assert_allclose(found["conformal"]["size"], sets.sum(axis=1).mean())
    assert_allclose(found["ece"], slow_ece(labels, probabilities), atol=1e-12)


def slow_ece(labels, probabilities):
    total = 0.0
    for index in range(BINS):
        top = probabilities.max(axis=1)
        inside = (top > index / BINS) & (top <= (index + 1) / BINS)
        if inside.any():
            right = (probabilities.argmax(axis=1) == labels)[inside].mean()
            total += inside.mean() * abs(right - top[inside].mean())
    return total


def test_the_loss_of_an_impossible_condition_is_clipped():
    found = figures(np.array([0]), np.array([[0.0, 1.0]]), np.array([1]), None, ("a", "b"))
    assert_allclose(found["log_loss"], -np.log(1e-15))
    assert found["brier"] == pytest.approx(1.0)
    assert found["conformal"] == {"coverage": None, "size": None}


def test_no_rows_leave_every_figure_undefined():
    empty = np.zeros(0, dtype=np.int64)
    found = figures(empty, np.zeros((0, 3)), empty, None, ("a", "b", "c"))
    assert found["n"] == 0
    assert found["accuracy"] is None
    assert found["auc_ovr"] is None
    assert set(found["per_class"]["a"]) == {"precision", "recall", "f1", "average_precision", "auc", "n"}
    assert found["per_class"]["a"]["n"] == 0


def test_labels_outside_the_classes_are_misses_and_only_that():
    labels = np.array([0, 1, -1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = figures(labels, probabilities, probabilities.argmax(axis=1), None, ("a", "b"))
    alone = figures(labels[:2], probabilities[:2], np.array([0, 1]), None, ("a", "b"))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["per_class"]["a"]["precision"] == pytest.approx(0.5)
    for name in ("log_loss", "brier", "ece", "auc_ovr", "balanced_accuracy"):
        assert found[name] == alone[name]


@settings(max_examples=25, deadline=None)
@given(judged_rows(), st.integers(0, 2**32))
def test_a_resample_has_the_figures_of_its_rows_written_out(rows, seed):
    labels, probabilities, answers, sets = rows
    k, n = probabilities.shape[1], len(labels)
    rng = np.random.default_rng(seed)
    unit_of = rng.integers(0, 5, n)
    weights = np.bincount(rng.integers(0, 5, 5), minlength=5).astype(np.uint8)[None]
    drawn = Tally(Judged(labels, probabilities, answers, sets), unit_of, 5).replicate(weights)
    copies = np.repeat(np.arange(n), weights[0][unit_of])
    plain = figures(labels[copies], probabilities[copies], answers[copies], sets[copies], NAMES[:k])
    for name in (
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "weighted_f1",
        "log_loss",
        "brier",
        "ece",
        "auc_ovr",
    ):
        expected = np.nan if plain[name] is None else plain[name]
        assert_allclose(drawn[name][0], expected, atol=1e-12)
    for index, label in enumerate(NAMES[:k]):
        for name in ("precision", "recall", "f1", "average_precision", "auc"):
            value = plain["per_class"][label][name]
            assert_allclose(drawn[name][0, index], np.nan if value is None else value, atol=1e-12)
