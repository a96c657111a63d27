"""Small real parts for the tests of group commit; run as a program it commits until it is killed."""

import asyncio
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, func, select

from galeno.records import AuditEntry
from galeno.storage import schema
from galeno.storage.commit import Change, GroupCommit, Sealed
from galeno.storage.ids import new_id, now
from galeno.storage.journal import Journal


class SmallKey:
    """AES-GCM with a key that is kept in memory."""

    def __init__(self) -> None:
        self.fresh = True
        self._aead = AESGCM(AESGCM.generate_key(128))
        self._count = 0

    def seal(self, data: bytes, table: str, column: str, row_id: str) -> bytes:
        self._count += 1
        nonce = self._count.to_bytes(12, "big")
        return nonce + self._aead.encrypt(nonce, data, f"{table}|{column}|{row_id}".encode())

    def open(self, blob: bytes, table: str, column: str, row_id: str) -> bytes:
        return self._aead.decrypt(blob[:12], blob[12:], f"{table}|{column}|{row_id}".encode())


class SmallSeal:
    """Keys in memory. `fault` is raised instead of giving them."""

    def __init__(self) -> None:
        self.keys: dict[str, SmallKey] = {}
        self.fault: Exception | None = None

    def begin(self, patients: Mapping[str, str | None]) -> Mapping[str, SmallKey]:
        if self.fault is not None:
            raise self.fault
        for patient in patients:
            if patient in self.keys:
                self.keys[patient].fresh = False
            else:
                self.keys[patient] = SmallKey()
        return self.keys


class SmallTrail:
    """A trail without hashes. While `gate` is clear, it holds the writer up."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.held = threading.Event()

    def extend(self, connection: Connection, entries: Sequence[AuditEntry]) -> None:
        self.held.set()
        assert self.gate.wait(30)
        seq = connection.execute(select(func.coalesce(func.max(schema.audit.c.seq), 0))).scalar_one()
        rows = [
            {**{name: getattr(entry, name) for name in AuditEntry.__slots__}, "seq": seq + place}
            for place, entry in enumerate(entries, 1)
        ]
        connection.execute(schema.audit.insert(), [{**row, "previous": "", "hash": ""} for row in rows])


def diagnosis(**changed: Any) -> Change:
    """A diagnosis with its audit entry."""
    row: dict[str, Any] = {
        "id": new_id("dx"),
        "study": "clinic",
        "created": now(),
        "patient": "pt_1",
        "site": "",
        "actor": "ana",
        "face": "api",
        "package_sha256": "a" * 64,
        "condition": "flu",
        "confidence": 0.75,
        "needs_review": False,
        "record": Sealed(b'{"age": 41}'),
        "answer": Sealed(b'{"ranking": []}'),
        "latency_ms": 1.5,
        **changed,
    }
    entry = AuditEntry("diagnoses.create", "done", row["created"], "ana", "clinician", subject=row["id"])
    return Change(
        rows=((schema.diagnoses, row),), audit=(entry,), patient=row["patient"], identity="hospital-7"
    )


def id_of(change: Change) -> str:
    """Id of the diagnosis in a change."""
    name: str = change.rows[0][1]["id"]
    return name


def kept_ids(journal: Journal) -> list[str]:
    """Ids of all diagnoses in a journal."""
    with journal.read() as connection:
        return list(connection.execute(select(schema.diagnoses.c.id)).scalars())


def audited_ids(journal: Journal) -> list[str]:
    """Ids of what the trail names."""
    with journal.read() as connection:
        return list(connection.execute(select(schema.audit.c.subject)).scalars())


async def _commit_until_killed(url: str) -> None:
    commits = GroupCommit(Journal(url), SmallSeal(), SmallTrail())
    commits.start()

    async def client() -> None:
        while True:
            change = diagnosis()
            await commits.commit(change)
            sys.stdout.write(f"{id_of(change)}\n")
            sys.stdout.flush()

    await asyncio.gather(*(client() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(_commit_until_killed(sys.argv[1]))
