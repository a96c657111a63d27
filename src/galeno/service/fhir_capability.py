"""What the FHIR face can do, as FHIR says it: CapabilityStatement and OperationDefinition."""

from importlib.metadata import version
from typing import Any

Json = dict[str, Any]

OPERATION = "predict-diagnosis"
_DATE = "2026-11-21"
"""When these statements were last changed."""


def capability_statement(base: str) -> Json:
    """What GET /fhir/metadata answers.

    Args:
        base: address of the service, without a slash at the end.
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "Galeno", "version": version("galeno")},
        "implementation": {"description": "Diagnosis support", "url": f"{base}/fhir"},
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "description": "API keys and OpenID Connect tokens, sent as Authorization: Bearer.",
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "OAuth",
                                }
                            ]
                        }
                    ],
                },
                "resource": [_risk_assessment()],
                "operation": [
                    {"name": OPERATION, "definition": f"{base}/fhir/OperationDefinition/{OPERATION}"}
                ],
            }
        ],
    }


def operation_definition(base: str) -> Json:
    """What POST /fhir/$predict-diagnosis takes and gives."""
    return {
        "resourceType": "OperationDefinition",
        "id": OPERATION,
        "url": f"{base}/fhir/OperationDefinition/{OPERATION}",
        "name": "PredictDiagnosis",
        "title": "Rank the conditions that a patient may have",
        "status": "active",
        "kind": "operation",
        "date": _DATE,
        "description": "Decision support: a ranked differential with calibrated probabilities. "
        "It writes the diagnosis to the journal; a clinician decides.",
        "affectsState": True,
        "code": OPERATION,
        "system": True,
        "type": False,
        "instance": False,
        "parameter": [
            _parameter(
                "study", "in", "string", "The study; may be left out where only one is mapped.", least=0
            ),
            _parameter("explain", "in", "boolean", "Also tell what the first conditions stand on.", least=0),
            _parameter(
                "resource", "in", "Bundle", "One Patient, with Observation, Condition and DocumentReference."
            ),
            _parameter(
                "return", "out", "Bundle", "RiskAssessment, Device, Provenance, and OperationOutcome."
            ),
        ],
    }


def _risk_assessment() -> Json:
    return {
        "type": "RiskAssessment",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": [
            {"name": "subject", "type": "reference"},
            {"name": "patient", "type": "reference"},
            {"name": "date", "type": "date"},
        ],
    }


def _parameter(name: str, use: str, kind: str, text: str, *, least: int = 1) -> Json:
    return {"name": name, "use": use, "min": least, "max": "1", "documentation": text, "type": kind}
