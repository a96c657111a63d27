"""Diagnoses as FHIR R4: RiskAssessment, Device, Provenance, and what went wrong as OperationOutcome.

Probabilities here are percentages (RiskAssessment.prediction.probabilityDecimal, ras-2: at most 100);
everywhere else in Galeno they go from 0 to 1.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galeno.errors import GalenoError, InputError
from galeno.ingest.fhir import FhirRecord
from galeno.ingest.fhir_check import FhirInputError, Issue
from galeno.records import Explanation, RankedCondition
from galeno.service.answers import Answer, StoredDiagnosis
from galeno.service.problems import problem_of, status_of
from galeno.study import Study

Json = dict[str, Any]

AI_ASSERTED: Json = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
"""Label: asserted by an artificial intelligence."""
RISKS = ((0.05, "negligible"), (0.25, "low"), (0.5, "moderate"), (1.0, "high"))
"""Probability below which a code of http://terminology.hl7.org/CodeSystem/risk-probability is told; never
`certain`."""
DISCLAIMER = "Decision support only; a clinician decides."

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_MOST_CAUSES = 3
_ISSUE_CODES = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    406: "not-supported",
    408: "timeout",
    409: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    503: "transient",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """A diagnosis, made now or long ago, ready to be told."""

    id: str
    study: str
    created: str
    version: str
    package_sha256: str
    ranking: tuple[RankedCondition, ...]
    not_ruled_out: tuple[str, ...]
    reasons: tuple[str, ...]
    subject: Json
    declared: Study | None
    """Codes and labels of its conditions; None where the study answers no more."""
    explanations: tuple[Explanation, ...] = ()
    basis: tuple[str, ...] = ()
    confirmed: bool = False


def tell_made(answer: Answer, sent: FhirRecord, study: Study) -> Telling:
    """A diagnosis that was made now, of what a Bundle held."""
    diagnosis = answer.diagnosis
    return Telling(
        id=answer.id,
        study=answer.study,
        created=answer.created,
        version=diagnosis.version or "",
        package_sha256=diagnosis.package_sha256,
        ranking=diagnosis.ranking,
        not_ruled_out=diagnosis.not_ruled_out,
        reasons=diagnosis.reasons,
        subject={"reference": sent.subject}
        if sent.subject
        else subject_of(sent.patient_id, answer.patient, ""),
        declared=study,
        explanations=answer.explanations,
        basis=sent.basis,
    )


def tell_stored(stored: StoredDiagnosis, study: Study | None, base: str) -> Telling:
    """A diagnosis from the journal."""
    return Telling(
        id=stored.id,
        study=stored.study,
        created=stored.created,
        version=stored.version,
        package_sha256=stored.package_sha256,
        ranking=stored.ranking,
        not_ruled_out=stored.not_ruled_out,
        reasons=stored.reasons,
        subject=subject_of(stored.patient_id, stored.patient, base),
        declared=study,
        confirmed=bool(stored.outcomes),
    )


def subject_of(patient_id: str | None, pseudonym: str, base: str) -> Json:
    """A reference to the patient: by identifier or id, as the hospital sent it, else by pseudonym."""
    if not patient_id:
        return {"identifier": {"system": f"{base}/pseudonyms", "value": pseudonym}}
    system, bar, value = patient_id.partition("|")
    if bar:
        return {"identifier": {"system": system, "value": value}}
    if _ID.fullmatch(patient_id):
        return {"reference": f"Patient/{patient_id}"}
    return {"identifier": {"value": patient_id}}


def answer_bundle(telling: Telling, base: str, issues: Sequence[Issue] = ()) -> Json:
    """RiskAssessment, Device and Provenance of a diagnosis, and what is to be told of the input.

    Args:
        telling: the diagnosis.
        base: address of the service, without a slash at the end.
        issues: warnings and information about what was sent.
    """
    resources = [risk_assessment(telling, base), device(telling), provenance(telling)]
    if issues:
        resources.append(operation_outcome(issues))
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": telling.created,
        "entry": [_entry(resource, base) for resource in resources],
    }


def search_bundle(tellings: Iterable[Telling], base: str, links: Mapping[str, str]) -> Json:
    """A page of RiskAssessments; how many there are in all is not counted."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
        "entry": [
            {**_entry(risk_assessment(telling, base), base), "search": {"mode": "match"}}
            for telling in tellings
        ],
    }


def risk_assessment(telling: Telling, base: str) -> Json:
    """A diagnosis as a RiskAssessment: preliminary until an outcome was confirmed, then final."""
    resource: Json = {
        "resourceType": "RiskAssessment",
        "id": fhir_id(telling.id),
        "meta": {"security": [AI_ASSERTED]},
        "identifier": [{"system": f"{base}/diagnoses", "value": telling.id}],
        "status": "final" if telling.confirmed else "preliminary",
        "subject": telling.subject,
        "occurrenceDateTime": telling.created,
        "performer": {"reference": f"Device/{_device_id(telling)}"},
        "method": {
            "coding": [
                {"system": f"{base}/models", "code": telling.study, "version": telling.version or "none"}
            ]
        },
        "prediction": [_prediction(ranked, telling) for ranked in telling.ranking],
        "note": [{"text": _note(telling)}],
    }
    if telling.basis:
        resource["basis"] = [{"reference": reference} for reference in telling.basis]
    return resource


