"""The audit trail as FHIR AuditEvent."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from galeno.governance.access import Action
from galeno.governance.audit import Trail, read
from galeno.governance.audit_event import export, to_fhir
from galeno.records import AuditEntry
from galeno.storage.journal import Journal

FULL = AuditEntry(
    action="diagnoses.create",
    outcome="done",
    time="2026-11-21T10:00:00.123456Z",
    actor="user-7",
    role="clinician",
    site="hospA",
    address="10.0.0.4",
    face="api",
    patient="pt_" + "ab" * 16,
    study="severity",
    model="3@abcdef",
    subject="dx_0192",
    input_hash="f" * 32,
    latency_ms=1.5,
)


def event(entry: AuditEntry) -> dict[str, Any]:
    row = {name: getattr(entry, name) for name in AuditEntry.__slots__}
    found = to_fhir({**row, "seq": 7, "previous": "0" * 64, "hash": "e" * 64})
    AuditEvent.model_validate(found)
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    journal.migrate()
    yield journal
    journal.close()


def test_has_the_shape_that_was_agreed() -> None:
    found = event(FULL)
    assert found["type"] == {
        "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
        "code": "rest",
    }
    assert found["subtype"][0] == {"system": "http://hl7.org/fhir/restful-interaction", "code": "operation"}
    assert (found["action"], found["outcome"], found["recorded"]) == ("E", "0", FULL.time)
    agent = found["agent"][0]
    assert agent["who"] == {"identifier": {"value": "user-7"}}
    assert agent["role"] == [{"text": "clinician"}]
    assert agent["network"] == {"address": "10.0.0.4", "type": "2"}
    assert agent["requestor"] is True
    assert found["source"]["site"] == "hospA"
    patient, subject, trail = found["entity"]
    assert patient["what"] == {"reference": f"Patient/{FULL.patient}"}
    assert subject["what"] == {"reference": "RiskAssessment/dx_0192"}
    assert {"type": "hash", "valueString": "e" * 64} in trail["detail"]
    assert {"type": "model", "valueString": "3@abcdef"} in trail["detail"]


@pytest.mark.parametrize("action", [*Action, "sign_in", "sign_out", "something.new"])
def test_every_action_is_an_event(action: str) -> None:
    found = event(AuditEntry(action=action, outcome="done", time=FULL.time, actor="a", role="admin"))
    assert found["action"] in "CRUDE"


def test_refusals_strangers_and_emergencies_are_told() -> None:
    stranger = event(
        AuditEntry(action="sign_in", outcome="denied", time=FULL.time, actor="", role="", address="host.lan")
    )
    assert stranger["outcome"] == "4"
    assert stranger["type"]["code"] == "110114"
    assert stranger["agent"][0]["who"] == {"display": "unknown"}
    assert stranger["agent"][0]["network"]["type"] == "1"
    broken = event(
        AuditEntry(
            action="diagnoses.read", outcome="failed", time=FULL.time, actor="a", role="clinician",
            purpose="emergency", detail="unconscious at the door", address="::1",
        )
    )  # fmt: skip
    assert broken["outcome"] == "8"
    assert broken["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
    assert broken["outcomeDesc"] == "unconscious at the door"
    assert broken["agent"][0]["network"]["type"] == "2"


def test_exports_a_line_an_entry(journal: Journal) -> None:
    days = [f"2026-11-{day}T10:00:00.000000Z" for day in (20, 21, 22)]
    entries = [replace(FULL, time=day) for day in days]
    with journal.begin() as connection:
        Trail(b"k" * 32).extend(connection, [*[FULL] * 1500, *entries])
    stream = io.StringIO()
    assert export(journal, stream) == 1503
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"audit-{seq}" for seq in range(1, 1504)]
    with journal.read() as connection:
        assert json.loads(lines[1]) == to_fhir(read(connection, after=1, limit=1)[0])
    since = io.StringIO()
    assert export(journal, since, since="2026-11-22") == 1
    assert json.loads(since.getvalue())["recorded"].startswith("2026-11-22")
    assert export(journal, io.StringIO(), since="2027") == 0
