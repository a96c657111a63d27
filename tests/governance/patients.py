"""A patient of the small clinic with everything that a journal can hold of one."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galeno.governance.access import Caller
from galeno.governance.audit import Trail
from galeno.records import AuditEntry
from galeno.storage import schema
from galeno.storage.cipher import Cipher
from galeno.storage.commit import Change, GroupCommit, Sealed
from galeno.storage.home import Home
from galeno.storage.ids import new_id, now
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault

ADMIN = Caller(name="ana", role="admin", face="cli")
NOTE = "canarynoteZQXV"
COMMENT = "canarycommentZQXV"


@dataclass(frozen=True)
class Ward:
    """A home with its journal and keys open."""

    home: Home
    journal: Journal
    cipher: Cipher
    trail: Trail
    commits: GroupCommit

    @property
    def parts(self) -> dict[str, Any]:
        """What erasure and export are given."""
        return {
            "home": self.home,
            "journal": self.journal,
            "cipher": self.cipher,
            "vault": self.cipher.vault,
            "trail": self.trail,
            "caller": ADMIN,
        }

    def count(self, table: Any, patient_id: str) -> int:
        """Rows of a patient."""
        with self.journal.read() as connection:
            patient = self.cipher.pseudonym(patient_id)
            return len(connection.execute(table.select().where(table.c.patient == patient)).all())

    def visit(self, patient_id: str, study: str = "clinic", note: str = NOTE) -> str:
        """Keep a diagnosis with shadow, feedback, outcome and consent, and a ranking; the diagnosis' id."""
        patient = self.cipher.pseudonym(patient_id)
        diagnosis, moment = new_id("dx"), now()
        rows = (
            (schema.diagnoses, _diagnosis(diagnosis, patient, study, moment, note)),
            (schema.shadows, _shadow(diagnosis, patient, study, moment)),
            (schema.feedback, _feedback(diagnosis, patient, moment)),
            (schema.outcomes, _outcome(diagnosis, patient, study, moment)),
            (schema.consents, consent(patient, study)),
            *_ranking(patient, moment, note),
        )
        entry = AuditEntry(
            action="diagnoses.create",
            outcome="done",
            time=moment,
            actor="eva",
            role="clinician",
            patient=patient,
            study=study,
            subject=diagnosis,
        )
        change = Change(rows=rows, audit=(entry,), patient=patient, identity=patient_id)
        self.commits.commit_now(change)
        return diagnosis


def open_ward(root: Path, journal_url: str | None = None) -> Ward:
    """Open a home's journal, vault and keys; made where they are missing."""
    home = Home(root).create()
    ring = KeyRing.open_or_create(home.keys, data_exists=False)
    journal = Journal(journal_url or home.journal_url)
    journal.migrate()
    cipher = Cipher(ring, Vault(home.vault_url))
    trail = Trail(ring.audit_key)
    return Ward(home, journal, cipher, trail, GroupCommit(journal, cipher, trail))


def copy_home(source: Path, target: Path) -> Path:
    """A copy of a home whose runs point into the copy as far as erasure looks."""
    return Path(shutil.copytree(source, target))


def consent(patient: str, study: str, **more: Any) -> Mapping[str, Any]:
    """A row of consents."""
    row = {
        "id": new_id("cs"),
        "patient": patient,
        "study": study,
        "policy_version": "1",
        "language": "es",
        "accepted": True,
        "training": True,
        "created": now(),
        "actor": "eva",
        "withdrawn": None,
    }
    return {**row, **more}


def _diagnosis(diagnosis: str, patient: str, study: str, moment: str, note: str) -> Mapping[str, Any]:
    record = {"age": 41, "sex": "F", "lactate": 2.5, "note": note}
    answer = {"ranking": [["ill", 0.7], ["well", 0.3]], "not_ruled_out": ["ill"], "reasons": []}
    return {
        "id": diagnosis,
        "study": study,
        "created": moment,
        "patient": patient,
        "site": "north",
        "actor": "eva",
        "face": "api",
        "version": "1",
        "package_sha256": "0" * 64,
        "condition": "ill",
        "confidence": 0.7,
        "needs_review": False,
        "record": Sealed(json.dumps(record).encode()),
        "answer": Sealed(json.dumps(answer).encode()),
        "latency_ms": 1.5,
    }


def _shadow(diagnosis: str, patient: str, study: str, moment: str) -> Mapping[str, Any]:
    answer = {"ranking": [["well", 0.6], ["ill", 0.4]], "not_ruled_out": [], "reasons": []}
    return {
        "id": f"{diagnosis}.2",
        "diagnosis": diagnosis,
        "patient": patient,
        "study": study,
        "created": moment,
        "version": "2",
        "package_sha256": "1" * 64,
        "condition": "well",
        "confidence": 0.6,
        "answer": Sealed(json.dumps(answer).encode()),
        "latency_ms": 1.0,
    }


def _feedback(diagnosis: str, patient: str, moment: str) -> Mapping[str, Any]:
    return {
        "id": new_id("fb"),
        "diagnosis": diagnosis,
        "patient": patient,
        "created": moment,
        "actor": "eva",
        "role": "clinician",
        "agrees": False,
        "condition": "well",
        "rating": 2,
        "reason": "clinical_picture",
        "comment": Sealed(COMMENT.encode()),
    }


def _outcome(diagnosis: str, patient: str, study: str, moment: str) -> Mapping[str, Any]:
    return {
        "id": new_id("oc"),
        "diagnosis": diagnosis,
        "study": study,
        "patient": patient,
        "condition": "ill",
        "confirmed_on": "2026-01-31",
        "created": moment,
        "actor": "eva",
        "source": "api",
    }


def _ranking(patient: str, moment: str, note: str) -> tuple[tuple[Any, Mapping[str, Any]], ...]:
    """A ranking of rare diseases, and its feedback."""
    record = {"observed": ["HP:0001250"], "excluded": [], "age": 4.0, "sex": None, "onset": None}
    answer = {"diseases": [{"id": "OMIM:100001", "name": "Invented", "probability": 0.4}], "absent": 0.3}
    ranking = {
        "id": new_id("rk"),
        "created": moment,
        "patient": patient,
        "site": "north",
        "actor": "eva",
        "face": "api",
        "disease": "OMIM:100001",
        "probability": 0.4,
        "absent": 0.3,
        "version": "hpo:2025-01-16-00000000",
        "record": Sealed(json.dumps({**record, "mentions": [], "text": note}).encode()),
        "answer": Sealed(json.dumps(answer).encode()),
        "latency_ms": 12.0,
    }
    feedback = {
        "id": new_id("rf"),
        "ranking": ranking["id"],
        "patient": patient,
        "created": moment,
        "actor": "eva",
        "role": "clinician",
        "agrees": True,
        "disease": None,
        "comment": Sealed(COMMENT.encode()),
    }
    return (schema.rankings, ranking), (schema.ranking_feedback, feedback)
