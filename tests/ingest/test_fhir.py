"""A Bundle becomes a record of the study, or an error that names the place."""

import contextlib
import copy
import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from fhir_cases import (
    HPO,
    ICD10,
    NOW,
    UCUM,
    bundle,
    condition,
    document,
    observation,
    patient,
    ward_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.ingest.fhir import FhirRecord, read_bundle
from galeno.ingest.fhir_check import FhirInputError, load_resource
from galeno.study_file import load_study

STUDY = ward_study()
ENTRY = "Bundle.entry[1].resource"


def read(*resources: Any, **changes: Any) -> FhirRecord:
    return read_bundle(STUDY, bundle(*resources, **changes), now=NOW)


def refusal(*resources: Any, **changes: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(FhirInputError) as caught:
        read(*resources, **changes)
    return [(issue.expression, issue.code, issue.text) for issue in caught.value.issues]


def value(*resources: Any) -> dict[str, Any]:
    """What the resources add to the person's own columns."""
    return {k: v for k, v in read(*resources).record.items() if k not in ("age", "sex", "born")}


def warnings(*resources: Any) -> list[str]:
    return [f"{issue.expression}: {issue.text}" for issue in read(*resources).issues]


def test_the_shape_of_a_request_is_read(repository: Path, real_data: Path) -> None:
    sent = json.loads((real_data.parent / "shapes" / "request_bundle.json").read_text())
    study = load_study(repository / "studies" / "severity" / "study.yaml")
    found = read_bundle(study, sent, now=NOW)
    assert found.patient_id == "urn:oid:1.2.3|MRN1"
    assert found.subject == "Patient/p1"
    assert found.record == {"age": 4, "sex": "F", "oxygen_saturation": 94, "cough": True}
    assert found.basis == ("Observation/o1", "Observation/o2")
    [media] = found.issues
    assert (media.severity, media.expression) == ("warning", "Bundle.entry[3].resource")


def test_the_person() -> None:
    assert read().record == {"age": 64, "sex": "F", "born": "1962-03-01T00:00:00"}
    whole = {"resourceType": "Bundle", "type": "collection"}

    def of(**changes: Any) -> Any:
        sent = {**whole, "entry": [{"resource": patient(**changes)}]}
        return read_bundle(STUDY, sent, now=NOW).record

    assert of(birthDate="1962-11-22")["age"] == 63
    assert of(birthDate="1962-11-21")["age"] == 64
    assert of(birthDate="1962-12")["age"] == 63
    assert of(birthDate="1962")["age"] == 64
    assert "sex" not in of(gender="other")
    then = bundle(timestamp="1992-11-21T10:00:00Z")
    assert read_bundle(STUDY, then, now=NOW).record["age"] == 30


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "urn:oid:1.2.3|MRN1"),
        ({"identifier": [{"value": "A"}, {"value": "B", "use": "official"}]}, "B"),
        ({"identifier": [{"value": "A", "use": "old"}, {"value": " "}]}, "p1"),
        ({"identifier": []}, "p1"),
    ],
)
def test_the_id_of_the_patient(changes: dict[str, Any], expected: str) -> None:
    sent = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(**changes)}]}
    assert read_bundle(STUDY, sent, now=NOW).patient_id == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (observation("8310-5", 98.6, "[degF]"), {"temperature": 37.0}),
        (observation("8310-5", 310.15, "K"), {"temperature": 37.0}),
        (observation("8480-6", 16, "kPa"), {"systolic": pytest.approx(120.0, abs=0.02)}),
        (observation("2345-7", 5, "mmol/L"), {"glucose": pytest.approx(90.08)}),
        (observation("14749-6", 5000, "umol/L"), {"glucose": pytest.approx(90.08)}),
        (observation("2345-7", 0.9, "g/L"), {"glucose": 90.0}),
        (observation("6690-2", 7.5, "10*3/uL"), {"leukocytes": 7.5}),
        (observation("6690-2", 7500, "/uL"), {"leukocytes": 7.5}),
        (observation("72514-3", 4, "{score}"), {"pain": 4.0}),
        (observation("72514-3", valueInteger=4), {"pain": 4.0}),
        (observation("72514-3", valueQuantity={"value": 4}), {"pain": 4.0}),
        (observation("8310-5", valueQuantity={"value": 37, "unit": "°C"}), {"temperature": 37.0}),
        (observation("HP:0012735", True), {"cough": True}),
        (observation("HP:0012735", False), {"cough": False}),
    ],
)
def test_values_come_in_the_unit_of_the_column(sent: Any, expected: dict[str, Any]) -> None:
    assert value(sent) == expected


