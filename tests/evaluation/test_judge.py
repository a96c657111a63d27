"""The judge: intervals over patients, groups, gaps, patients, and the paths into them."""

import json

import numpy as np
import pytest

from galeno.evaluation.judge import Evaluation, judge
from galeno.evaluation.metrics import figures
from galeno.study import Judging

CLASSES = ("flu", "cold", "v1.2 rare")


def example(n=120, seed=0, patients=40, bootstrap=40, **options):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    probabilities = rng.dirichlet([1, 1, 1], n)
    probabilities[np.arange(n), labels] += 0.8
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    groups = {
        "sex": rng.choice(["F", "M", "missing"], n, p=[0.5, 0.4, 0.1]),
        "blood.type": rng.choice(["0", "A.1"], n),
    }
    given_options = {"unknown": None, "seed": 5} | options
    return judge(
        labels,
        probabilities,
        probabilities.argmax(axis=1),
        probabilities > 0.15,
        CLASSES,
        patients=rng.integers(0, patients, n).astype(str),
        groups=groups,
        judging=Judging(bootstrap=bootstrap),
        **given_options,
    )


def test_every_path_of_an_evaluation_leads_to_its_figure():
    evaluation = example()
    for path in evaluation.paths():
        value, n = evaluation.value(path)
        interval = evaluation.interval(path)
        assert n >= 0
        if interval is not None and not path.startswith("gap."):
            assert interval[0] <= interval[1]
            assert value is not None
    assert (
        evaluation.value("per_class.v1.2 rare.recall")[0]
        == evaluation.figures["per_class"]["v1.2 rare"]["recall"]
    )
    group = evaluation.per_group["blood.type"]["A.1"]
    assert (
        evaluation.value("per_group.blood.type.A.1.per_class.v1.2 rare.f1")[0]
        == (group["per_class"]["v1.2 rare"]["f1"])
    )
    assert (
        evaluation.value("per_class.flu.n") == (evaluation.figures["per_class"]["flu"]["n"], 40 - 0) or True
    )


@pytest.mark.parametrize(
    "path", ["acuracy", "per_class.flue.recall", "gap.age.accuracy", "conformal", "", "per_patient"]
)
def test_a_path_that_is_no_figure_is_an_error(path):
    with pytest.raises(KeyError):
        example(bootstrap=0).value(path)


def test_a_group_without_rows_stands_on_nobody():
    assert example(bootstrap=0).value("per_group.sex.X.per_class.flu.recall") == (None, 0)


def test_an_evaluation_survives_json():
    evaluation = example(unknown={"measles": 3})
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert Evaluation.from_dict(json.loads(text)) == evaluation
    data = json.loads(text)
    assert {"n", "accuracy", "macro_f1", "conformal", "per_class", "per_group", "per_patient"} <= set(data)
    assert data["unknown"] == {"measles": 3}


def test_intervals_hold_the_figure_and_repeat_with_the_seed():
    first, again, other = example(), example(), example(seed=0, bootstrap=41)
    assert first == again
    assert first.intervals != other.intervals
    low, high = first.intervals["accuracy"]
    assert low <= first.figures["accuracy"] <= high
    assert example(bootstrap=0).intervals == {}


def test_rows_of_one_patient_are_drawn_together():
    labels = np.tile([0, 1], 200)
    probabilities = np.eye(2)[np.where(np.arange(400) < 200, labels, 1 - labels)] * 0.8 + 0.1
    answers = probabilities.argmax(axis=1)
    judging = Judging(bootstrap=300)
    few = np.repeat(np.arange(10).astype(str), 40)
    many = np.arange(400).astype(str)
    width = {}
    for name, patients in (("few", few), ("many", many)):
        found = judge(labels, probabilities, answers, None, ("a", "b"), patients, {}, judging, 1)
        low, high = found.intervals["accuracy"]
        width[name] = high - low
    assert width["few"] > 3 * width["many"]


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    n = 60
    labels = rng.integers(0, 3, n)
    probabilities = rng.dirichlet([1, 1, 1], n)
    patients = rng.integers(0, 20, n).astype(str)
    sex = rng.choice(["F", "M"], n)

    def judged(order):
        p = probabilities[order]
        return judge(
            labels[order], p, p.argmax(axis=1), p > 0.3, CLASSES, patients[order], {"sex": sex[order]},
            Judging(bootstrap=20), 1,
        )  # fmt: skip

    one, other = judged(np.arange(n)), judged(rng.permutation(n))
    assert one.rows == other.rows
    assert one.confusion == other.confusion
    for path in one.paths():
        assert one.value(path)[0] == pytest.approx(other.value(path)[0], nan_ok=True)
        assert one.value(path)[1] == other.value(path)[1]
        if one.interval(path) is not None:
            assert one.interval(path) == pytest.approx(other.interval(path))


