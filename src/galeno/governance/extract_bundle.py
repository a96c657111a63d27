"""An extract as a FHIR R4 Bundle (https://hl7.org/fhir/R4/bundle.html), type collection.

Inputs become QuestionnaireResponse resources, an item for each column: that takes any study without a mapping
of its columns to codes. Probabilities are percentages here, as RiskAssessment wants them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from galeno.governance.audit_event import to_fhir
from galeno.records import TARGET

Json = dict[str, Any]

_ID_SIGNS = re.compile(r"[^A-Za-z0-9\-.]")
_AI_ASSERTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
_PRIVACY = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
_CONSENT_DOCUMENT = {"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"}
_RESEARCH = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}
_CONFIRMED = {
    "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
    "code": "confirmed",
}
_FILE = re.compile(r"data:([a-z]+/[a-z-]+);base64,")
"""Beginning of a sound or an image in an extract."""
_OWN = "_"
"""Columns that Galeno adds to records begin with it."""


def to_bundle(extract: Mapping[str, Any]) -> Json:
    """Turn an extract into a Bundle.

    Args:
        extract: as `extract.export` returns it.

    Returns:
        JSON of the Bundle: Patient; Consent for each consent; RiskAssessment (and QuestionnaireResponse) for
        each diagnosis and ranking of rare diseases; Observation for each feedback; Condition for each
        outcome; QuestionnaireResponse for each training or quarantined record; AuditEvent for each entry of
        the trail.
    """
    subject = {"reference": f"Patient/{_id(extract['patient']['pseudonym'])}"}
    resources = [
        _patient(extract["patient"]),
        *(_consent(row, subject) for row in extract["consents"]),
        *_diagnoses(extract, subject),
        *(_feedback(row, subject) for row in extract["feedback"]),
        *(_outcome(row, subject) for row in extract["outcomes"]),
        *_rankings(extract, subject),
        *_records(extract, subject),
        *(_audit_event(row, subject) for row in extract["audit"]),
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": extract["created"],
        "entry": [{"resource": resource} for resource in resources],
    }


def _patient(patient: Mapping[str, Any]) -> Json:
    return {
        "resourceType": "Patient",
        "id": _id(patient["pseudonym"]),
        "identifier": [{"value": patient["id"]}],
    }


def _consent(row: Mapping[str, Any], subject: Json) -> Json:
    active = row["accepted"] and row["withdrawn"] is None
    allowed: Json = {"type": "permit" if row["accepted"] else "deny"}
    if row["accepted"] and not row["training"]:
        allowed["provision"] = [{"type": "deny", "purpose": [_RESEARCH]}]
    if row["withdrawn"] is not None:
        allowed["period"] = {"start": row["created"], "end": row["withdrawn"]}
    return {
        "resourceType": "Consent",
        "id": _id(row["id"]),
        "language": row["language"],
        "status": "active" if active else "inactive" if row["accepted"] else "rejected",
        "scope": {"coding": [_PRIVACY]},
        "category": [{"coding": [_CONSENT_DOCUMENT]}],
        "patient": subject,
        "dateTime": row["created"],
        "policyRule": {"text": f"data policy of {row['study']}, version {row['policy_version']}"},
        "provision": allowed,
    }


def _diagnoses(extract: Mapping[str, Any], subject: Json) -> Iterator[Json]:
    confirmed = {row["diagnosis"] for row in extract["outcomes"]}
    for row in extract["diagnoses"]:
        basis = None
        if row["record"] is not None:
            asked = _questions(f"{row['id']}-record", row["study"], row["record"], subject, row["created"])
            basis = f"QuestionnaireResponse/{asked['id']}"
            yield asked
        yield _assessment(row, subject, basis, "final" if row["id"] in confirmed else "preliminary")
    for row in extract["shadows"]:
        note = "Computed beside the answer and not shown to anybody."
        yield {**_assessment(row, subject, None, "preliminary"), "note": [{"text": note}]}


def _rankings(extract: Mapping[str, Any], subject: Json) -> Iterator[Json]:
    """Rankings of rare diseases, and what was said of them."""
    for row in extract["rankings"]:
        basis = None
        if row["record"] is not None:
            plain = {key: _joined(value) for key, value in row["record"].items() if key != "mentions"}
            asked = _questions(f"{row['id']}-record", "rare diseases", plain, subject, row["created"])
            basis = f"QuestionnaireResponse/{asked['id']}"
            yield asked
        ranked = [[row["disease"], row["probability"]]]
        if row["answer"] is not None:
            ranked = [[f"{d['name']} ({d['id']})", d["probability"]] for d in row["answer"]["diseases"]]
        about = {**row, "study": "rare diseases", "answer": {"ranking": ranked}}
        yield _assessment(about, subject, basis, "preliminary")
    for row in extract["ranking_feedback"]:
        said = {"condition": row["disease"], "reason": None, "rating": None, "diagnosis": row["ranking"]}
        yield _feedback({**row, **said}, subject)


def _joined(value: Any) -> Any:
    """A list of ids as one text; nothing where there is none."""
    return ", ".join(value) or None if isinstance(value, list) else value or None


def _assessment(row: Mapping[str, Any], subject: Json, basis: str | None, status: str) -> Json:
    answer = row["answer"] or {"ranking": [[row["condition"], row["confidence"]]]}
    about: Json = {
        "resourceType": "RiskAssessment",
        "id": _id(row["id"]),
        "meta": {"security": [_AI_ASSERTED]},
        "status": status,
        "subject": subject,
        "occurrenceDateTime": row["created"],
        "method": {"text": f"{row['study']} {row['version'] or row['package_sha256'][:12]}"},
        "prediction": [
            {
                "outcome": {"text": condition},
                "probabilityDecimal": round(min(max(probability, 0.0), 1.0) * 100, 6),
            }
            for condition, probability in answer["ranking"]
        ],
    }
    if basis is not None:
        about["basis"] = [{"reference": basis}]
    if answer.get("reasons"):
        about["note"] = [{"text": f"Needs review: {', '.join(answer['reasons'])}"}]
    return about


def _feedback(row: Mapping[str, Any], subject: Json) -> Json:
    said = {"condition": row["condition"], "reason": row["reason"]}
    parts: list[Json] = [
        {"code": {"text": name}, "valueString": value} for name, value in said.items() if value is not None
    ]
    if row["rating"] is not None:
        parts.append({"code": {"text": "rating"}, "valueInteger": row["rating"]})
    about: Json = {
        "resourceType": "Observation",
        "id": _id(row["id"]),
        "status": "final",
        "code": {"text": "Clinician agrees with the diagnosis"},
        "subject": subject,
        "focus": [{"reference": f"RiskAssessment/{_id(row['diagnosis'])}"}],
        "effectiveDateTime": row["created"],
        "valueBoolean": row["agrees"],
    }
    if parts:
        about["component"] = parts
    if row["comment"]:
        about["note"] = [{"text": row["comment"]}]
    return about


def _outcome(row: Mapping[str, Any], subject: Json) -> Json:
    about: Json = {
        "resourceType": "Condition",
        "id": _id(row["id"]),
        "verificationStatus": {"coding": [_CONFIRMED]},
        "code": {"text": row["condition"]},
        "subject": subject,
        "recordedDate": row["confirmed_on"],
    }
    if row["diagnosis"]:
        about["evidence"] = [{"detail": [{"reference": f"RiskAssessment/{_id(row['diagnosis'])}"}]}]
    return about


def _records(extract: Mapping[str, Any], subject: Json) -> Iterator[Json]:
    """Rows that models learn from, and rows that were refused."""
    for kind in ("records", "quarantine"):
        rows = [(place, row) for place, held in extract[kind].items() for row in held]
        for number, (place, row) in enumerate(rows, start=1):
            values = {name: value for name, value in row.items() if not name.startswith(_OWN)}
            values |= {"condition": row[TARGET]} if TARGET in row else {}
            yield _questions(f"{kind}-{number}", place, values, subject, extract["created"])


def _questions(name: str, source: str, values: Mapping[str, Any], subject: Json, authored: str) -> Json:
    items = [
        {"linkId": column, "text": column, "answer": [_answer(value)]}
        for column, value in values.items()
        if value is not None
    ]
    about: Json = {
        "resourceType": "QuestionnaireResponse",
        "id": _id(name),
        "status": "completed",
        "subject": subject,
        "authored": authored,
        "identifier": {"value": source},
    }
    return {**about, "item": items} if items else about


def _answer(value: Any) -> Json:
    if isinstance(value, str) and (file := _FILE.match(value[:128])):
        return {"valueAttachment": {"contentType": file[1], "data": value[file.end() :]}}
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int) and abs(value) < 1 << 31:
        return {"valueInteger": value}
    if isinstance(value, int | float):
        return {"valueDecimal": value}
    return {"valueString": value if isinstance(value, str) and value.strip() else repr(value)}


def _audit_event(row: Mapping[str, Any], subject: Json) -> Json:
    event = to_fhir(row)
    for entity in event["entity"]:
        if entity.get("what", {}).get("reference", "").startswith("Patient/"):
            entity["what"] = subject
    return event


def _id(name: str) -> str:
    """A name as FHIR takes ids: letters, digits, - and ., at most 64 of them."""
    return _ID_SIGNS.sub("-", name)[:64]