def test_answers_are_mapped() -> None:
    def answer(system: str, code: str, column: str = "72166-2") -> dict[str, Any]:
        return observation(column, valueCodeableConcept={"coding": [{"system": system, "code": code}]})

    loinc = "http://loinc.org"
    assert value(answer(loinc, "LA18978-9")) == {"smoking": "never"}
    assert value(answer(loinc, "LA33-6", "HP:0012735")) == {"cough": True}
    assert value(answer("http://terminology.hl7.org/CodeSystem/v2-0136", "N", "HP:0012735")) == {
        "cough": False
    }
    assert value(answer("http://snomed.info/sct", "266919005")) == {}
    assert warnings(answer("http://snomed.info/sct", "266919005")) == [
        f"{ENTRY}.valueCodeableConcept: this answer is not mapped by the study; taken as missing"
    ]


def test_components_count_as_values() -> None:
    parts = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "valueQuantity": {"value": 121, "system": UCUM, "code": "mm[Hg]"},
        }
    ]
    assert value(observation("85354-9", component=parts)) == {"systolic": 121.0}


def test_the_latest_by_its_time_wins() -> None:
    at = "effectiveDateTime"
    early = observation("8310-5", 36, "Cel", **{at: "2026-11-20T09:00:00+02:00"})
    late = observation("8310-5", 39, "Cel", **{at: "2026-11-20T08:00:00Z"})
    untimed = observation("8310-5", 35, "Cel", **{at: None})
    issued = observation("8310-5", 34, "Cel", **{at: None, "issued": "2026-11-19T08:00:00Z"})
    assert value(late, early, untimed, issued) == value(untimed, issued, early, late) == {"temperature": 39.0}
    assert value(issued, untimed) == {"temperature": 34.0}
    day = observation("8310-5", 38, "Cel", **{at: "2026-11-21"})
    assert value(day, late) == {"temperature": 38.0}
    month = observation("8310-5", 33, "Cel", **{at: "2026-11"})
    assert value(late, month) == {"temperature": 39.0}
    span = {"effectivePeriod": {"start": "2026-11-01T00:00:00Z", "end": "2026-11-20T23:00:00Z"}, at: None}
    assert value(observation("8310-5", 41, "Cel", **span), late) == {"temperature": 41.0}


def test_what_is_void_counts_as_never_sent() -> None:
    good = observation("8310-5", 36, "Cel", effectiveDateTime="2026-11-20")
    for status in ("entered-in-error", "cancelled"):
        assert value(observation("8310-5", 39, "Cel", status=status), good) == {"temperature": 36.0}
    assert value(document(b"x", status="entered-in-error")) == {}
    assert value(document(b"x", docStatus="entered-in-error")) == {}
    assert value(document(b"x", status="superseded")) == {}


def test_a_fault_counts_only_in_the_latest() -> None:
    wrong = observation("8310-5", 36, "mm[Hg]", effectiveDateTime="2020-01-01")
    assert value(wrong, observation("8310-5", 38, "Cel")) == {"temperature": 38.0}
    assert refusal(
        observation("8310-5", 38, "mm[Hg]"), observation("8310-5", 36, "Cel", effectiveDateTime="2020")
    )


def test_conditions() -> None:
    assert value(condition("E11.9")) == {"diabetes": True}
    assert value(condition("E11.9", verified=None)) == {"diabetes": True}
    assert value(condition("E11.9", verified="refuted")) == {"diabetes": False}
    assert value(condition("E11.9", verified="entered-in-error")) == {}
    for sent, place in (
        (condition("E11.9", verified="differential"), "verificationStatus: is not established"),
        (condition("E11.9", clinicalStatus={"coding": [{"code": "resolved"}]}), "clinicalStatus: is over"),
    ):
        assert value(sent) == {}
        assert warnings(sent) == [f"{ENTRY}.{place}, and not used"]
    assert value(condition("I10")) == {}
    banana = condition("E11.9", clinicalStatus={"coding": [{"code": "banana"}]})
    assert refusal(banana)[0][:2] == (f"{ENTRY}.clinicalStatus", "code-invalid")


