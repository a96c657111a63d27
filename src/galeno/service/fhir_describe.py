"""The FHIR routes as OpenAPI describes them."""

from typing import Any

from fastapi import Response

MEDIA_TYPE = "application/fhir+json"
EXAMPLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "resource": {
                "resourceType": "Patient",
                "id": "p1",
                "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN1"}],
                "gender": "female",
                "birthDate": "1962-01-01",
            }
        },
        {
            "resource": {
                "resourceType": "Observation",
                "id": "o1",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                "subject": {"reference": "Patient/p1"},
                "effectiveDateTime": "2026-11-21T09:50:00Z",
                "valueQuantity": {"value": 88, "system": "http://unitsofmeasure.org", "code": "/min"},
            }
        },
    ],
}
"""A Bundle as hospitals send it."""


ANY = "resource"
"""A resource of whatever type."""


def _content(kind: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"} if kind == ANY else {"const": kind}},
    }
    return {MEDIA_TYPE: {"schema": schema}}


_PROBLEM = {"application/problem+json": {"schema": {"type": "object"}}}
"""What the service answers with before a request comes to this face, when it is too busy for instance."""


def _answers(kind: str, *statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        401: "No key or token, or one that is not known.",
        403: "The role does not allow it, or the patient has not consented.",
        404: "No such thing.",
        406: "The client takes no JSON.",
        409: "It does not fit what is there.",
        408: "What was sent did not come to its end.",
        413: "Longer than the service takes.",
        415: "Not sent as FHIR JSON.",
        422: "Not valid; each issue names its place.",
        429: "Too many requests.",
        503: "Not now; Retry-After says when.",
    }
    answers: dict[int | str, dict[str, Any]] = {200: {"description": kind, "content": _content(kind)}}
    for status in statuses:
        content = {**_content("OperationOutcome"), **_PROBLEM}
        answers[status] = {"description": texts[status], "content": content}
    return answers


def _query(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


_TEXT = {"type": "string", "maxLength": 400}
_SEARCHED = {
    "subject": "Patient/ID, or system|value.",
    "patient": "The same.",
    "subject:identifier": "system|value of an identifier.",
    "date": "When the diagnosis was made, with an optional eq, ge, gt, le, lt, sa or eb before it.",
    "_count": "Of one page, at most 50.",
    "page": "Comes in the link `next`.",
}
_FORMAT = _query("_format", "json", _TEXT)
_COMMON: dict[str, Any] = {"response_class": Response, "response_model": None}

PREDICT: dict[str, Any] = {
    **_COMMON,
    "summary": "Diagnose the patient of a Bundle",
    "responses": _answers("Bundle", 401, 403, 404, 406, 408, 409, 413, 415, 422, 429, 503),
    "openapi_extra": {
        "parameters": [
            _query("study", "Name of a study; may be left out where only one maps FHIR.", _TEXT),
            _query("explain", "Also tell what the first conditions stand on.", {"type": "boolean"}),
            _FORMAT,
        ],
        "requestBody": {
            "required": True,
            "content": {
                MEDIA_TYPE: {
                    "schema": {
                        "type": "object",
                        "required": ["resourceType", "type", "entry"],
                        "properties": {
                            "resourceType": {"const": "Bundle"},
                            "type": {"type": "string"},
                            "entry": {"type": "array", "items": {"type": "object"}, "maxItems": 5000},
                        },
                    },
                    "example": EXAMPLE,
                }
            },
        },
    },
}
READ: dict[str, Any] = {
    **_COMMON,
    "summary": "Read one diagnosis as a RiskAssessment",
    "responses": _answers("RiskAssessment", 401, 403, 404, 406, 413, 429, 503),
    "openapi_extra": {
        "parameters": [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "Id of a RiskAssessment.",
                "schema": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
                "example": "dx-0199f3a1c2d4",
            },
            _FORMAT,
        ]
    },
}
SEARCH: dict[str, Any] = {
    **_COMMON,
    "summary": "Find diagnoses as RiskAssessments, newest first",
    "responses": _answers("Bundle", 401, 403, 404, 406, 413, 422, 429, 503),
    "openapi_extra": {
        "parameters": [*(_query(name, text, _TEXT) for name, text in _SEARCHED.items()), _FORMAT]
    },
}
SEARCH_BY_FORM: dict[str, Any] = {
    **_COMMON,
    "summary": "The same search with its parameters in the body",
    "responses": _answers("Bundle", 401, 403, 404, 406, 408, 413, 415, 422, 429, 503),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            name: {**_TEXT, "description": text} for name, text in _SEARCHED.items()
                        },
                    },
                    "example": {"subject:identifier": "urn:oid:1.2.3|MRN1"},
                }
            },
        }
    },
}


def statement(kind: str) -> dict[str, Any]:
    """A route that anybody may read."""
    return {
        **_COMMON,
        "summary": kind,
        "responses": _answers(kind, 406, 413, 429, 503),
        "openapi_extra": {"parameters": [_FORMAT], "security": []},
    }
