"""Diseases of one family name let expect of each other what none of them lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.kin import KINSHIP, LEAST, ask_kin, family_of
from galeno.knowledge.profiles import Implied, Rows, Sparse, collect_rows, imply, pool

TERMS = 5


def implied(table: dict[tuple[int, int], float]) -> Implied:
    """Signs of diseases as `imply` gives them: sorted by disease and sign."""
    keys = sorted(table)
    columns = [np.array([key[i] for key in keys], np.int64) for i in (0, 1)]
    shares = np.array([table[key] for key in keys], np.float64)
    return Implied(*columns, shares, np.ones(len(keys), bool), np.ones(len(keys)))


def told(kin: Sparse) -> dict[tuple[int, int], float]:
    """Share by disease and sign."""
    return {
        (int(kin.disease[i]), term): float(kin.share[i])
        for term in range(kin.offsets.size - 1)
        for i in range(kin.of_term(term).start, kin.of_term(term).stop)
    }


TABLES = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, TERMS - 1)), st.floats(0.01, 0.98), max_size=25
)
NAMES = st.lists(
    st.sampled_from(["Ataxia 1", "Ataxia 2", "Ataxia, type 3", "Blindness 1"]), min_size=7, max_size=7
)


@settings(max_examples=50, deadline=None)
@given(table=TABLES, names=NAMES)
def test_kin_are_the_others_of_the_family(table: dict[tuple[int, int], float], names: list[str]) -> None:
    found = told(ask_kin(implied(table), names, TERMS))
    for disease, name in enumerate(names):
        family = family_of(name)
        others = [n for n, each in enumerate(names) if family_of(each) == family and n != disease]
        for term in range(TERMS):
            mean = np.mean([table.get((other, term), 0.0) for other in others]) if others else 0.0
            expected = KINSHIP * mean
            if expected >= LEAST + 1e-6:
                assert found[disease, term] == pytest.approx(expected, rel=1e-5)
            elif expected < LEAST - 1e-6:
                assert (disease, term) not in found


@settings(max_examples=50, deadline=None)
@given(table=TABLES, names=NAMES, disease=st.integers(0, 6))
def test_a_disease_is_not_its_own_kin(
    table: dict[tuple[int, int], float], names: list[str], disease: int
) -> None:
    """Leave one out: what a disease shows itself changes nothing of what its kin tell of it."""
    without = {key: share for key, share in table.items() if key[0] != disease}
    before = told(ask_kin(implied(table), names, TERMS))
    after = told(ask_kin(implied(without), names, TERMS))
    mine = {key for key in {*before, *after} if key[0] == disease}
    for key in mine:
        assert before.get(key, LEAST) == pytest.approx(after.get(key, LEAST), rel=1e-5)


def test_the_same_in_the_release(real_base: KnowledgeBase) -> None:
    names = [each.name for each in real_base.diseases]
    ontology, rows = real_base.ontology, collect_rows(real_base)
    disease = names.index("Developmental and epileptic encephalopathy 96")

    def ask(kept: Rows) -> dict[int, float]:
        kin = ask_kin(imply(pool(kept, ontology), ontology), names, len(ontology.ids))
        at = np.flatnonzero(kin.disease == disease)
        terms = np.searchsorted(kin.offsets, at, side="right") - 1
        return dict(zip(terms.tolist(), kin.share[at].tolist(), strict=True))

    before, after = ask(rows), ask(rows.take(rows.disease != disease))
    assert before[ontology.index["HP:0001250"]] > 0.1, "what an encephalopathy with epilepsy has"
    assert before.keys() == after.keys()
    assert list(before.values()) == pytest.approx(list(after.values()), rel=1e-5)


def test_one_alone_has_no_kin() -> None:
    kin = ask_kin(implied({(0, 1): 0.9, (1, 2): 0.9}), ["Ataxia 1", "Blindness 1"], TERMS)
    assert kin.disease.size == 0
    assert kin.offsets.tolist() == [0] * (TERMS + 1)


def test_nothing_known_tells_nothing() -> None:
    assert ask_kin(implied({}), ["Ataxia 1", "Ataxia 2"], TERMS).disease.size == 0


def test_entries_are_sorted_by_sign_and_disease(real_base: KnowledgeBase) -> None:
    ontology = real_base.ontology
    names = [each.name for each in real_base.diseases]
    kin = ask_kin(imply(pool(collect_rows(real_base), ontology), ontology), names, len(ontology.ids))
    key = np.repeat(np.arange(len(ontology.ids)), np.diff(kin.offsets)) * len(names) + kin.disease
    assert (np.diff(key) > 0).all()
    assert ((kin.share >= LEAST) & (kin.share <= KINSHIP)).all()
