"""What a person types of a patient becomes ids of signs, or every fault of it is told at once."""

import json

import pytest
from small_knowledge import write_small_knowledge

from galeno.errors import InputError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.names import TermNames
from galeno.pipeline.question import Question, parse_sex, understand


@pytest.fixture(scope="module")
def ontology(tmp_path_factory):
    return KnowledgeBase.load(*write_small_knowledge(tmp_path_factory.mktemp("knowledge"))).ontology


def packet(*signs, **more):
    features = [{"type": {"id": sign.lstrip("!")}, "excluded": sign[0] == "!"} for sign in signs]
    return {"phenotypicFeatures": features, "metaData": {}, **more}


def test_terms_are_ids_and_names(ontology):
    patient, notices, *_ = understand(Question(["HP:0001275", "Small head"], ["ataxia"]), ontology)
    assert patient.observed == ("HP:0001250", "HP:0000252")
    assert patient.excluded == ("HP:0001251",)
    assert any("HP:0001275" in notice and "HP:0001250" in notice for notice in notices)


def test_a_text_adds_its_signs(ontology):
    text = "Seizures and cataract, but no scoliosis. No ataxia."
    read = understand(Question(["HP:0001250"], ["HP:0000365"], text=text), ontology)
    assert read.patient.observed == ("HP:0001250", "HP:0000518")
    assert read.patient.excluded == ("HP:0000365", "HP:0002650", "HP:0001251")
    assert [text[each.start : each.end] for each in read.mentions] == [
        "Seizures", "cataract", "scoliosis", "ataxia"
    ]  # fmt: skip
    assert [ontology.ids[term] for term in read.added] == ["HP:0000518", "HP:0002650", "HP:0001251"]
    assert read.notices == ()


def test_what_was_named_counts_more_than_the_text(ontology):
    read = understand(Question(["HP:0001251"], ["Seizure"], text="Seizures. No ataxia."), ontology)
    assert (read.patient.observed, read.patient.excluded) == (("HP:0001251",), ("HP:0001250",))
    assert set(read.notices) == {
        "Seizure (HP:0001250) is taken as absent, though the text affirms it",
        "Ataxia (HP:0001251) is taken as present, though the text denies it",
    }
    assert read.added == ()


def test_a_sign_that_is_named_as_present_and_as_absent_is_refused(ontology):
    with pytest.raises(InputError, match="also among the signs that are present") as caught:
        understand(Question(["HP:0001250"], ["Fever", "Seizure"]), ontology)
    assert caught.value.faults[0][0] == "excluded"


def test_what_a_phenopacket_says_both_ways_is_present(ontology):
    read = understand(Question(phenopacket=packet("HP:0001250", "!HP:0001275", "HP:9999999")), ontology)
    assert (read.patient.observed, read.patient.excluded) == (("HP:0001250",), ())
    assert any("it is taken as present" in notice for notice in read.notices)
    assert any("left out of the phenopacket" in notice for notice in read.notices)
    read = understand(
        Question(excluded=["Seizure"], phenopacket=packet("HP:0001250", "HP:0000518")), ontology
    )
    assert (read.patient.observed, read.patient.excluded) == (("HP:0000518",), ("HP:0001250",))


def test_what_is_given_beside_a_phenopacket_comes_first(ontology):
    content = packet(
        "HP:0001250",
        "!HP:0001251",
        subject={"sex": "MALE", "timeAtLastEncounter": {"age": {"iso8601duration": "P2Y"}}},
    )
    patient = understand(Question(["HP:0000518"], phenopacket=content, age=30), ontology).patient
    assert patient.observed == ("HP:0000518", "HP:0001250")
    assert patient.excluded == ("HP:0001251",)
    assert (patient.age, patient.sex) == (30, "MALE")
    assert understand(Question(phenopacket=json.dumps(content)), ontology)[0].age == 2


@pytest.mark.parametrize(
    ("onset", "meant"),
    [("P6M", 0.5), ("HP:0003593", "HP:0003593"), ("infantile onset", "HP:0003593"), (3, 3.0), (None, None)],
)
def test_an_onset_is_years_or_a_stage_by_id_or_name(ontology, onset, meant):
    assert understand(Question(["HP:0001250"], onset=onset), ontology)[0].onset == meant


def test_every_fault_is_told_at_once(ontology):
    question = Question(
        ["HP:0001250", "HP:0012825", "no such sign"], ["HP:9999999"], age="old", sex="x", onset="Mild"
    )
    with pytest.raises(InputError) as caught:
        understand(question, ontology)
    fields = [field for field, _ in caught.value.faults]
    assert fields == ["terms[1]", "terms[2]", "excluded[0]", "age", "onset", "sex"]


@pytest.mark.parametrize(
    "question", [Question(), Question(excluded=["HP:0001250"]), Question(text="No seizures.")]
)
def test_nothing_observed_is_told(ontology, question):
    with pytest.raises(InputError, match="no sign that is present"):
        understand(question, ontology)


def test_sexes():
    assert [parse_sex(word) for word in ("male", "F", "unknown", "", None)] == [
        "MALE",
        "FEMALE",
        None,
        None,
        None,
    ]
    with pytest.raises(ValueError, match="neither male"):
        parse_sex("both")


def test_many_terms_of_a_phenopacket_that_are_unknown_are_counted(ontology):
    names = TermNames.of(ontology)
    strange = [f"NCIT:C{number}" for number in range(500)]
    read = understand(Question(phenopacket=packet(*strange, "HP:0001250", "Ataxia")), ontology, names)
    assert read.patient.observed == ("HP:0001250", "HP:0001251")
    assert read.notices[-1] == "left out of the phenopacket: 480 more that are no signs of the HPO"


def test_no_more_than_twenty_unknown_terms_are_looked_up(ontology, monkeypatch):
    looked = []
    names = TermNames.of(ontology)
    search = TermNames.search
    monkeypatch.setattr(TermNames, "search", lambda *each: looked.append(each) or search(*each))
    with pytest.raises(InputError) as caught:
        understand(Question([f"nothing like it {number}" for number in range(500)]), ontology, names)
    assert (len(caught.value.faults), len(looked)) == (20, 20)
