"""Who teaches and who is judged: never of one paper."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import InputError
from galeno.knowledge.cases import Case, Patient
from galeno.knowledge.support import draw_support


def make(rows: Sequence[tuple[str, str | None]]) -> list[Case]:
    """One case a row of disease and paper."""
    patient = Patient(("HP:0001250",))
    return [
        Case(f"c{n}", patient, (disease,) if disease else (), paper)
        for n, (disease, paper) in enumerate(rows)
    ]


rows = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["p", "q", "r", None])), max_size=25)


@settings(max_examples=50, deadline=None)
@given(rows, st.integers(1, 4), st.integers(0, 3))
def test_no_paper_on_both_sides(drawn: list[tuple[str, str | None]], k: int, seed: int) -> None:
    """Exactly k a disease, all of that disease, all of other papers, and the same each time."""
    cases = make(drawn)
    pairs = draw_support(cases, k, seed)
    assert pairs == draw_support(cases, k, seed)
    for query, support in pairs:
        assert query.truth[0] in support
        for disease, taught in support.items():
            assert len({case.id for case in taught}) == k
            assert {case.truth[0] for case in taught} == {disease}
            assert query.paper not in {case.paper for case in taught}
    judged = [query.id for query, _ in pairs]
    expected = [
        case.id
        for case in cases
        if case.paper
        and sum(1 for other in cases if other.truth == case.truth and other.paper not in (None, case.paper))
        >= k
    ]
    assert judged == expected


def test_fewer_are_among_more() -> None:
    """What one case taught is among what three teach; another seed draws others."""
    cases = make([("A", f"p{n}") for n in range(30)])
    few, more = draw_support(cases, 1, 7), draw_support(cases, 3, 7)
    for (_, one), (_, three) in zip(few, more, strict=True):
        assert one["A"][0] in three["A"]
    assert [support for _, support in draw_support(cases, 1, 8)] != [support for _, support in few]


def test_cases_without_signs_teach_nothing_and_are_judged() -> None:
    """They count as misses, so they stay among the queries."""
    silent = Case("silent", Patient(()), ("A",), "q")
    pairs = draw_support([*make([("A", "p"), ("A", "r")]), silent], 1, 0)
    assert {query.id for query, _ in pairs} == {"c0", "c1", "silent"}
    assert all(case.id != "silent" for _, support in pairs for case in support["A"])


def test_diseases_named_by_the_caller() -> None:
    """Two ids of one disease are one; what has no name is left out."""
    cases = make([("A", "p"), ("B", "q"), ("C", "p"), ("C", "q"), ("", "q")])
    pairs = draw_support(cases, 1, 0, disease_of=lambda case: {"A": "X", "B": "X"}.get("".join(case.truth)))
    assert [(query.id, list(support)) for query, support in pairs] == [("c0", ["X"]), ("c1", ["X"])]


def test_at_least_one() -> None:
    """No support is no few-shot."""
    with pytest.raises(InputError, match="few_shot"):
        draw_support([], 0, 0)
