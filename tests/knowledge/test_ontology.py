"""Terms of the ontology, what they are a kind of, and what became of old ids."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import KnowledgeError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ontology import (
    ALL,
    INHERITANCE,
    ONSET,
    PHENOTYPE,
    Ontology,
    Sparse,
    Synonym,
    parse_ontology,
)

HEAD = "format-version: 1.2\ndata-version: hp/releases/2024-01-01\n\n"
ROOTS = (
    f"[Term]\nid: {ALL}\nname: All\n\n[Term]\nid: {PHENOTYPE}\nname: Phenotypic abnormality\nis_a: {ALL}\n\n"
)


def above(ontology: Ontology, term: int) -> set[int]:
    """All that a term is a kind of."""
    return set(ontology.ancestors.row(term).tolist())


def parse(*stanzas: str) -> Ontology:
    """An ontology of the two roots and some more terms."""
    return parse_ontology(HEAD + ROOTS + "\n\n".join(f"[Term]\n{each}" for each in stanzas) + "\n", "hp.obo")


@pytest.fixture(scope="module")
def small(small_base: KnowledgeBase) -> Ontology:
    return small_base.ontology


@pytest.fixture(scope="module")
def real(real_base: KnowledgeBase) -> Ontology:
    return real_base.ontology


def check_ancestors(ontology: Ontology, term: int) -> None:
    """Reflexive, transitive, through the parents and nothing else, and up to the root."""
    mine = above(ontology, term)
    assert term in mine
    assert ontology.index[ALL] in mine
    assert all(above(ontology, each) <= mine for each in mine)
    assert mine == {term}.union(*(above(ontology, each) for each in ontology.parents.row(term).tolist()))
    assert all(term not in above(ontology, each) for each in mine - {term})
    assert ontology.ancestors.row(term).tolist() == sorted(mine)


def test_ancestors_of_the_small_ontology(small: Ontology) -> None:
    for term in range(len(small.ids)):
        check_ancestors(small, term)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_ancestors_of_the_release(real: Ontology, data: st.DataObject) -> None:
    check_ancestors(real, data.draw(st.integers(0, len(real.ids) - 1)))


@settings(max_examples=40, deadline=None)
@given(
    parents=st.lists(st.lists(st.integers(0, 30), max_size=3, unique=True), min_size=1, max_size=25),
    order=st.randoms(use_true_random=False),
)
def test_any_graph_is_closed(parents: list[list[int]], order) -> None:
    """Parents are drawn among earlier terms, the ids shuffled, so that files come in any order."""
    numbers = list(range(2, len(parents) + 2))
    order.shuffle(numbers)
    names = {place: f"HP:{1_000_000 + number:07d}" for place, number in enumerate(numbers)}
    drawn = {place: [names[p % place] for p in row] if place else [] for place, row in enumerate(parents)}
    lines = [
        "\n".join([f"id: {names[place]}", "name: x", *(f"is_a: {p}" for p in {*row} or {PHENOTYPE})])
        for place, row in drawn.items()
    ]
    order.shuffle(lines)
    ontology = parse(*lines)
    for term in range(len(ontology.ids)):
        check_ancestors(ontology, term)
    assert ontology.is_phenotype.sum() == len(parents) + 1


def test_what_each_stanza_says(small: Ontology) -> None:
    seizure = small.index["HP:0001250"]
    assert small.version == "2024-02-29"
    assert small.names[seizure] == "Seizure"
    assert Synonym("Epilepsy", "RELATED", "layperson") in small.synonyms[seizure]
    assert Synonym("Convulsiones", "EXACT", "es") in small.synonyms[seizure]
    assert list(small.ids) == sorted(small.ids)
    assert [small.ids[p] for p in small.parents.row(seizure)] == ["HP:0012638"]


def test_old_ids_lead_to_the_terms_that_stand_for_them(small: Ontology) -> None:
    found = small.find("HP:0001275")
    assert found is not None
    assert small.ids[found.term] == "HP:0001250"
    assert found.notice == "HP:0001275 is now HP:0001250 (Seizure)"
    replaced = small.find("HP:0000057")
    assert replaced is not None
    assert small.ids[replaced.term] == "HP:0000252"
    same = small.find("HP:0001250")
    assert same is not None
    assert same.notice == ""


def test_retired_and_unknown_ids_lead_nowhere(small: Ontology) -> None:
    assert small.find("HP:0000489") is None
    assert small.retired["HP:0000489"] == ("HP:0001629", "HP:0001631")
    assert small.retired["HP:0007104"] == ()
    assert small.find("HP:9999999") is None
    assert small.find("") is None
    assert not set(small.replaced) & set(small.ids)
    assert not set(small.retired) & set(small.ids)


def test_every_old_id_of_the_release_leads_to_a_term(real: Ontology) -> None:
    assert len(real.replaced) > 1000
    for old in real.replaced:
        found = real.find(old)
        assert found is not None
        assert found.notice.startswith(old)


def test_signs_are_told_from_the_rest(small: Ontology) -> None:
    signs = small.is_phenotype
    assert signs[small.index["HP:0001250"]]
    assert not any(signs[small.index[each]] for each in (ALL, INHERITANCE, ONSET, "HP:0012825"))
    assert np.array_equal(signs, small.under(PHENOTYPE))
    assert small.under(ONSET)[small.index["HP:0003593"]]
    assert not small.under("HP:9999999").any()


def test_the_release_is_whole(real: Ontology) -> None:
    assert real.version == "2025-01-16"
    assert len(real.ids) > 18_000
    assert real.is_phenotype.sum() > 17_000
    assert real.names[real.index["HP:0001250"]] == "Seizure"


def test_what_qualifies_a_line_is_left_off() -> None:
    ontology = parse(
        f'id: HP:0001250\nname: Seizure\nis_a: {PHENOTYPE} {{source="x"}} ! its name\n'
        'synonym: "A \\"fit\\"" EXACT layperson [ORCID:1]\nsynonym: "odd"\nsynonym: nothing'
    )
    seizure = ontology.index["HP:0001250"]
    assert [ontology.ids[p] for p in ontology.parents.row(seizure)] == [PHENOTYPE]
    assert ontology.synonyms[seizure] == (
        Synonym('A "fit"', "EXACT", "layperson"),
        Synonym("odd", "RELATED", ""),
    )


def test_a_circle_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="circle"):
        parse("id: HP:0000002\nname: a\nis_a: HP:0000003", "id: HP:0000003\nname: b\nis_a: HP:0000002")


@pytest.mark.parametrize("text", ["", "no stanza", HEAD, f"{HEAD}[Term]\nid: {ALL}\nname: All\n"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(KnowledgeError, match="not the Human Phenotype Ontology"):
        parse_ontology(text, "hp.obo")


def test_windows_lines_are_read_alike(small: Ontology, small_files: tuple[Path, Path]) -> None:
    text = small_files[0].read_text("utf-8")
    assert parse_ontology(text.replace("\n", "\r\n"), "hp.obo").ids == small.ids


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 1000), max_size=5), max_size=10))
def test_rows_of_indices_are_kept(rows: list[list[int]]) -> None:
    sparse = Sparse.of(rows)
    assert [sparse.row(number).tolist() for number in range(len(rows))] == rows
