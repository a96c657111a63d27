"""The audit trail: append-only, each entry bound to the one before it.

The hash of an entry is the HMAC-SHA256 (RFC 2104) of its row and of the hash before it, after the chained
logs of Schneier and Kelsey 1999 (Secure audit logs to support computer forensics), so that nobody
without the key can write an entry that fits. The end of the trail is signed as well: who takes the last
entries away cannot sign the end that remains. Whoever puts back an end that was noted earlier, with all
that belongs to it, is found by the anchor, a note of the end outside of the journal.
"""

import hmac
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from galeno.errors import AuditError
from galeno.records import AuditEntry
from galeno.storage import database, schema
from galeno.storage.atomic import read_json, replacing
from galeno.storage.insert import Insert
from galeno.storage.journal import Journal

FIRST = "0" * 64
"""What the first entry follows."""
LONGEST = 500
"""Characters that are kept of one text of an entry."""
MOST_FAULTS = 100
"""Faults that a report lists; it counts them all."""

_END = "SELECT seq, hash FROM audit_head WHERE id = 1"
_CHUNK = 2000
_REMEDY = "Run galeno audit verify; restore the journal from a backup that verifies"


class End(NamedTuple):
    """Where the trail ends.

    Attributes:
        seq: number of the last entry, 0 where there is none.
        hash: the entry's hash and its signature as the last one, together.
    """

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `verify` found.

    Attributes:
        entries: how many there are.
        first: number of the first one; 0 where there is none.
        last: number of the last one; 0 where there is none.
        anchored: number of the entry up to which a note outside of the journal vouches for the length;
            0 where there is no such note.
        found: how many faults there are.
        faults: number of the entry and what is wrong, the first MOST_FAULTS.
    """

    entries: int = 0
    first: int = 0
    last: int = 0
    anchored: int = 0
    found: int = 0
    faults: tuple[tuple[int, str], ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, removed or put elsewhere."""
        return not self.found

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "intact": self.intact}


