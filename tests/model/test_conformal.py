"""Conformal sets: as MAPIE makes them, and covering what they promise."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores.sets.aps import APSConformityScore
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from galeno.model.conformal import ConformalSet, Method, _scores
from galeno.records import Labels, Probabilities


def drawn(rows: int, k: int, seed: int, sharpness: float = 1.0) -> tuple[Probabilities, Labels]:
    """Probabilities that need not be right for the labels: conformal sets promise nothing about them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, k))
    labels = (scores + rng.gumbel(size=(rows, k))).argmax(axis=1)
    wrong = np.exp(sharpness * scores + rng.normal(size=k) * 0.3)
    return wrong / wrong.sum(axis=1, keepdims=True), labels.astype(np.int64)


def test_lac_equals_mapie() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(900, 4))
    labels = (features[:, :3] + rng.gumbel(size=(900, 3))).argmax(axis=1)
    estimator = LogisticRegression().fit(features[:300], labels[:300])
    mapie = SplitConformalClassifier(estimator, confidence_level=0.85, prefit=True, conformity_score="lac")
    mapie.conformalize(features[300:600], labels[300:600])
    _, theirs = mapie.predict_set(features[600:])
    ours = ConformalSet.fit("lac", 0.85, estimator.predict_proba(features[300:600]), labels[300:600])
    fresh = estimator.predict_proba(features[600:])
    agree = ours.conforming(fresh) == theirs[:, :, 0]
    # A condition within SLACK of the threshold may be taken in here and left out there.
    assert agree[np.abs(1 - fresh - ours.threshold) > 1e-5].all()
    assert agree.mean() > 0.999


def test_aps_scores_equal_mapie_without_its_random_part() -> None:
    p, y = drawn(500, 5, 1)
    cumulated, _ = APSConformityScore.get_true_label_cumsum_proba(y, p, np.arange(5))
    rows = np.arange(len(y))
    assert _scores("aps", p)[rows, y] == pytest.approx(cumulated[:, 0] - p[rows, y], abs=1e-9)


@given(
    method=st.sampled_from(["lac", "aps"]),
    coverage=st.floats(0.5, 0.99),
    k=st.integers(2, 8),
    sharpness=st.floats(0.1, 5),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=50, deadline=None)
def test_covers_at_least_what_it_promises(
    method: Method, coverage: float, k: int, sharpness: float, seed: int
) -> None:
    p, y = drawn(4000, k, seed, sharpness)
    sets = ConformalSet.fit(method, coverage, p[:2000], y[:2000]).contains(p[2000:])
    covered = sets[np.arange(2000), y[2000:]].mean()
    # Four standard deviations of threshold and count together.
    assert covered > coverage - 4 * np.sqrt(2 * coverage * (1 - coverage) / 2000) - 1e-9


@given(
    rows=st.integers(0, 12),
    k=st.integers(2, 4),
    seed=st.integers(0, 100),
    method=st.sampled_from(["lac", "aps"]),
)
@settings(max_examples=50, deadline=None)
def test_never_empty_and_holds_the_answer(rows: int, k: int, seed: int, method: Method) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 0.3), size=rows)
    y = rng.integers(-1, k, rows)
    conformal = ConformalSet.fit(method, 0.8, p, y)
    answers = rng.integers(0, k, rows)
    sets = conformal.contains(p, answers)
    assert sets[np.arange(rows), answers].all()
    assert conformal.contains(p)[np.arange(rows), p.argmax(axis=1)].all() if rows else sets.shape == (0, k)
    assert ConformalSet.from_dict(json.loads(json.dumps(conformal.to_dict(), allow_nan=False))) == conformal


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_too_few_rows_rule_nothing_out(method: Method) -> None:
    p, y = drawn(8, 3, 0)
    assert ConformalSet.fit(method, 0.9, p, y).contains(p).all()
    assert ConformalSet.fit(method, 0.9, p[:0], y[:0]).threshold == 1.0


def test_threshold_has_the_finite_sample_rank() -> None:
    p = np.column_stack([np.arange(1, 10) / 10, 1 - np.arange(1, 10) / 10])
    y = np.zeros(9, dtype=np.int64)
    # (9 + 1) * 0.8 = 8: the eighth smallest of 0.1 .. 0.9
    assert ConformalSet.fit("lac", 0.8, p, y).threshold == pytest.approx(0.8)


def test_aps_gives_larger_sets_to_harder_rows() -> None:
    p, y = drawn(3000, 5, 3)
    sizes = ConformalSet.fit("aps", 0.9, p, y).contains(p).sum(axis=1)
    top = p.max(axis=1)
    assert sizes[top < np.quantile(top, 0.2)].mean() > sizes[top > np.quantile(top, 0.8)].mean() + 1


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("k", [2, 7, 30])
def test_one_row_conforms_as_in_many(method: Method, k: int) -> None:
    p, labels = drawn(400, k, seed=k)
    found = ConformalSet.fit(method, 0.9, p, labels)
    assert [found.conforming_one(row) for row in p.tolist()] == found.conforming(p).tolist()


@given(coverage=st.floats(0.6, 0.95), seed=st.integers(0, 1000), rows=st.integers(5, 400))
@settings(max_examples=30, deadline=None)
def test_patients_of_one_row_change_nothing(coverage: float, seed: int, rows: int) -> None:
    p, y = drawn(rows, 3, seed)
    alone = np.random.default_rng(seed).permutation(rows).astype(str)
    assert ConformalSet.fit("lac", coverage, p, y, alone) == ConformalSet.fit("lac", coverage, p, y)
    thrice = np.repeat(np.arange(rows), 3)
    again = ConformalSet.fit("lac", coverage, p[thrice], y[thrice], thrice)
    assert again == ConformalSet.fit("lac", coverage, p, y)


def recordings(rng: np.random.Generator, patients: int) -> tuple[Probabilities, Labels, NDArray[np.int64]]:
    """Rows of patients: who is easy has 30 of them, alike; who is hard has one."""
    easy = rng.random(patients) < 0.5
    whose = np.repeat(np.arange(patients), np.where(easy, 30, 1))
    of_truth = np.where(easy, rng.uniform(0.7, 1.0, patients), rng.uniform(0.0, 0.7, patients))[whose]
    return np.column_stack([of_truth, 1 - of_truth]), np.zeros(len(whose), np.int64), whose


def test_a_patient_with_many_rows_counts_once() -> None:
    """A row of a new patient is covered; by rows alone, those with many would promise for those with one."""
    rng = np.random.default_rng(0)
    patients, rows = [], []
    for _ in range(200):
        p, y, whose = recordings(rng, 60)
        fresh, _, owner = recordings(rng, 60)
        first = np.unique(owner, return_index=True)[1]
        for conformal, found in (
            (ConformalSet.fit("lac", 0.8, p, y, whose), patients),
            (ConformalSet.fit("lac", 0.8, p, y), rows),
        ):
            found.append(conformal.conforming(fresh)[first, 0].mean())
    assert 0.79 <= np.mean(patients) <= 0.83
    assert np.mean(rows) < 0.6
