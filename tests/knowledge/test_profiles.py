"""Sources are put together, and a sign brings all that it is a kind of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ontology import ONSET, PHENOTYPE
from galeno.knowledge.profiles import (
    HIGHEST,
    UNSAID_SHARE,
    Implied,
    Listed,
    Rows,
    build_profiles,
    collect_rows,
    find_branches,
    imply,
    measure_background,
    pool,
    ranges,
)

DISEASES = 6


def draw_rows(terms: list[int]) -> st.SearchStrategy[Rows]:
    """Some rows about a few diseases."""
    row = st.tuples(
        st.integers(0, DISEASES - 1),
        st.sampled_from(terms),
        st.floats(0, 1),
        st.floats(0.5, 50),
        st.integers(-1, 4),
    )
    kinds = (np.int64, np.int64, np.float64, np.float64, np.int64)

    def build(rows: list[tuple[int, int, float, float, int]]) -> Rows:
        columns = zip(*rows, strict=True) if rows else [()] * 5
        return Rows(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))

    return st.lists(row, max_size=40).map(build)


def signs(base: KnowledgeBase) -> list[int]:
    """All signs and an onset."""
    return [*np.flatnonzero(base.ontology.is_phenotype).tolist(), base.ontology.index["HP:0003593"]]


def told(listed: Listed | Implied) -> dict[tuple[int, int], float]:
    """Share by disease and sign."""
    keys = zip(listed.disease.tolist(), listed.term.tolist(), strict=True)
    return dict(zip(keys, listed.share.tolist(), strict=True))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_what_is_implied_is_never_rarer_than_what_implies_it(
    small_base: KnowledgeBase, data: st.DataObject
) -> None:
    ontology = small_base.ontology
    listed = pool(data.draw(draw_rows(signs(small_base))), ontology)
    implied = imply(listed, ontology)
    mine, more = told(listed), told(implied)
    assert len(more) == implied.term.size
    for (disease, term), share in mine.items():
        for above in ontology.ancestors.row(term).tolist():
            assert more[disease, above] >= share
    assert set(mine) == {key for key, own in zip(more, implied.listed, strict=True) if own}
    # nothing comes from nowhere: each share is that of a listed sign below
    for (disease, term), share in more.items():
        below = [s for (d, t), s in mine.items() if d == disease and term in ontology.ancestors.row(t)]
        assert share == max(below)
    assert (np.diff(implied.disease * len(ontology.ids) + implied.term) > 0).all()


def test_the_same_in_the_release(real_base: KnowledgeBase) -> None:
    listed = pool(collect_rows(real_base), real_base.ontology)
    implied = imply(listed, real_base.ontology)
    terms = len(real_base.ontology.ids)
    key = implied.disease * terms + implied.term
    at = np.searchsorted(key, listed.disease * terms + listed.term)
    assert np.array_equal(key[at], listed.disease * terms + listed.term)
    assert (implied.share[at] >= listed.share).all()
    assert implied.listed[at].all()
    assert implied.listed.sum() == listed.term.size
    assert (implied.patients[at] >= listed.patients).all()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_pooled_shares_lie_between_nothing_and_nearly_all(
    small_base: KnowledgeBase, data: st.DataObject
) -> None:
    rows = data.draw(draw_rows(signs(small_base)))
    listed = pool(rows, small_base.ontology)
    assert ((listed.share > 0) & (listed.share <= HIGHEST)).all()
    order = data.draw(st.permutations(range(rows.term.size)))
    again = pool(rows.take(np.array(order, np.int64)), small_base.ontology)
    assert np.array_equal(again.term, listed.term)
    assert again.share == pytest.approx(listed.share)
    assert small_base.ontology.is_phenotype[listed.term].all()


def test_counts_of_several_papers_are_added(small_base: KnowledgeBase) -> None:
    listed = told(pool(collect_rows(small_base), small_base.ontology))
    seizure, ataxia = (small_base.ontology.index[t] for t in ("HP:0001250", "HP:0001251"))
    assert listed[0, seizure] == pytest.approx((8 + 3 + 0.5) / 13)
    assert (0, ataxia) not in listed, "seen in 0 of 8"


def test_what_is_denied_is_no_sign(small_base: KnowledgeBase) -> None:
    listed = told(pool(collect_rows(small_base), small_base.ontology))
    place = small_base.find_disease("ORPHA:900001")
    assert place is not None
    assert (place, small_base.ontology.index["HP:0000365"]) not in listed


def test_rows_are_signs_and_onsets(small_base: KnowledgeBase) -> None:
    rows = collect_rows(small_base)
    ontology = small_base.ontology
    assert (ontology.under(PHENOTYPE) | ontology.under(ONSET))[rows.term].all()
    assert ontology.under(ONSET)[rows.term].any()
    assert ((rows.share >= 0) & (rows.share <= 1)).all()
    assert (rows.patients > 0).all()
    unsaid = rows.share[(rows.disease == small_base.find_disease("DECIPHER:908"))]
    assert unsaid == pytest.approx([UNSAID_SHARE] * 3)


def test_rows_without_any(small_base: KnowledgeBase) -> None:
    rows = collect_rows(small_base)
    nothing = rows.take(np.zeros(rows.term.size, bool))
    profiles = build_profiles(nothing, small_base.ontology)
    assert profiles.disease.size == 0
    assert profiles.offsets.tolist() == [0] * (len(small_base.ontology.ids) + 1)


def test_profiles_are_the_same_sorted_by_sign(small_base: KnowledgeBase) -> None:
    rows = collect_rows(small_base)
    profiles = build_profiles(rows, small_base.ontology)
    more = told(imply(pool(rows, small_base.ontology), small_base.ontology))
    found = {}
    for term in range(len(small_base.ontology.ids)):
        where = profiles.of_term(term)
        assert (np.diff(profiles.disease[where]) > 0).all()
        found |= {(int(profiles.disease[i]), term): profiles.share[i] for i in range(where.start, where.stop)}
    assert found == pytest.approx(more)


def test_the_background_grows_towards_the_root(small_base: KnowledgeBase) -> None:
    ontology, diseases = small_base.ontology, len(small_base.diseases)
    background = measure_background(build_profiles(collect_rows(small_base), ontology), diseases)
    assert (background >= np.float32(0.3 / diseases)).all()
    for term in np.flatnonzero(ontology.is_phenotype).tolist():
        assert (background[ontology.ancestors.row(term)] >= background[term] - 1e-6).all()


def test_branches_are_organ_systems(small_base: KnowledgeBase) -> None:
    branches = find_branches(small_base.ontology)
    index = small_base.ontology.index
    assert branches.shape == (len(small_base.ontology.ids), 7)
    assert branches[index["HP:0007359"]].sum() == 1
    assert np.array_equal(branches[index["HP:0007359"]], branches[index["HP:0000252"]])
    assert branches[index["HP:0000006"]].sum() == 0


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 6)), max_size=10))
def test_ranges(parts: list[tuple[int, int]]) -> None:
    starts, counts = (np.array([part[i] for part in parts], np.int64) for i in (0, 1))
    assert ranges(starts, counts).tolist() == [v for s, c in parts for v in range(s, s + c)]