def test_notes() -> None:
    assert value(document(b"fiebre y tos")) == {"note": "fiebre y tos"}
    assert value(document("Niño".encode("latin-1"), "text/plain; charset=ISO-8859-1")) == {"note": "Niño"}
    assert value(document(b"\xef\xbb\xbfTos", 'text/plain;charset="UTF-8"')) == {"note": "Tos"}
    later = document(b"new", date="2026-11-21T08:00:00Z")
    assert value(later, document(b"old")) == {"note": "new"}
    assert value(document(b"x", "audio/wav")) == {}
    assert "only texts" in warnings(document(b"x", "audio/wav"))[0]
    elsewhere = document(
        b"x", content=[{"attachment": {"contentType": "text/plain", "url": "http://h/a.txt"}}]
    )
    assert value(elsewhere) == {}
    place = f"{ENTRY}.content[0].attachment"
    assert refusal(document(b"\xff\xfe")) == [
        (f"{place}.data", "value", "is not base64 of text in its charset")
    ]
    assert refusal(document(b"x", "text/plain; charset=utf-7"))[0][0] == f"{place}.contentType"
    assert refusal(document(b"x" * 500_000))[0][1] == "too-long"
    broken = document(b"x", content=[{"attachment": {"contentType": "text/plain", "data": "%%%="}}])
    assert refusal(broken)[0][0].startswith(place)


@pytest.mark.parametrize(
    ("sent", "place", "code"),
    [
        (observation("8310-5", 37, "Cel", status="banana"), "status", "code-invalid"),
        (observation("1234-5", 37, "Cel", status="banana"), "status", "code-invalid"),
        (observation("8310-5", 37, "Cel", status=None), "status", "required"),
        (observation("8310-5", 37, "Cel", effectiveDateTime="2026-11-23"), "effectiveDateTime",
         "business-rule"),
        (observation("8310-5", 37, "Cel", effectiveDateTime="2026-11-21T10:11:00Z"), "effectiveDateTime",
         "business-rule"),
        (observation("8310-5", 37, "Cel", effectiveDateTime="9999"), "effectiveDateTime", "business-rule"),
        (observation("8310-5", 37, "Cel", effectiveDateTime="2026-02-30"), "effectiveDateTime", "value"),
        (observation("8310-5", 37, "Cel", effectiveDateTime=12), "effectiveDateTime", "structure"),
        (observation("8310-5", 37, "Cel", effectiveDateTime=None, issued="2031-01-01T00:00:00Z"), "issued",
         "business-rule"),
        (observation("8310-5", math.nan, "Cel"), "valueQuantity.value", "value"),
        (observation("8310-5", math.inf, "Cel"), "valueQuantity.value", "value"),
        (observation("8310-5", "37", "Cel", valueQuantity={"value": "37", "system": UCUM, "code": "Cel"}),
         "valueQuantity.value", "value"),
        (observation("8310-5", 98.6, "Cel"), "valueQuantity.value", "value"),
        (observation("8310-5", 37, "mm[Hg]"), "valueQuantity.code", "value"),
        (observation("8310-5", 37, "banana"), "valueQuantity.code", "value"),
        (observation("3091-6", 5, "mmol/L"), "valueQuantity.code", "value"),
        (observation("8310-5", valueQuantity={"value": 37}), "valueQuantity.unit", "required"),
        (observation("8310-5", valueQuantity={"value": 37, "unit": "F"}), "valueQuantity.code", "required"),
        (observation("8310-5", valueQuantity={"value": 37, "code": "Cel"}), "valueQuantity.system",
         "required"),
        (observation("8310-5", valueQuantity={"value": 37, "code": "Cel", "system": "urn:x"}),
         "valueQuantity.system", "code-invalid"),
        (observation("8310-5", valueQuantity={"value": 37, "code": "Cel", "system": UCUM, "comparator": "~"}),
         "valueQuantity.comparator", "code-invalid"),
        (observation("8310-5", valueInteger=37), "valueInteger", "value"),
        (observation("8310-5", "hot"), "valueString", "value"),
        (observation("8310-5", True), "valueBoolean", "value"),
        (observation("HP:0012735", "yes"), "valueString", "value"),
        (observation("8310-5", 37, "Cel", valueString="x"), "", "structure"),
        (observation("8310-5", 37, "Cel", effectivePeriod={"start": "2026"}), "", "structure"),
        (observation("8310-5", 37, "Cel", colour="blue"), "colour", "structure"),
        (observation("8310-5", 37, "Cel", subject={"reference": "Patient/p2"}), "subject", "business-rule"),
        (observation("8310-5", 37, "Cel", subject={"identifier": {"system": "x", "value": "MRN1"}}),
         "subject", "business-rule"),
        (observation("8310-5", 37, "Cel", modifierExtension=[{"url": "http://x", "valueBoolean": True}]),
         "modifierExtension", "not-supported"),
        ({"resourceType": "Banana"}, "resourceType", "structure"),
        ({"id": "x"}, "resourceType", "required"),
        ("junk", "", "structure"),
        (None, "", "structure"),
    ],
)  # fmt: skip
def test_traps(sent: Any, place: str, code: str) -> None:
    [first, *_] = refusal(sent)
    assert first[:2] == (f"{ENTRY}.{place}".rstrip("."), code)


