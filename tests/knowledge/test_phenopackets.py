"""A phenopacket's signs, ages and diagnosis are found where version 2 of the standard puts them."""

import copy

import pytest

from galeno.errors import InputError
from galeno.knowledge.phenopackets import is_phenopacket, read_fields


def sign(term, **more):
    return {"type": {"id": term, "label": "a name"}, **more}


def packet(**more):
    whole = {
        "id": "packet",
        "subject": {"id": "p", "sex": "MALE"},
        "phenotypicFeatures": [
            sign("HP:0001250", onset={"age": {"iso8601duration": "P2Y"}}),
            sign("HP:0001263", onset={"ontologyClass": {"id": "HP:0003593", "label": "Infantile onset"}}),
            sign("HP:0001251", excluded=True, onset={"ontologyClass": {"id": "HP:0003577"}}),
        ],
        "metaData": {
            "phenopacketSchemaVersion": "2.0",
            "externalReferences": [{"id": "DOI:1"}, {"id": "PMID:7"}],
        },
    }
    return {**whole, **more}


def test_signs_are_observed_or_excluded_and_the_onset_is_the_earliest_of_those_observed():
    found = read_fields(packet())
    assert found.observed == ("HP:0001250", "HP:0001263")
    assert found.excluded == ("HP:0001251",)
    assert found.onset == "HP:0003593"
    assert found.paper == "PMID:7"
    assert found.sex == "MALE"


@pytest.mark.parametrize(
    ("subject", "age"),
    [
        ({"timeAtLastEncounter": {"age": {"iso8601duration": "P14Y3M"}}}, 14.25),
        ({"timeAtLastEncounter": {"ageRange": {"start": {"iso8601duration": "P4Y"}}}}, 4),
        ({"timeAtLastEncounter": {"ontologyClass": {"id": "HP:0011463"}}}, 3),
        ({"timeAtLastEncounter": {"ontologyClass": {"id": "NCIT:C1"}}}, None),
        ({"timeAtLastEncounter": {"gestationalAge": {"weeks": 20}}}, None),
        (
            {
                "dateOfBirth": "2000-01-01T00:00:00Z",
                "timeAtLastEncounter": {"timestamp": "2010-01-01T00:00:00Z"},
            },
            10,
        ),
        ({"dateOfBirth": "2010-01-01", "timeAtLastEncounter": {"timestamp": "2000-01-01"}}, None),
        ({"dateOfBirth": "once", "timeAtLastEncounter": {"timestamp": "then"}}, None),
        ({"vitalStatus": {"status": "DECEASED", "timeOfDeath": {"age": {"iso8601duration": "P5Y"}}}}, 5),
        ({}, None),
    ],
)
def test_the_age_is_that_at_the_last_encounter_else_at_death(subject, age):
    assert read_fields(packet(subject=subject)).age == (None if age is None else pytest.approx(age, abs=0.01))


def disease(term, **more):
    return {"term": {"id": term}, **more}


def solved(term, status="SOLVED"):
    return {"id": "i", "progressStatus": status, "diagnosis": {"disease": {"id": term, "label": "a name"}}}


@pytest.mark.parametrize(
    ("more", "truth"),
    [
        ({"interpretations": [solved("OMIM:1")]}, ("OMIM:1",)),
        ({"interpretations": [solved("OMIM:1")], "diseases": [disease("OMIM:2")]}, ("OMIM:1",)),
        ({"interpretations": [solved("OMIM:1", "IN_PROGRESS")]}, ()),
        ({"interpretations": [solved("OMIM:1", "UNSOLVED")], "diseases": [disease("OMIM:2")]}, ("OMIM:2",)),
        ({"diseases": [disease("OMIM:2"), disease("OMIM:3", excluded=True)]}, ("OMIM:2",)),
        ({}, ()),
    ],
)
def test_the_confirmed_disease_is_the_solved_one_else_those_listed(more, truth):
    assert read_fields(packet(**more)).truth == truth


def test_the_onset_of_the_disease_counts_too():
    assert (
        read_fields(packet(diseases=[disease("OMIM:1", onset={"age": {"iso8601duration": "P1M"}})])).onset
        < 0.1
    )


def test_names_in_snake_case_are_taken():
    content = {
        "id": "packet",
        "subject": {"time_at_last_encounter": {"age": {"iso8601duration": "P2Y"}}},
        "phenotypic_features": [sign("HP:0001250")],
        "meta_data": {"phenopacket_schema_version": "2.0.0"},
    }
    found = read_fields(content)
    assert (found.age, found.observed) == (2, ("HP:0001250",))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metaData": {"phenopacketSchemaVersion": "1.0.0"}}, "phenopacket.metaData"),
        (
            {"phenotypicFeatures": [sign("HP:0001250", negated=True)]},
            "phenopacket.phenotypicFeatures[0].negated",
        ),
        (
            {"phenotypicFeatures": [sign("HP:0001250", excluded="no")]},
            "phenopacket.phenotypicFeatures[0].excluded",
        ),
        ({"phenotypicFeatures": [{"type": {}}]}, "phenopacket.phenotypicFeatures[0].type.id"),
        ({"phenotypicFeatures": ["HP:0001250"]}, "phenopacket.phenotypicFeatures[0]"),
        ({"phenotypicFeatures": []}, "phenopacket.phenotypicFeatures"),
        ({"phenotypicFeatures": None}, "phenopacket.phenotypicFeatures"),
        ({"subject": "p"}, "phenopacket.subject"),
        (
            {"subject": {"timeAtLastEncounter": {"age": {"iso8601duration": "old"}}}},
            "phenopacket.subject.timeAtLastEncounter",
        ),
    ],
)
def test_what_would_be_misread_is_refused_with_its_field(change, field):
    with pytest.raises(InputError) as caught:
        read_fields(packet(**change))
    assert caught.value.faults[0][0] == field


def test_a_phenopacket_is_told_from_a_case_and_left_as_it_is():
    content = packet()
    before = copy.deepcopy(content)
    assert is_phenopacket(content)
    assert not is_phenopacket({"hpo": [], "subject": {}})
    read_fields(content)
    assert content == before
