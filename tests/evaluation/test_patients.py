"""Patients of several rows: the mean of their probabilities, and only where their rows agree on the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.evaluation.judge import Evaluation, judge
from galeno.evaluation.metrics import Judged
from galeno.evaluation.patients import aggregate_patients, pool_patients
from galeno.study import Judging


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(1, 40))
def test_a_patient_s_probability_is_the_mean_of_his_rows(seed, k, n):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(k), n)
    patients = rng.choice(["b", "a", "row 3", ""], n)
    pooled = pool_patients(probabilities, patients)
    assert pooled.ids.tolist() == sorted(set(patients.tolist()))
    assert pooled.ids[pooled.of_row].tolist() == patients.tolist()
    for index, patient in enumerate(pooled.ids):
        own = probabilities[patients == patient]
        assert pooled.rows[index] == len(own)
        np.testing.assert_allclose(pooled.probabilities[index], own.mean(axis=0))
    np.testing.assert_allclose(pooled.probabilities.sum(axis=1), 1)


def test_many_recordings_that_say_the_same_promise_no_more_than_one():
    probabilities = np.tile([0.7, 0.3], (50, 1))
    pooled = pool_patients(probabilities, np.zeros(50))
    np.testing.assert_allclose(pooled.probabilities, [[0.7, 0.3]])


def test_no_rows_are_no_patients():
    pooled = pool_patients(np.zeros((0, 3)), np.zeros(0, dtype=np.str_))
    assert (pooled.probabilities.shape, len(pooled.ids)) == ((0, 3), 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(1, 30))
def test_patients_are_aggregated_as_documented(seed, k, n):
    rng = np.random.default_rng(seed)
    _, unit_of = np.unique(rng.integers(0, 8, n), return_inverse=True)
    labels = rng.integers(-1, k, 8)[unit_of]
    labels = np.where(rng.random(n) < 0.1, rng.integers(-1, k, n), labels)
    probabilities = rng.dirichlet(np.ones(k), n)
    judged = Judged(labels, probabilities, probabilities.argmax(axis=1), probabilities > 0.4)
    found, kept = aggregate_patients(judged, unit_of, lambda mean: mean.argmin(axis=1))
    agreeing = [p for p in range(unit_of.max() + 1) if len(set(labels[unit_of == p])) == 1]
    assert kept.tolist() == agreeing
    assert len(found.labels) == len(agreeing)
    for row, patient in enumerate(agreeing):
        own = unit_of == patient
        np.testing.assert_allclose(found.probabilities[row], probabilities[own].mean(axis=0))
        assert found.labels[row] == labels[own][0]
        assert found.answers[row] == probabilities[own].mean(axis=0).argmin()
        assert found.sets[row].tolist() == ((probabilities[own] > 0.4).mean(axis=0) >= 0.5).tolist()


def test_without_a_rule_most_rows_decide_for_the_patient():
    probabilities = np.array([[0.4, 0.6], [0.45, 0.55], [0.99, 0.01]])
    judged = Judged(np.array([1, 1, 1]), probabilities, np.array([1, 1, 0]), None)
    found, kept = aggregate_patients(judged, np.zeros(3, dtype=np.int64), None)
    assert (found.answers.tolist(), kept.tolist()) == ([1], [0])


def lungs(mixed: bool = False, bootstrap: int = 50) -> Evaluation:
    """Ten patients of three recordings, one of which is always answered wrong; and one of a single one."""
    truth = np.append(np.repeat(np.arange(10) % 2, 3), 1)
    right = np.append(np.tile([True, True, False], 10), True)
    said = np.where(right, truth, 1 - truth)
    labels = truth.copy()
    labels[0] = 1 - labels[0] if mixed else labels[0]
    probabilities = np.where(right, 0.9, 0.6)[:, None] * np.eye(2)[said]
    probabilities += (1 - probabilities.sum(axis=1))[:, None] * np.eye(2)[1 - said]
    return judge(
        labels, probabilities, said, None, ("ill", "well"), np.append(np.repeat(np.arange(10), 3), 99), {},
        Judging(bootstrap=bootstrap), 1, rule=lambda mean: mean.argmax(axis=1),
    )  # fmt: skip


def test_patients_are_judged_beside_their_recordings():
    found = lungs()
    assert found.figures["accuracy"] == pytest.approx(21 / 31)
    assert (found.per_patient["accuracy"], found.per_patient["n"]) == (1.0, 11)
    assert found.per_patient["log_loss"] < found.figures["log_loss"]
    assert found.pooling == {"rows_per_patient": pytest.approx(31 / 11), "several": 10, "mixed": 0}
    assert found.value("per_patient.accuracy") == (1.0, 11)
    assert found.value("per_patient.per_class.ill.recall") == (1.0, 5)
    assert found.interval("per_patient.accuracy") == (1.0, 1.0)
    low, high = found.interval("accuracy")
    assert low < 21 / 31 < high


def test_patients_of_different_conditions_are_left_out_and_counted():
    whole, mixed = lungs(), lungs(mixed=True)
    assert mixed.pooling["mixed"] == 1
    assert mixed.figures["n"] == whole.figures["n"]
    assert mixed.per_patient["n"] == whole.per_patient["n"] - 1
    assert mixed.value("per_patient.accuracy") == (1.0, 10)
    assert mixed.value("per_patient.per_class.ill.recall") == (1.0, 4)
    assert mixed.value("accuracy")[1] == 11
    assert mixed.interval("per_patient.accuracy") is not None


def test_patients_who_all_have_different_conditions_leave_nothing_to_judge():
    labels = np.array([0, 1, 1, 0])
    found = judge(
        labels, np.full((4, 2), 0.5), labels, None, ("ill", "well"), np.array(list("aabb")), {},
        Judging(bootstrap=10), 1,
    )  # fmt: skip
    assert found.pooling["mixed"] == 2
    assert found.value("per_patient.accuracy") == (None, 0)
    assert found.value("accuracy") == (1.0, 2)


def test_an_evaluation_is_read_back_also_from_older_packages():
    found = lungs()
    assert Evaluation.from_dict(found.to_dict()) == found
    older = found.to_dict()
    del older["pooling"], older["patients"]["per_patient"]
    read = Evaluation.from_dict(older)
    assert read.pooling is None
    assert read.value("per_patient.accuracy") == (1.0, 11)


def test_one_row_a_patient_needs_no_pooling():
    labels = np.array([0, 1, 1, 0])
    found = judge(
        labels, np.full((4, 2), 0.5), labels, None, ("ill", "well"), np.arange(4), {}, Judging(bootstrap=0), 1
    )
    assert found.pooling is None
    assert "per_patient" not in found.patients