def test_the_message_of_an_unknown_unit_says_both_units() -> None:
    [(place, _, text)] = refusal(observation("3091-6", 5, "mmol/L"))
    assert place == f"{ENTRY}.valueQuantity.code"
    assert "mmol/L" in text
    assert "mg/dL" in text
    assert "convert" in text


def test_faults_never_show_a_value() -> None:
    canary = "XQJZKW"
    resources = [
        observation("8310-5", canary, "Cel"),
        observation("8310-5", 37, "Cel", status=canary),
        observation("8310-5", 37, "Cel", effectiveDateTime=canary),
        observation("8310-5", 37, "Cel", subject={"reference": f"Patient/{canary}"}),
        observation("8310-5", canary),
        observation("8310-5", 37, "Cel", code=canary),
    ]
    assert canary not in str(refusal(*resources))


@pytest.mark.parametrize(
    ("changes", "place", "code"),
    [
        ({"resourceType": "Patient"}, "Bundle", "structure"),
        ({"type": "banana"}, "Bundle.type", "code-invalid"),
        ({"type": None}, "Bundle", "structure"),
        ({"entry": {}}, "Bundle.entry", "too-costly"),
        ({"entry": []}, "Bundle.entry", "required"),
        ({"timestamp": "2027-01-01T00:00:00Z"}, "Bundle.timestamp", "business-rule"),
        ({"banana": 1}, "Bundle.banana", "structure"),
    ],
)
def test_faults_of_the_bundle(changes: dict[str, Any], place: str, code: str) -> None:
    sent = bundle(**changes)
    with pytest.raises(FhirInputError) as caught:
        read_bundle(STUDY, sent, now=NOW)
    assert (caught.value.issues[0].expression, caught.value.issues[0].code) == (place, code)


def test_one_patient() -> None:
    assert refusal(patient(id="p2"))[0] == (
        "Bundle.entry",
        "multiple-matches",
        "holds 2 Patients; one is expected",
    )
    sent = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": observation("8310-5", 37, "Cel")}],
    }
    with pytest.raises(FhirInputError) as caught:
        read_bundle(STUDY, sent, now=NOW)
    assert caught.value.issues[0].text == "Patient missing from Bundle"


def test_faults_of_the_patient() -> None:
    def of(**changes: Any) -> tuple[str, str]:
        sent = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(**changes)}]}
        with pytest.raises(FhirInputError) as caught:
            read_bundle(STUDY, sent, now=NOW)
        return caught.value.issues[0].expression, caught.value.issues[0].code

    at = "Bundle.entry[0].resource"
    assert of(gender="banana") == (f"{at}.gender", "code-invalid")
    assert of(birthDate="2027-01-01") == (f"{at}.birthDate", "business-rule")
    assert of(birthDate="1962-13-01") == (f"{at}.birthDate", "value")
    assert of(identifier=None) == (at, "structure")


