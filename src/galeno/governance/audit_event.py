"""The audit trail as FHIR R4 AuditEvent resources (https://hl7.org/fhir/R4/auditevent.html)."""

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, TextIO

from sqlalchemy import select

from galeno.storage import schema
from galeno.storage.journal import Journal

_CHUNK = 1000
_EVENTS = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
_REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ENTITIES = "http://terminology.hl7.org/CodeSystem/audit-entity-type"

# Code of AuditEvent.action (create, read, update, delete, execute) and of the restful interaction.
_ACTS: Mapping[str, tuple[str, str]] = {
    "diagnoses.create": ("E", "operation"),
    "diagnoses.explain": ("E", "operation"),
    "disease.rank": ("E", "operation"),
    "patients.export": ("E", "operation"),
    "audit.export": ("E", "operation"),
    "models.promote": ("U", "update"),
    "models.stop": ("U", "update"),
    "users.manage": ("U", "update"),
    "patients.erase": ("D", "delete"),
}
_VERBS: Mapping[str, tuple[str, str]] = {
    "create": ("C", "create"),
    "read": ("R", "read"),
    "list": ("R", "search-type"),
}
_SIGNS: Mapping[str, tuple[str, str]] = {"sign_in": ("110122", "Login"), "sign_out": ("110123", "Logout")}
# Nothing went wrong; refused for a reason that lies with the caller; failed on our side.
_OUTCOMES: Mapping[str, str] = {"done": "0", "denied": "4", "failed": "8"}
_PURPOSES: Mapping[str, str] = {"treatment": "TREAT", "operations": "HOPERAT", "emergency": "BTG"}
_RESOURCES: Mapping[str, str] = {
    "dx": "RiskAssessment",
    "cs": "Consent",
    "fb": "Observation",
    "oc": "Condition",
    "rk": "RiskAssessment",
    "rf": "Observation",
}


def to_fhir(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the trail as an AuditEvent.

    Args:
        row: columns of `schema.audit`.

    Returns:
        JSON of the resource; the number and hash of the entry are details of its last entity.
    """
    event: dict[str, Any] = {"resourceType": "AuditEvent", "id": f"audit-{row['seq']}"}
    event.update(_what(row["action"]))
    event["recorded"] = row["time"]
    event["outcome"] = _OUTCOMES.get(row["outcome"], "8")
    if row["detail"]:
        event["outcomeDesc"] = row["detail"]
    purpose = _PURPOSES.get(row["purpose"])
    if purpose:
        event["purposeOfEvent"] = [{"coding": [{"system": _REASONS, "code": purpose}]}]
    event["agent"] = [_agent(row)]
    event["source"] = {"observer": {"display": f"galeno {row['face']}".strip()}}
    if row["site"]:
        event["source"]["site"] = row["site"]
    event["entity"] = _entities(row)
    return event


def export(journal: Journal, stream: TextIO, *, since: str | None = None) -> int:
    """Write the trail as NDJSON: a resource a line, in the order of the entries.

    Args:
        journal: the journal.
        stream: where to.
        since: ISO 8601 time, UTC; only entries of then and later. None for all.

    Returns:
        how many were written.

    Raises:
        JournalError: the journal does not answer.
    """
    table = schema.audit
    written = last = 0
    while True:
        query = select(table).where(table.c.seq > last).order_by(table.c.seq).limit(_CHUNK)
        if since is not None:
            query = query.where(table.c.time >= since)
        with journal.read() as connection:
            rows = connection.execute(query).mappings().all()
        for row in rows:
            stream.write(json.dumps(to_fhir(dict(row)), ensure_ascii=False, separators=(",", ":")) + "\n")
        written += len(rows)
        if len(rows) < _CHUNK:
            return written
        last = rows[-1]["seq"]


def _what(action: str) -> dict[str, Any]:
    """Type, subtype and action."""
    if action in _SIGNS:
        code, display = _SIGNS[action]
        kind = {"system": _DICOM, "code": "110114", "display": "User Authentication"}
        return {
            "type": kind,
            "subtype": [{"system": _DICOM, "code": code, "display": display}],
            "action": "E",
        }
    code, interaction = _ACTS.get(action) or _VERBS.get(action.rpartition(".")[2], ("E", "operation"))
    subtypes = [{"system": _INTERACTIONS, "code": interaction}, {"code": action}]
    return {"type": {"system": _EVENTS, "code": "rest"}, "subtype": subtypes, "action": code}


def _agent(row: Mapping[str, Any]) -> dict[str, Any]:
    agent: dict[str, Any] = {"requestor": True}
    agent["who"] = {"identifier": {"value": row["actor"]}} if row["actor"] else {"display": "unknown"}
    if row["role"]:
        agent["role"] = [{"text": row["role"]}]
    if row["address"]:
        agent["network"] = {"address": row["address"], "type": _network_type(row["address"])}
    return agent


def _network_type(address: str) -> str:
    """2: an IP address; 1: the name of a machine."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "1"
    return "2"


def _entities(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    entities: list[dict[str, Any]] = []
    if row["patient"]:
        entities.append({"what": {"reference": f"Patient/{row['patient']}"}, **_kind("1", "Person")})
    if row["subject"]:
        resource = _RESOURCES.get(row["subject"].partition("_")[0])
        reference = {"reference": f"{resource}/{row['subject']}"}
        what = reference if resource else {"identifier": {"value": row["subject"]}}
        entities.append({"what": what, **_kind("2", "System Object")})
    about = {name: row[name] for name in ("study", "model", "input_hash") if row[name]}
    if row["latency_ms"] is not None:
        about["latency_ms"] = repr(row["latency_ms"])
    about |= {"seq": str(row["seq"]), "previous": row["previous"], "hash": row["hash"]}
    details = [{"type": name, "valueString": value} for name, value in about.items()]
    entities.append({"name": "entry of the audit trail", **_kind("4", "Other"), "detail": details})
    return entities


def _kind(code: str, display: str) -> dict[str, Any]:
    return {"type": {"system": _ENTITIES, "code": code, "display": display}}