class Trail:
    """Adds entries at the end of the trail.

    Args:
        key: the audit key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._insert: Insert | None = None

    def extend(self, connection: Connection, entries: Sequence[AuditEntry]) -> None:
        """Add entries in the open write transaction; they are kept when it is committed.

        Other writers wait until then, so that the trail is in the order of the commits.

        Raises:
            AuditError: the end of the trail was changed; nothing may be done that is not on record.
        """
        if not entries:
            return
        seq, previous = self._end(connection)
        rows = []
        for entry in entries:
            seq += 1
            row = _row(seq, entry, previous)
            row, previous = _sign(self._key, row)
            rows.append((*row, previous))
        if self._insert is None:
            self._insert = Insert.of(schema.audit, connection)
        try:
            self._insert.execute(connection, rows)
        except IntegrityError:
            raise AuditError(
                "there are entries after the noted end of the audit trail", remedy=_REMEDY
            ) from None
        end = previous + _seal(self._key, seq, previous)
        database.execute(connection, "UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1", (seq, end))

    def _end(self, connection: Connection) -> tuple[int, str]:
        """Number and hash of the last entry, the end locked until the transaction ends."""
        # SQLite's write transactions come one at a time, and it has no such clause.
        query = _END + " FOR UPDATE" if connection.dialect.name == "postgresql" else _END
        row = database.execute(connection, query).fetchone()
        if row is None:
            self._begin(connection)
            row = database.execute(connection, query).fetchone()
        seq, noted = row
        last = noted[:64]
        if not hmac.compare_digest(noted[64:].encode(), _seal(self._key, seq, last).encode()):
            raise AuditError("the noted end of the audit trail was changed", remedy=_REMEDY)
        return seq, last

    def _begin(self, connection: Connection) -> None:
        if connection.execute(select(schema.audit.c.seq).limit(1)).first() is not None:
            raise AuditError("the noted end of the audit trail is gone", remedy=_REMEDY)
        start = "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, ?) ON CONFLICT DO NOTHING"
        database.execute(connection, start, (FIRST + _seal(self._key, 0, FIRST),))


def read_end(connection: Connection) -> End:
    """Where the trail ends now."""
    head = schema.audit_head
    row = connection.execute(select(head.c.seq, head.c.hash).where(head.c.id == 1)).first()
    return End(0, "") if row is None else End(row.seq, row.hash)


def verify(journal: Journal, key: bytes, anchor: Path | None = None) -> AuditReport:
    """Look for entries that were changed, removed, added or put elsewhere.

    It sees the trail as it stands at one moment, whoever writes meanwhile, in chunks of bounded memory.

    Args:
        journal: the journal.
        key: the audit key.
        anchor: file of the note outside of the journal; None, or a file that is not there, does without.

    Raises:
        JournalError: the journal does not answer.
    """
    with _moment(journal) as connection:
        end = read_end(connection)
        check = _Check(key, end, _noted(anchor))
        for row in _rows(connection):
            check.entry(row)
        return check.report()


def read(connection: Connection, *, after: int = 0, limit: int = 100, **equal: str) -> list[dict[str, Any]]:
    """Entries in their order.

    Args:
        connection: of the journal.
        after: number of the entry to begin after.
        limit: of one page.
        equal: columns and the values that they must have, for example `patient="pt_..."`.
    """
    table = schema.audit
    query = select(table).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
    for column, value in equal.items():
        query = query.where(table.c[column] == value)
    return [dict(row) for row in connection.execute(query).mappings()]


def write_anchor(path: Path, seq: int, end: str) -> bool:
    """Note the end of the trail outside of the journal; an older end never takes the place of a newer one.

    Args:
        path: the file.
        seq: number of the last entry.
        end: its hash, as `read_end` gives it.

    Returns:
        whether the note stands at this end.

    Raises:
        OutputError: the file cannot be written.
    """
    noted = read_anchor(path)
    if noted is not None and noted.seq >= seq:
        return noted == End(seq, end)
    _put_anchor(path, End(seq, end))
    return True


def read_anchor(path: Path) -> End | None:
    """The end that was noted; None where there is no note.

    Raises:
        AuditError: the file is damaged.
    """
    try:
        found = read_json(path)
        return End(int(found["seq"]), str(found["hash"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise AuditError(
            "the note of where the audit trail ends cannot be read",
            where=str(path),
            remedy="Keep the file for whoever looks into it; a new one is written when it is moved away",
        ) from None


def move_anchor(journal: Journal, key: bytes, path: Path) -> End:
    """Note where the trail ends now, if the trail still holds the entry that was noted before.

    Otherwise the old note stays: it is the only trace of what was taken away.

    Args:
        journal: the journal.
        key: the audit key.
        path: the file.

    Raises:
        AuditError: the entry that was noted is gone or changed, or so is the end.
        JournalError: the journal does not answer.
        OutputError: the file cannot be written.
    """
    noted = read_anchor(path)
    table = schema.audit
    with journal.read() as connection:
        end = read_end(connection)
        seqs = [] if noted is None else [noted.seq]
        query = select(table.c.seq, table.c.hash).where(table.c.seq.in_([*seqs, end.seq]))
        hashes = {0: FIRST, **{row.seq: row.hash for row in connection.execute(query)}}
    for known in (noted, end):
        if known is None or known == End(0, ""):
            continue
        found = hashes.get(known.seq)
        if found is None or known.hash != found + _seal(key, known.seq, found):
            raise AuditError("entries of the audit trail are gone or changed", remedy=_REMEDY)
    if end.seq and (noted is None or noted.seq < end.seq):
        _put_anchor(path, end)
    return end


@dataclass
class _Check:
    """Goes through the trail and remembers what does not fit.

    Attributes:
        key: the audit key.
        end: where the journal says that the trail ends.
        anchor: where the note outside of it says so; a text where it cannot be read.
    """

    key: bytes
    end: End
    anchor: End | str | None
    entries: int = 0
    first: int = 0
    last: int = 0
    previous: str = FIRST
    found: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)

    def entry(self, row: Sequence[Any]) -> None:
        """Look at the next entry."""
        seq, previous, stored = row[0], row[-2], row[-1]
        if seq < 1:
            self._fault(seq, "was added")
            return
        if seq != self.last + 1:
            gone = "is missing" if seq == self.last + 2 else f"and all up to {seq - 1} are missing"
            self._fault(self.last + 1, gone)
        elif previous != self.previous:
            self._fault(seq, "does not follow the entry before it")
        if _hash(self.key, row[:-1]) != stored:
            self._fault(seq, "was changed")
        if isinstance(self.anchor, End) and self.anchor.seq == seq:
            self._match(self.anchor, stored, "the entry that was noted outside of the journal was changed")
        self.first = self.first or seq
        self.entries += 1
        self.last, self.previous = seq, stored

    def report(self) -> AuditReport:
        """Look at the end, and say what was found."""
        if self.end.seq > self.last:
            self._fault(self.last + 1, f"and all up to {self.end.seq} are missing at the end")
        elif self.end.seq < self.last:
            self._fault(self.end.seq, "the noted end lies before the last entry")
        elif self.end.seq:
            self._match(self.end, self.previous, "the noted end was changed")
        elif self.end.hash:
            self._match(self.end, FIRST, "the noted end was changed")
        anchored = 0
        if isinstance(self.anchor, str):
            self._fault(0, self.anchor)
        elif self.anchor is not None:
            anchored = self.anchor.seq
            if anchored > self.last:
                told = f"and all up to {anchored} are missing; they were noted outside of the journal"
                self._fault(self.last + 1, told)
        return AuditReport(self.entries, self.first, self.last, anchored, self.found, tuple(self.faults))

    def _match(self, end: End, stored: object, fault: str) -> None:
        text = str(stored)
        if end.hash != text + _seal(self.key, end.seq, text):
            self._fault(end.seq, fault)

    def _fault(self, seq: int, what: str) -> None:
        self.found += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append((seq, what))


def _row(seq: int, entry: AuditEntry, previous: str) -> tuple[Any, ...]:
    """The row in the order of the columns, without its hash. Numbers as every database gives them back."""
    latency = entry.latency_ms
    if latency is not None:
        latency = float(latency) + 0.0 if math.isfinite(latency) else None
    return (
        seq, entry.time, entry.action, entry.outcome, entry.actor, entry.role, entry.site, entry.address,
        entry.face, entry.purpose, entry.patient, entry.study, entry.model, entry.subject, entry.input_hash,
        latency, entry.detail, previous,
    )  # fmt: skip


def _sign(key: bytes, row: tuple[Any, ...]) -> tuple[tuple[Any, ...], str]:
    """The row as it is kept, and its hash."""
    text = _json(row)
    # A text that a database would not take must not keep an entry out of the trail.
    if len(text) > 2 * LONGEST or "\\u0000" in text or not text.isascii():
        row = tuple(_clean(value) if isinstance(value, str) else value for value in row)
        text = _json(row)
    return row, hmac.digest(key, text.encode(), "sha256").hex()


def _clean(text: str) -> str:
    kept = text[:LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return kept.encode("utf-8", "replace").decode("utf-8")


def _hash(key: bytes, row: Sequence[Any]) -> str:
    """The hash that belongs to a row as it was read: whatever stands in it, there is one."""
    return hmac.digest(key, _json(row).encode("utf-8", "surrogatepass"), "sha256").hex()


def _json(row: Sequence[Any]) -> str:
    return _ENCODER.encode(row)


# Bytes in a column of texts are somebody's work; they get a form that no entry has.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), default=lambda value: [repr(value)]
)


def _seal(key: bytes, seq: int, last: str) -> str:
    """Signature of an entry as the last one."""
    return hmac.digest(key, f"end|{seq}|{last}".encode("utf-8", "replace"), "sha256").hex()


def _noted(anchor: Path | None) -> End | str | None:
    if anchor is None:
        return None
    try:
        return read_anchor(anchor)
    except AuditError as error:
        return error.what


def _put_anchor(path: Path, end: End) -> None:
    with replacing(path, mode=0o600) as temporary:
        temporary.write_text(json.dumps(end._asdict()) + "\n", encoding="utf-8")


@contextmanager
def _moment(journal: Journal) -> Iterator[Connection]:
    """A connection that sees the journal as it is now, and takes texts that are none."""
    with journal.read() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
            return
        driver: Any = connection.connection.driver_connection
        driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            yield connection
        finally:
            driver.text_factory = str


def _rows(connection: Connection) -> Iterator[Sequence[Any]]:
    table = schema.audit
    last = -(2**31)
    while True:
        query = select(table).where(table.c.seq > last).order_by(table.c.seq).limit(_CHUNK)
        rows = connection.execute(query).all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = rows[-1].seq