def test_references_to_the_patient() -> None:
    urn = "urn:uuid:0f0e0d0c-0000-4000-8000-000000000001"
    sent = bundle(
        observation("8310-5", 37, "Cel", subject={"reference": urn}),
        observation("HP:0012735", True, subject={"reference": "https://h/fhir/Patient/p1/_history/2"}),
        observation(
            "72514-3", 1, "{score}", subject={"identifier": {"system": "urn:oid:1.2.3", "value": "MRN1"}}
        ),
    )
    sent["entry"][0]["fullUrl"] = urn
    assert {"temperature", "cough", "pain"} <= set(read_bundle(STUDY, sent, now=NOW).record)


def test_many_faults_are_told_at_once_and_in_bounds() -> None:
    told = refusal(*(observation("8310-5", 37, "Cel", status="banana") for _ in range(200)))
    assert len(told) == 50


def test_a_deep_resource_is_refused() -> None:
    deep: dict[str, Any] = {"url": "http://x"}
    for _ in range(100):
        deep = {"url": "http://x", "extension": [deep]}
    assert refusal(observation("8310-5", 37, "Cel", extension=[deep]))[0][1] == "too-costly"


def test_what_is_contained_is_not_looked_at() -> None:
    assert value(observation("8310-5", 37, "Cel", contained=[{"resourceType": "Banana"}])) == {
        "temperature": 37.0
    }


def test_nothing_that_the_study_maps() -> None:
    study = ward_study(fhir={"columns": {"cough": {"code": "HP:0012735", "system": HPO}}})
    with pytest.raises(FhirInputError, match="nothing that this study maps"):
        read_bundle(study, bundle(condition("I10", code={"text": "x"})), now=NOW)


def test_orphanet_is_one_system_in_two_spellings() -> None:
    mapped = {"diabetes": {"resource": "Condition", "code": "586", "system": "http://www.orpha.net"}}
    sent = condition("586", code={"coding": [{"system": "https://www.orpha.net/", "code": "586"}]})
    assert read_bundle(ward_study(fhir={"columns": mapped}), bundle(sent), now=NOW).record == {
        "diabetes": True
    }
    other = condition("586", code={"coding": [{"system": ICD10, "code": "586"}]})
    with pytest.raises(FhirInputError):
        read_bundle(ward_study(fhir={"columns": mapped}), bundle(other), now=NOW)


WHOLE = bundle(
    observation("8310-5", 37, "Cel"),
    condition("E11.9"),
    document(b"tos"),
    observation("72514-3", valueInteger=3),
)
JUNK = st.sampled_from(
    [None, True, -1, 0, 1e308, math.nan, "", "x", "{}", "[]", [], [[]], {}, {"a": 1}, "2026", "\x00", 10**400]
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [place for key, value in inner for place in places(value, (*path, key))]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(places(WHOLE)), JUNK), min_size=1, max_size=3))
def test_junk_anywhere_is_read_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    sent = copy.deepcopy(WHOLE)
    for path, junk in changes:
        node: Any = sent
        for key in path[:-1]:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(node, dict) or (isinstance(node, list) and path[-1] in range(len(node))):
                node[path[-1]] = junk
    with contextlib.suppress(FhirInputError):
        assert read_bundle(STUDY, sent, now=NOW).patient_id


def test_simulated_patients_of_another_system_are_read(repository: Path, real_data: Path) -> None:
    study = load_study(repository / "studies" / "severity" / "study.yaml")
    files = sorted((real_data / "fhir" / "synthea").glob("*.json.gz"))[:12]
    for path in files:
        found = read_bundle(study, json.loads(gzip.decompress(path.read_bytes())))
        assert {"age", "sex"} <= set(found.record)
        assert all(column in study.features_columns for column in found.record)
    assert files


def test_the_standard_s_own_examples_are_well_formed(real_data: Path) -> None:
    read = 0
    with gzip.open(real_data / "fhir" / "r4_examples.jsonl.gz") as lines:
        for line in lines:
            resource = json.loads(line)["resource"]
            if resource["resourceType"] in ("Patient", "Observation", "Condition", "DocumentReference"):
                load_resource(resource, "resource")
                read += 1
    assert read > 50
