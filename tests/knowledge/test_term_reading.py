"""Terms as people give them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_knowledge import write_small_knowledge

from galeno.errors import InputError
from galeno.knowledge.ontology import Ontology, parse_ontology
from galeno.knowledge.reading import MOST_FAULTS, read_terms


@pytest.fixture(scope="module")
def ontology(tmp_path_factory: pytest.TempPathFactory) -> Ontology:
    path, _ = write_small_knowledge(tmp_path_factory.mktemp("knowledge"))
    return parse_ontology(path.read_text("utf-8"), "hp.obo")


def ids(ontology: Ontology, *given: str) -> list[str]:
    return [ontology.ids[term] for term in read_terms(ontology, given).terms]


def faults(ontology: Ontology, *given: str, field: str = "terms") -> dict[str, str]:
    with pytest.raises(InputError) as error:
        read_terms(ontology, given, field=field)
    return dict(error.value.faults)


@pytest.mark.parametrize(
    "text",
    [
        "HP:0001250",
        " hp:0001250 ",
        "HP_0001250",
        "http://purl.obolibrary.org/obo/HP_0001250",
        "Seizure (HP:0001250)",
        "HP:0001250 Seizure",
        "seizures",
        "Epileptic Seizure",
        "CONVULSIONES",
        "convulsión",
    ],
)
def test_a_term_is_known_however_it_is_written(ontology: Ontology, text: str) -> None:
    read = read_terms(ontology, [text])
    assert [ontology.ids[term] for term in read.terms] == ["HP:0001250"]
    assert read.notices == ()


def test_the_order_is_kept_and_doubles_are_dropped_with_a_notice(ontology: Ontology) -> None:
    read = read_terms(ontology, ["Scoliosis", "HP:0001250", "seizures", "Ataxia"])
    assert [ontology.ids[term] for term in read.terms] == ["HP:0002650", "HP:0001250", "HP:0001251"]
    assert read.notices == ("Seizure (HP:0001250) was given more than once",)


def test_old_ids_are_replaced_with_a_notice(ontology: Ontology) -> None:
    read = read_terms(ontology, ["HP:0001275", "HP:0000057"])
    assert [ontology.ids[term] for term in read.terms] == ["HP:0001250", "HP:0000252"]
    assert read.notices == (
        "HP:0001275 is now HP:0001250 (Seizure)",
        "HP:0000057 is now HP:0000252 (Microcephaly)",
    )


def test_a_related_name_is_taken_with_a_notice(ontology: Ontology) -> None:
    read = read_terms(ontology, ["epilepsy"])
    assert [ontology.ids[term] for term in read.terms] == ["HP:0001250"]
    assert read.notices == ("Seizure (HP:0001250) was taken for a related name of it",)


def test_the_root_says_nothing(ontology: Ontology) -> None:
    read = read_terms(ontology, ["HP:0000118"])
    assert read.terms == ()
    assert "says nothing" in read.notices[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("HP:0000006", "mode of inheritance"),
        ("Autosomal dominant", "mode of inheritance"),
        ("HP:0003577", "give it as the onset"),
        ("Childhood onset", "give it as the onset"),
        ("Mild", "qualifies a sign"),
        ("HP:0012828", "qualifies a sign"),
        ("HP:0040281", "frequency"),
        ("HP:0031797", "clinical course"),
        ("HP:0000001", "not a sign"),
        ("HP:0000489", "consider Ventricular septal defect (HP:0001629), Atrial septal defect (HP:0001631)"),
        ("HP:0007104", "withdrawn from the HPO without a successor"),
        ("HP:9999999", "HP:9999999 is not in release 2024-02-29"),
        ("HP:1250", "seven digits"),
        ("HP1250", "seven digits"),
        ("", "empty"),
        ("x" * 301, "longer than 300"),
        ("siezure", "did you mean Seizure (HP:0001250)"),
        ("catarct", "did you mean Cataract (HP:0000518)"),
        ("qqqq", "search for it by another name"),
    ],
)
def test_what_cannot_be_taken_is_explained(ontology: Ontology, text: str, told: str) -> None:
    fault = faults(ontology, text)
    assert told in fault["terms[0]"]


def test_words_that_were_typed_are_not_told_back(ontology: Ontology) -> None:
    with pytest.raises(InputError) as error:
        read_terms(ontology, ["Mrs Smith of Leeds"])
    assert "Smith" not in str(error.value)


def test_all_faults_are_told_at_once_with_their_places(ontology: Ontology) -> None:
    told = faults(ontology, "Seizure", "nothing such", "HP:0000006", field="excluded")
    assert list(told) == ["excluded[1]", "excluded[2]"]


def test_faults_are_bounded(ontology: Ontology) -> None:
    assert len(faults(ontology, *["HP:9999999"] * 50)) == MOST_FAULTS


def test_nothing_reads_as_nothing(ontology: Ontology) -> None:
    assert read_terms(ontology, []) == ((), ())


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=50, deadline=None)
def test_any_text_is_read_or_refused(ontology: Ontology, given: list[str]) -> None:
    try:
        read = read_terms(ontology, given)
    except InputError as refused:
        places = [field for field, _ in refused.faults]
    else:
        places = []
        assert len(set(read.terms)) == len(read.terms) <= len(given)
        assert all(ontology.is_phenotype[term] for term in read.terms)
    assert set(places) <= {f"terms[{place}]" for place in range(len(given))}
