"""Every family on every balance: fitted, honest about the classes it saw, and the same as a graph."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import LearningError
from galeno.learning.candidates import fit_candidate, quietly
from galeno.learning.export import TOLERANCE, build_member
from galeno.learning.links import fit_link
from galeno.learning.portfolio import view_of
from galeno.model.ensemble import Ensemble
from galeno.records import Candidate
from galeno.study import BALANCES, FAMILIES

from .learning_cases import QUICK, draw_matrix, fit_quickly


@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_fits_answers_and_exports(family: str, balance: str) -> None:
    matrix, labels = draw_matrix(150, seed=1)
    fresh, truth = draw_matrix(60, seed=2)
    before = matrix.copy()
    fitted = fit_quickly(family, matrix, labels, 3, balance)
    assert (matrix == before).all()
    link = fit_link([(fitted, fitted.output(fresh))], [truth], 3)
    probabilities = fitted.probabilities(fresh, link)
    assert probabilities.shape == (60, 3)
    assert probabilities.min() >= 0
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(60))
    member = build_member(
        fitted.estimator,
        fitted.family,
        fresh,
        name=fitted.candidate.name,
        columns=np.arange(4),
        classes_present=fitted.present.tolist(),
        n_classes=3,
        weight=1.0,
        link=fitted.narrow(link),
    )
    assert member.parity is not None
    assert member.parity <= TOLERANCE
    assert Ensemble([member], 3, 4).probabilities(fresh) == pytest.approx(probabilities, abs=1e-3)


@given(
    st.sampled_from(FAMILIES), st.sampled_from(BALANCES), st.sets(st.integers(0, 4), min_size=1, max_size=4)
)
@settings(max_examples=20, deadline=None)
def test_classes_without_rows_get_no_probability(family: str, balance: str, present: set[int]) -> None:
    matrix, labels = draw_matrix(200, classes=5, seed=3)
    here = np.isin(labels, sorted(present))
    fitted = fit_quickly(family, matrix[here], labels[here], 5, balance)
    assert fitted.present.tolist() == sorted(present)
    link = fit_link([(fitted, fitted.output(matrix))], [labels], 5)
    probabilities = fitted.probabilities(matrix, link)
    absent = [index for index in range(5) if index not in present]
    assert (probabilities[:, absent] == 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(200))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_rows_and_seed_give_the_same_answers(family: str) -> None:
    matrix, labels = draw_matrix(150, seed=4)
    one, again = (fit_quickly(family, matrix, labels, 3, "smote").output(matrix) for _ in range(2))
    assert (one == again).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_lift_the_scarce_class(family: str) -> None:
    rng = np.random.default_rng(5)
    labels = (np.arange(400) % 20 == 0).astype(np.int64)
    matrix = np.ascontiguousarray(labels[:, None] + rng.normal(size=(400, 4)), np.float32)
    quick = {
        "forest": {"min_samples_leaf": 5},
        "extra_trees": {"min_samples_leaf": 5},
        "tree": {"max_depth": 2},
    }
    params = QUICK[family] | quick.get(family, {})

    def score_of_scarce(balance: str) -> float:
        candidate = Candidate(family, balance, params, "all")
        with quietly():
            output = fit_candidate(candidate, matrix, labels, n_classes=2, seed=1).output(matrix)
        return float(output[:, 1].mean())

    assert score_of_scarce("weights") > score_of_scarce("none")


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_machine_is_fitted_and_exported(classes: int) -> None:
    matrix, labels = draw_matrix(150, classes=classes, seed=6)
    candidate = Candidate("svm", "weights", {"kernel": "linear", "C": 1.0, "power": 0.5}, "linear")
    fitted = fit_candidate(candidate, matrix, labels, n_classes=classes, seed=1)
    link = fit_link([(fitted, fitted.output(matrix))], [labels], classes)
    member = build_member(
        fitted.estimator,
        "svm",
        matrix,
        name=candidate.name,
        columns=np.arange(4),
        classes_present=fitted.present.tolist(),
        n_classes=classes,
        weight=1.0,
        link=fitted.narrow(link),
    )
    expected = fitted.probabilities(matrix, link)
    assert Ensemble([member], classes, 4).probabilities(matrix) == pytest.approx(expected, abs=1e-3)


def test_what_cannot_be_fitted_is_a_learning_error() -> None:
    matrix, labels = draw_matrix(50)
    for params in ({"C": -1.0}, {"max_iter": -1}):
        with pytest.raises(LearningError, match="logistic cannot be fitted"):
            fit_candidate(Candidate("logistic", "none", params), matrix, labels, n_classes=3, seed=1)


def test_an_estimator_that_has_not_converged_says_nothing() -> None:
    matrix, labels = draw_matrix(100)
    before = list(warnings.filters)
    with quietly():
        for family, params in (("logistic", {"max_iter": 1}), ("mlp", {"max_iter": 1})):
            fit_candidate(Candidate(family, "none", params), matrix, labels, n_classes=3, seed=1)
    assert warnings.filters == before


@pytest.mark.parametrize("family", FAMILIES)
def test_fits_side_by_side_are_the_fits_one_by_one(family: str) -> None:
    """A library that draws from a generator of the whole process would tell threads apart."""
    rng = np.random.default_rng(8)
    matrix = rng.normal(size=(300, 12)).astype(np.float32)
    labels = (matrix[:, :3] + rng.normal(size=(300, 3))).argmax(axis=1)

    def fit(seed: int) -> np.ndarray:
        candidate = Candidate(family, "none", QUICK[family], view_of(family))
        fitted = fit_candidate(candidate, matrix[seed:], labels[seed:], n_classes=3, seed=7)
        return fitted.output(matrix)

    with quietly(), ThreadPoolExecutor(2) as pool:
        alone = [fit(seed) for seed in range(6)]
        together = list(pool.map(fit, range(6)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