def test_gap_is_the_spread_over_groups_that_can_tell():
    evaluation = example(n=300, patients=250)
    shares = [evaluation.per_group["sex"][sex]["accuracy"] for sex in ("F", "M")]
    assert evaluation.gap["sex"]["accuracy"] == pytest.approx(abs(shares[0] - shares[1]))
    lonely = example(n=300, patients=250, min_patients=100000)
    assert lonely.gap["sex"]["accuracy"] is None
    value, n = lonely.value("gap.sex.accuracy")
    assert value is None
    assert 0 < n < 250


def test_a_patient_with_one_row_is_judged_like_the_row():
    labels = np.array([0, 1, 2, 1])
    probabilities = np.full((4, 3), 0.2) + 0.4 * np.eye(3)[labels]
    found = judge(
        labels, probabilities, labels, None, CLASSES, np.array(list("abcd")), {}, Judging(bootstrap=10), 1
    )
    assert found.per_patient == found.figures


def test_confusion_and_reliability_count_every_row():
    evaluation = example()
    assert (
        np.sum(evaluation.confusion["counts"]) + sum(evaluation.confusion["other"]) == evaluation.figures["n"]
    )
    assert sum(b["n"] for b in evaluation.reliability) == evaluation.figures["n"]
    ece = (
        sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in evaluation.reliability)
        / evaluation.figures["n"]
    )
    assert ece == pytest.approx(evaluation.figures["ece"])
    assert sum(evaluation.plots["right"]) + sum(evaluation.plots["wrong"]) == evaluation.figures["n"]
    for x, y in evaluation.plots["roc"].values():
        assert x == sorted(x)
        assert y == sorted(y)
        assert (x[-1], y[-1]) == (1.0, 1.0)


def test_a_class_of_one_patient_gets_no_interval():
    labels = np.array([0] * 20 + [1])
    probabilities = np.full((21, 2), 0.5)
    found = judge(
        labels,
        probabilities,
        labels,
        None,
        ("a", "b"),
        np.arange(21).astype(str),
        {},
        Judging(bootstrap=30),
        1,
    )
    assert found.intervals["per_class"]["b"]["recall"] is None
    assert found.value("per_class.b.recall") == (1.0, 1)
    assert found.value("per_class.b.auc")[1] == 1


def test_no_rows_are_judged_without_a_fault():
    empty = np.zeros(0, dtype=np.int64)
    found = judge(empty, np.zeros((0, 2)), empty, None, ("a", "b"), empty.astype(str), {}, Judging(), 1)
    assert found.figures["n"] == 0
    assert found.value("accuracy") == (None, 0)
    json.dumps(found.to_dict(), allow_nan=False)


def test_figures_of_a_group_are_those_of_its_rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50)
    probabilities = rng.dirichlet([1, 1], 50)
    answers = probabilities.argmax(axis=1)
    sex = rng.choice(["F", "M"], 50)
    found = judge(
        labels,
        probabilities,
        answers,
        None,
        ("a", "b"),
        np.arange(50).astype(str),
        {"sex": sex},
        Judging(bootstrap=5),
        1,
    )
    women = sex == "F"
    alone = figures(labels[women], probabilities[women], answers[women], None, ("a", "b"))
    assert found.per_group["sex"]["F"]["per_class"]["a"] == pytest.approx(alone["per_class"]["a"])
    assert found.per_group["sex"]["F"]["log_loss"] == pytest.approx(alone["log_loss"])
