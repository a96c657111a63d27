"""Prefetch: what is asked for, and what is made of what comes."""

import json
from pathlib import Path
from typing import Any

import pytest

from galeno.errors import InputError
from galeno.service.cds_prefetch import LONGEST_QUERY, Prefetched, read_prefetch, templates
from galeno.study import Study
from galeno.study_file import load_study

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-01-01"}
PULSE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": 80, "code": "/min", "system": "http://unitsofmeasure.org"},
}


def make_study(columns: dict[str, Any]) -> Study:
    return Study.model_validate(
        {
            "name": "s",
            "records": {"source": "a.csv", "target": "y"},
            "classes": [{"name": "a"}, {"name": "b"}],
            "columns": {name: {"type": "text"} for name in columns},
            "fhir": {"columns": columns},
        }
    )


STUDY = make_study({"pulse": {"code": "8867-4"}, "asthma": {"resource": "Condition", "code": "J45"}})


def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": r} for r in resources],
        **more,
    }


def sent(**prefetch: Any) -> dict[str, Any]:
    return {"patient": PATIENT, "conditions": None, "observations": None} | prefetch


def read(prefetch: Any) -> Prefetched:
    return read_prefetch(STUDY, prefetch, "p1")


def test_only_what_the_study_reads_is_asked_for() -> None:
    assert templates(make_study({"sex": {"resource": "Patient", "element": "gender"}})) == {
        "patient": "Patient/{{context.patientId}}"
    }
    assert templates(STUDY) == {
        "patient": "Patient/{{context.patientId}}",
        "conditions": "Condition?patient={{context.patientId}}&code=http://loinc.org|J45"
        "&_sort=-recorded-date&_count=200",
        "observations": "Observation?patient={{context.patientId}}&code=http://loinc.org|8867-4"
        "&_sort=-date&_count=200",
    }


def test_other_codes_and_the_panel_of_blood_pressure_are_asked_for_too() -> None:
    study = make_study({"s": {"code": "8480-6"}, "d": {"code": "8462-4"}, "t": {"code": "1", "also": ["2"]}})
    query = templates(study)["observations"]
    for code in ("8480-6", "8462-4", "85354-9", "|1", "|2"):
        assert query.count(code) == 1


def test_notes_without_a_code_are_asked_for_as_such() -> None:
    query = templates(make_study({"note": {"resource": "DocumentReference"}}))["documents"]
    assert query == "DocumentReference?patient={{context.patientId}}&_sort=-date&_count=200"


def test_a_query_that_grows_too_long_leaves_the_codes_out() -> None:
    query = templates(make_study({f"c{i}": {"code": f"1234{i}-5"} for i in range(200)}))["observations"]
    assert len(query) <= LONGEST_QUERY
    assert "code=" not in query


def test_the_severity_study_asks_in_one_short_query_a_type(repository: Path) -> None:
    queries = templates(load_study(repository / "studies" / "severity" / "study.yaml", []))
    assert set(queries) == {"patient", "conditions", "observations", "documents"}
    assert all(
        query.startswith(("Patient/", "Observation?", "Condition?", "Doc")) for query in queries.values()
    )
    assert "85354-9" in queries["observations"]


@pytest.mark.parametrize("value", [PULSE, bundle(PULSE), bundle(PULSE, PULSE)])
def test_resources_and_bundles_mean_the_same(value: Any) -> None:
    found = read(sent(observations=value))
    assert [entry.raw["id"] for entry in found.entries] == ["p1", "o1"]
    assert found.found
    assert found.missing == ()


def test_a_patient_may_come_in_a_bundle() -> None:
    assert read(sent(patient=bundle(PATIENT))).missing == ()


def test_null_is_no_data() -> None:
    found = read(sent())
    assert not found.found
    assert found.missing == ()
    assert not read(sent(observations=bundle())).found


@pytest.mark.parametrize(
    ("prefetch", "missing"),
    [
        (None, ["prefetch.patient", "prefetch.conditions", "prefetch.observations"]),
        ({}, ["prefetch.patient", "prefetch.conditions", "prefetch.observations"]),
        ({"patient": PATIENT, "conditions": None}, ["prefetch.observations"]),
        (sent(patient=None), ["prefetch.patient"]),
        (sent(patient=PULSE), ["prefetch.patient"]),
        (sent(patient=bundle()), ["prefetch.patient"]),
        (sent(observations={"resourceType": "OperationOutcome", "issue": []}), ["prefetch.observations"]),
        (sent(observations=bundle(link=[{"relation": "next", "url": "u"}])), ["prefetch.observations"]),
        (
            sent(observations=bundle({"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]})),
            ["prefetch.observations"],
        ),
    ],
)
def test_what_is_missing_is_named(prefetch: Any, missing: list[str]) -> None:
    assert [place for place, _ in read(prefetch).missing] == missing


def test_hints_of_the_server_are_passed_over() -> None:
    hint = {"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]}
    value = bundle(PULSE, hint, link=[{"relation": "self", "url": "u"}])
    assert [entry.raw["id"] for entry in read(sent(observations=value)).entries] == ["p1", "o1"]


def test_keys_that_were_not_asked_for_are_not_read() -> None:
    found = read(sent(medications=bundle({"resourceType": "MedicationRequest", "id": "m"})))
    assert len(found.entries) == 1


@pytest.mark.parametrize("patient", [PATIENT | {"id": "p2"}, {"resourceType": "Patient"}])
def test_another_patient_is_refused(patient: Any) -> None:
    with pytest.raises(InputError, match=r"context\.patientId"):
        read(sent(patient=patient))


@pytest.mark.parametrize("entry", [{}, None, 7, {"resource": None}, {"resource": []}])
def test_an_entry_without_a_resource_is_named(entry: Any) -> None:
    value = bundle() | {"entry": [entry]}
    with pytest.raises(InputError, match=r"prefetch\.observations\.entry\[0\]"):
        read(sent(observations=value))


def test_odd_shapes_end_in_an_answer() -> None:
    for odd in ({"entry": 7, "resourceType": "Bundle"}, {"link": [None, 3], "resourceType": "Bundle"}):
        assert json.dumps(odd)
        assert not read(sent(observations=odd)).found
