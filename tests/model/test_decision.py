"""The decision rule: plain, weighted, ties."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.model.decision import DecisionRule


def test_plain_rule_takes_the_most_probable_and_the_earlier_of_two() -> None:
    rule = DecisionRule.plain(3)
    p = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    assert rule.answers(p).tolist() == [1, 0]
    assert rule.order(p).tolist() == [[1, 2, 0], [0, 1, 2]]


def test_weights_lift_a_rare_class() -> None:
    rule = DecisionRule((1.0, 1.0, 4.0))
    p = np.array([[0.5, 0.3, 0.2]])
    assert rule.answers(p).tolist() == [2]
    assert rule.order(p).tolist() == [[2, 0, 1]]
    assert DecisionRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


def test_order_begins_with_the_answer() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), size=300)
    rule = DecisionRule(tuple(rng.uniform(0.2, 5, 5)))
    assert (rule.order(p)[:, 0] == rule.answers(p)).all()


def test_offsets_are_taken_off_the_weighted_probability() -> None:
    rule = DecisionRule((1.0, 2.0), (0.0, 0.5))
    p = np.array([[0.5, 0.5], [0.4, 0.6]])
    assert rule.answers(p).tolist() == [0, 1]
    assert rule.scores(p)[1].tolist() == [0.4, 0.7]
    assert DecisionRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0, 2.5])] * 3), min_size=1, max_size=30))
def test_one_row_is_ordered_as_many_are(columns: list[tuple[float, float, float]]) -> None:
    p, weights, offsets = (list(values) for values in zip(*columns, strict=True))
    for rule in (DecisionRule(tuple(weights)), DecisionRule(tuple(weights), tuple(offsets))):
        assert rule.order_one(p) == rule.order(np.array([p]))[0].tolist()
