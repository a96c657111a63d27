"""Figures of rankings agree with plain definitions, count misses, and share tied places."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.evaluation.ranking import FIGURES, MISS, TOPS, Placed, cap, figures, rank_of

NAN = float("nan")


def placed(ranks, confidence=None, units=None):
    n = len(ranks)
    return Placed(
        np.array(ranks, float),
        np.array([0.5] * n if confidence is None else confidence, float),
        list(range(n)) if units is None else units,
    )


RANKS = st.lists(st.integers(1, 200) | st.just(MISS), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(RANKS)
def test_figures_are_those_of_their_definitions(ranks):
    found = figures(placed(ranks), resampled=0)
    assert found["n"] == len(ranks)
    for k in TOPS:
        assert found[f"top_{k}"] == pytest.approx(sum(rank <= k for rank in ranks) / len(ranks))
    assert found["mrr"] == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks))
    median = statistics.median(ranks)
    assert found["median_rank"] == (median if median < MISS else None)
    assert "intervals" not in found


@settings(max_examples=30, deadline=None)
@given(RANKS, st.integers(0, 5))
def test_intervals_hold_their_figure_and_repeat(ranks, seed):
    units = [place // 2 for place in range(len(ranks))]
    found = figures(placed(ranks, units=units), resampled=60, confidence=1.0, seed=seed)
    assert found == figures(placed(ranks, units=units), resampled=60, confidence=1.0, seed=seed)
    for name, interval in found["intervals"].items():
        if interval is not None and not name.startswith("ece"):
            low, high = interval
            assert 0 <= low <= high
            if name != "median_rank":
                assert high <= 1
    if len(set(units)) < 2:
        assert not any(found["intervals"].values())


def test_cases_of_one_paper_are_drawn_together():
    ranks = [1] * 20 + [MISS] * 20
    alone = figures(placed(ranks), resampled=500)["intervals"]["top_1"]
    together = figures(placed(ranks, units=["a"] * 20 + ["b"] * 20), resampled=500)["intervals"]["top_1"]
    assert alone[1] - alone[0] < 0.5
    assert together == [0.0, 1.0]


def test_calibration_is_that_of_the_first_disease():
    # of the four answers near 0.7 two are right; the unranked one says nothing
    found = figures(placed([1, 1, 5, 9, MISS], [0.7, 0.7, 0.7, 0.7, NAN]), resampled=0)
    assert found["ece"] == pytest.approx(0.2)
    assert figures(placed([1, 2], [1.0, 0.0]), resampled=0)["ece"] == 0
    assert figures(placed([MISS], [NAN]), resampled=0)["ece"] is None


def test_no_case_at_all_has_no_figures():
    found = figures(placed([]))
    assert found["n"] == 0
    assert not any(found[name] for name in FIGURES)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.data())
def test_a_rank_is_the_mean_over_all_orders_of_equals(scores, data):
    truth = data.draw(st.integers(0, len(scores) - 1))
    above = sum(score > scores[truth] for score in scores)
    equal = sum(score == scores[truth] for score in scores)
    places = range(above + 1, above + equal + 1)
    assert rank_of(np.array(scores, float), [truth]) == pytest.approx(statistics.mean(places))


def test_the_best_placed_of_several_right_ones_counts():
    scores = np.array([5.0, 4.0, 3.0, 3.0])
    assert rank_of(scores, [1, 2]) == 2
    assert rank_of(scores, [2]) == 3.5
    # the first of two right ones among two equals is always at once the next
    assert rank_of(scores, [2, 3]) == 3
    assert rank_of(scores, []) == MISS


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 6), st.randoms())
def test_so_many_of_each_group_are_kept_whatever_the_order(groups, most, random):
    names = [f"case {place}" for place in range(len(groups))]
    kept = cap(groups, most, names)
    for group in set(groups):
        size = groups.count(group)
        assert sum(k for k, g in zip(kept, groups, strict=True) if g == group) == min(most, size)
    order = list(range(len(groups)))
    random.shuffle(order)
    again = cap([groups[place] for place in order], most, [names[place] for place in order])
    assert {names[p] for p, k in zip(order, again, strict=True) if k} == {
        n for n, k in zip(names, kept, strict=True) if k
    }
