"""FHIR resources that tests are made of; every patient in them is made up."""

import base64
from datetime import UTC, datetime
from typing import Any

from galeno.study import Study

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HPO = "http://human-phenotype-ontology.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
UCUM = "http://unitsofmeasure.org"

WARD: dict[str, Any] = {
    "name": "ward",
    "records": {"source": "ward.csv", "target": "condition", "patient": "mrn", "record": "visit",
                "time": "seen", "site": "site"},
    "classes": [
        {"name": "pneumonia", "values": ["P"], "label": {"es": "Neumonía", "en": "Pneumonia"}},
        {"name": "asthma", "values": ["A"]},
        {"name": "none", "values": ["N"]},
    ],
    "columns": {
        "age": {"type": "number", "min": 0, "max": 120},
        "sex": {"type": "category", "options": ["F", "M"]},
        "born": {"type": "date"},
        "temperature": {"type": "number", "unit": "°C", "min": 33, "max": 43},
        "systolic": {"type": "number", "unit": "mmHg", "min": 40, "max": 300},
        "pain": {"type": "number", "min": 0, "max": 10},
        "glucose": {"type": "number", "unit": "mg/dL", "min": 10, "max": 2000,
                    "convert": [{"unit": "mmol/L", "scale": 18.016}]},
        "urea": {"type": "number", "unit": "mg/dL"},
        "leukocytes": {"type": "number", "unit": "10^9/L", "min": 0.1, "max": 500},
        "cough": {"type": "flag"},
        "diabetes": {"type": "flag"},
        "smoking": {"type": "category", "options": ["never", "current"]},
        "note": {"type": "text"},
    },
    "fhir": {
        "columns": {
            "age": {"resource": "Patient", "element": "age"},
            "sex": {"resource": "Patient", "element": "gender", "values": {"female": "F", "male": "M"}},
            "born": {"resource": "Patient", "element": "birthDate"},
            "temperature": {"code": "8310-5", "unit": "Cel"},
            "systolic": {"code": "8480-6", "unit": "mm[Hg]"},
            "pain": {"code": "72514-3", "unit": "{score}"},
            "glucose": {"code": "2345-7", "also": ["14749-6"], "unit": "mg/dL"},
            "urea": {"code": "3091-6", "unit": "mg/dL"},
            "leukocytes": {"code": "6690-2", "unit": "10*9/L"},
            "cough": {"code": "HP:0012735", "system": HPO},
            "diabetes": {"resource": "Condition", "code": "E11.9", "system": ICD10},
            "smoking": {"code": "72166-2", "values": {"LA18978-9": "never", "LA18976-3": "current"}},
            "note": {"resource": "DocumentReference"},
        },
        "classes": {
            "pneumonia": {"code": "J18.9", "display": "Pneumonia, unspecified"},
            "asthma": {"code": "J45.9"},
        },
    },
}  # fmt: skip


def ward_study(**changes: Any) -> Study:
    """A study of a ward with a FHIR section; changes replace top-level keys."""
    return Study.model_validate({**WARD, **changes})


def patient(**changes: Any) -> dict[str, Any]:
    """A woman of 64."""
    return {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN1"}],
        "gender": "female",
        "birthDate": "1962-03-01",
        **changes,
    }


def observation(loinc: str, value: Any = None, unit: str | None = None, **changes: Any) -> dict[str, Any]:
    """A final Observation of p1; a number with a unit becomes a valueQuantity."""
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"o-{loinc.replace(':', '-')}",
        "status": "final",
        "code": {
            "coding": [{"system": HPO if loinc.startswith("HP:") else "http://loinc.org", "code": loinc}]
        },
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-21T09:50:00Z",
    }
    if unit is not None:
        resource["valueQuantity"] = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    elif isinstance(value, bool):
        resource["valueBoolean"] = value
    elif isinstance(value, str):
        resource["valueString"] = value
    resource.update(changes)
    return {name: inner for name, inner in resource.items() if inner is not None}


def condition(icd: str, verified: str | None = "confirmed", **changes: Any) -> dict[str, Any]:
    """A Condition of p1, active."""
    status = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    return {
        "resourceType": "Condition",
        "id": f"c-{icd.replace('.', '-')}",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
            ]
        },
        **({"verificationStatus": {"coding": [{"system": status, "code": verified}]}} if verified else {}),
        "code": {"coding": [{"system": ICD10, "code": icd}]},
        "subject": {"reference": "Patient/p1"},
        **changes,
    }


def document(text: bytes, kind: str = "text/plain", **changes: Any) -> dict[str, Any]:
    """A note about p1."""
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "date": "2026-11-20T10:00:00Z",
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": kind, "data": base64.b64encode(text).decode()}}],
        **changes,
    }


def bundle(*resources: Any, **changes: Any) -> dict[str, Any]:
    """A collection of p1 and these resources."""
    entries = [{"resource": resource} for resource in (patient(), *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **changes}