def device(telling: Telling) -> Json:
    """The model that answered."""
    return {
        "resourceType": "Device",
        "id": _device_id(telling),
        "status": "active",
        "deviceName": [{"name": telling.study, "type": "model-name"}],
        "type": {"text": "Machine-learning model"},
        "version": [
            {"value": telling.version or "none"},
            {"type": {"text": "package sha256"}, "value": telling.package_sha256 or "none"},
        ],
    }


def provenance(telling: Telling) -> Json:
    """Who made the RiskAssessment, of what."""
    agent = {
        "type": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                    "code": "assembler",
                }
            ]
        },
        "who": {"reference": f"Device/{_device_id(telling)}"},
    }
    resource: Json = {
        "resourceType": "Provenance",
        "target": [{"reference": f"RiskAssessment/{fhir_id(telling.id)}"}],
        "recorded": telling.created,
        "agent": [agent],
    }
    if telling.basis:
        resource["entity"] = [
            {"role": "source", "what": {"reference": reference}} for reference in telling.basis
        ]
    return resource


def operation_outcome(issues: Iterable[Issue]) -> Json:
    """What is to be told, as an OperationOutcome."""
    told = [
        {
            "severity": issue.severity,
            "code": issue.code,
            "diagnostics": issue.text,
            **({"expression": [issue.expression]} if issue.expression else {}),
        }
        for issue in issues
    ]
    return {"resourceType": "OperationOutcome", "issue": told}


def issues_of(error: GalenoError, paths: Mapping[str, str] | None = None) -> list[Issue]:
    """What an error says, as issues.

    Args:
        error: whose message holds no value of a record.
        paths: column to place in the Bundle, so that a fault of a column is told where it was sent.
    """
    if isinstance(error, FhirInputError):
        return list(error.issues)
    status, _ = status_of(error)
    code = _ISSUE_CODES.get(status, "exception")
    if isinstance(error, InputError):
        return [Issue(code, fault, _place(name, paths or {})) for name, fault in error.faults]
    return [Issue(code, str(problem_of(error)["detail"]), "")]


def percent(probability: float) -> float:
    """A probability as a percentage with one decimal; 100 is said of certainty alone."""
    rounded = round(100 * min(max(probability, 0.0), 1.0), 1)
    return 99.9 if rounded == 100 and probability < 1 else rounded


def fhir_id(identifier: str) -> str:
    """An id of Galeno's as FHIR writes ids, which have no underscore."""
    return identifier.replace("_", "-")


def own_id(identifier: str) -> str:
    """The id of Galeno's behind a FHIR id of a diagnosis."""
    return identifier.replace("-", "_", 1)


def _prediction(ranked: RankedCondition, telling: Telling) -> Json:
    return {
        "outcome": _concept(ranked.condition, telling.declared),
        "probabilityDecimal": percent(ranked.probability),
        "qualitativeRisk": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/risk-probability",
                    "code": next((code for bound, code in RISKS if ranked.probability < bound), "high"),
                }
            ]
        },
        "rationale": _rationale(ranked, telling),
    }


def _concept(condition: str, study: Study | None) -> Json:
    """A condition with its code, where the study gives one, and its name for people."""
    if study is None:
        return {"text": condition}
    label = next((c.label for c in study.classes if c.name == condition), None)
    text = (label and (label.en if study.language == "en" else label.es)) or condition
    coded = study.fhir.classes.get(condition)
    if coded is None:
        return {"text": text}
    display = {"display": coded.display} if coded.display else {}
    return {"coding": [{"system": coded.system, "code": coded.code, **display}], "text": text}


def _rationale(ranked: RankedCondition, telling: Telling) -> str:
    """The probability from 0 to 1, and the columns that did most to it."""
    text = f"p={ranked.probability:.3g}"
    for explanation in telling.explanations:
        if explanation.condition == ranked.condition:
            causes = [
                f"{_label(one.column, telling.declared)} {one.contribution:+.2g}"
                for one in explanation.contributions[:_MOST_CAUSES]
                if one.contribution
            ]
            text += f"; {', '.join(causes)}" if causes else ""
    return text


def _label(column: str, study: Study | None) -> str:
    declared = study.columns.get(column) if study is not None else None
    if study is None or declared is None:
        return column
    return (declared.label.en if study.language == "en" else declared.label.es) or column


def _note(telling: Telling) -> str:
    low = "low_confidence" in telling.reasons
    parts = [f"LOW_CONFIDENCE={str(low).lower()}", f"Not ruled out: {', '.join(telling.not_ruled_out)}"]
    if telling.reasons:
        parts.append(f"Needs review: {', '.join(telling.reasons)}")
    return ". ".join([*parts, DISCLAIMER])


def _device_id(telling: Telling) -> str:
    version = telling.version or telling.package_sha256[:12] or "none"
    return f"{fhir_id(telling.study)[:40]}-{version}"[:64]


def _entry(resource: Json, base: str) -> Json:
    if "id" not in resource:
        return {"resource": resource}
    return {"fullUrl": f"{base}/fhir/{resource['resourceType']}/{resource['id']}", "resource": resource}


def _place(name: str, paths: Mapping[str, str]) -> str:
    """Where a fault of the desk's was sent: `record.age` is the place of the column age."""
    head, _, column = name.partition(".")
    if head == "record":
        return paths.get(column, "Bundle.entry")
    return {"body": "", "patient_id": "Bundle.entry"}.get(head, name)
