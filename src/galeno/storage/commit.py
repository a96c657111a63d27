"""Group commit: all that waits is written in one transaction, so that the disk is waited for once.

The idea is DeWitt et al. 1984 (Implementation techniques for main memory database systems, section 5):
while one group is on its way to the disk the next one gathers, so that a lone change waits for nobody and
a crowd shares one flush.
"""

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from sqlalchemy import Connection, Table, text

from galeno.errors import BusyError, ConflictError, JournalError
from galeno.records import AuditEntry
from galeno.storage import database, schema
from galeno.storage.ids import now
from galeno.storage.insert import Insert, PatientKey, Sealed
from galeno.storage.journal import Journal

__all__ = ["Change", "GroupCommit", "PatientKey", "Seal", "Sealed", "Trail"]

_LOG = logging.getLogger("galeno.storage")
_KNOWN = 65_536


class Seal(Protocol):
    """Gives the patients' keys; `cipher.Cipher` is one."""

    def begin(self, patients: Mapping[str, str | None]) -> Mapping[str, PatientKey]:
        """Keys of patients (pseudonym -> raw id, None if unknown); missing ones are made and durable."""


class Trail(Protocol):
    """Writes the audit trail; `governance.audit.Trail` is one."""

    def extend(self, connection: Connection, entries: Sequence[AuditEntry]) -> None:
        """Add entries at the end of the trail, in the open transaction."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be kept as a whole, or not at all.

    Attributes:
        rows: tables and rows to insert; columns that a row does not name are null.
        audit: entries for the trail, in the same transaction.
        patient: pseudonym whose key seals the `Sealed` values; None where nothing is sealed.
        identity: the hospital's id of the patient, kept sealed the first time; None where it is unknown.
        then: called in the transaction after the rows were inserted; its result is the commit's, and a
            GalenoError from it undoes this change alone. It runs in the writer's thread: keep it short.
    """

    rows: tuple[tuple[Table, Mapping[str, Any]], ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    patient: str | None = None
    identity: str | None = None
    then: Callable[[Connection], Any] | None = None


@dataclass(slots=True, eq=False)
class _Waiting:
    """A change, who waits for it, and how it went."""

    change: Change
    waiter: "asyncio.Future[Any] | Future[Any]"
    loop: asyncio.AbstractEventLoop | None = None
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Tell who waits; on the loop's own thread where it is a coroutine."""
        if self.waiter.done():
            return
        if self.error is None:
            self.waiter.set_result(self.result)
        else:
            self.waiter.set_exception(self.error)


class _Attempt:
    """Keeps what went wrong in its block for those who wait, whatever it was: the writer must go on."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> "_Attempt":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


class GroupCommit:
    """The one writer of a process.

    Args:
        journal: where to.
        seal: gives the patients' keys.
        trail: writes the audit entries.
        depth: changes that may wait; more are refused.
        group: changes that are written at once.
    """

    def __init__(
        self, journal: Journal, seal: Seal, trail: Trail, *, depth: int = 1024, group: int = 256
    ) -> None:
        self._journal = journal
        self._seal = seal
        self._trail = trail
        self._depth = depth
        self._group = group
        self._queue: deque[_Waiting] = deque()
        self._arriving: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._alone = threading.Lock()
        self._inserts: dict[str, Insert] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._failing = False

    @property
    def waiting(self) -> int:
        """Changes that wait now."""
        return len(self._queue)

    @property
    def failing(self) -> bool:
        """Whether the last group found the journal, or the vault of keys, out of order."""
        return self._failing

    def start(self) -> None:
        """Start the writer's thread."""
        with self._turn:
            if self._thread is None:
                self._closing = False
                self._thread = threading.Thread(target=self._run, name="galeno-journal", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits and stop; what comes later is refused."""
        with self._turn:
            self._closing = True
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    async def commit(self, change: Change) -> Any:
        """Keep a change; when this returns, it is on the disk.

        Returns:
            what `change.then` returned.

        Raises:
            BusyError: too many wait, or the writer is stopping.
            JournalError: the database does not answer; nothing of the change was kept. (A connection lost in
                the very moment of a commit leaves that open, and so does a database that takes too long.)
            ConflictError: a row breaks a constraint; nothing of the change was kept.
            GalenoError: as `then`, the seal or the trail raise it.
            RuntimeError: the writer was not started.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        arriving = self._arriving.setdefault(loop, [])
        self._check_room(len(arriving))
        if not arriving:
            # what the loop has at hand when it comes round goes over together, in one group
            loop.call_soon(self._hand_over, loop)
        arriving.append(_Waiting(change, waiter, loop))
        return await database.in_time(waiter, self._journal.name)

    def commit_now(self, change: Change) -> Any:
        """Keep a change and wait for it: for commands and threads. Works without the writer's thread, too.

        Raises:
            As `commit` does.
        """
        future: Future[Any] = Future()
        waiting = _Waiting(change, future)
        if self._thread is None:
            with self._alone:
                self._write([waiting])
        else:
            with self._turn:
                self._check_room(0)
                self._queue.append(waiting)
                self._turn.notify()
        return future.result()

    def _check_room(self, arriving: int) -> None:
        """Refuse what would have to wait for too long."""
        if self._closing:
            raise BusyError("the service is stopping", remedy="Try again")
        if self._thread is None:
            raise RuntimeError("GroupCommit.start() comes first")
        if len(self._queue) + arriving >= self._depth:
            raise BusyError("too many changes wait for the journal", remedy="Try again")

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give what arrived on a loop to the writer."""
        arrived = self._arriving.pop(loop)
        with self._turn:
            gone = self._thread is None
            if not gone:
                self._queue.extend(arrived)
                self._turn.notify()
        for waiting in arrived if gone else ():
            waiting.error = BusyError("the service is stopping", remedy="Try again")
            waiting.settle()

    def _run(self) -> None:
        while True:
            with self._turn:
                while not self._queue and not self._closing:
                    self._turn.wait()
                if not self._queue:
                    return
                group = [self._queue.popleft() for _ in range(min(len(self._queue), self._group))]
            # who gave up waiting was told that nothing is kept
            group = [waiting for waiting in group if not waiting.waiter.done()]
            if group:
                self._write(group)

    def _write(self, group: list[_Waiting]) -> None:
        """Write a group in one transaction and tell all who wait."""
        with _Attempt() as attempt:
            ready = self._make_keys(group)
            if ready and not self._write_plain(ready):
                with database.writing(self._journal.engine) as connection:
                    self._apply_all(connection, ready)
        if attempt.error is not None:
            for waiting in group:
                waiting.error = waiting.error or database.translate(attempt.error, self._journal.name)
        faults = (waiting.error for waiting in group if isinstance(waiting.error, JournalError))
        self._note(next(faults, None))
        self._remember(group)
        self._settle(group)

    def _write_plain(self, group: list[_Waiting]) -> bool:
        """Write changes that will hardly fail by themselves, without the savepoints that would tell which.

        Returns:
            whether they are written; if not, nothing of them is.

        Raises:
            Exception: what is wrong with the database.
        """
        if any(waiting.change.then is not None for waiting in group):
            return False
        with _Attempt() as attempt, database.writing(self._journal.engine) as connection:
            _keep_erasures_out(connection)
            self._insert(connection, group)
        if attempt.error is not None and database.is_transient(attempt.error):
            raise attempt.error
        return attempt.error is None

    def _make_keys(self, group: list[_Waiting]) -> list[_Waiting]:
        """Have keys made before the journal is locked; those who cannot get one have failed.

        Returns:
            the others.
        """
        with _Attempt() as attempt:
            keys = self._keys(group)
            for patient in (waiting.change.patient for waiting in group):
                if patient is not None and keys[patient].fresh:
                    # Of somebody new, or of somebody whose erasure took the identity away.
                    self._known.pop(patient, None)
        if attempt.error is None or not database.is_transient(attempt.error):
            return group
        for waiting in group:
            if waiting.change.patient is not None:
                waiting.error = database.translate(attempt.error, self._journal.name)
        return [waiting for waiting in group if waiting.error is None]

    def _apply_all(self, connection: Connection, group: list[_Waiting]) -> None:
        """Insert plain changes together, and one by one those that may fail by themselves."""
        _keep_erasures_out(connection)
        alone = [waiting for waiting in group if waiting.change.then is not None]
        plain = [waiting for waiting in group if waiting.change.then is None]
        if plain and self._apply(connection, plain) is not None:
            alone = group
        for waiting in alone:
            error = self._apply(connection, [waiting])
            if error is not None:
                waiting.error = _mine(error, self._journal.name)

    def _apply(self, connection: Connection, group: list[_Waiting]) -> Exception | None:
        """Write some changes, all or none of them.

        Returns:
            what was wrong with them.

        Raises:
            Exception: what is wrong with the database.
        """
        with _Attempt() as attempt, connection.begin_nested():
            self._insert(connection, group)
        if attempt.error is not None and database.is_transient(attempt.error):
            raise attempt.error
        return attempt.error

    def _insert(self, connection: Connection, group: list[_Waiting]) -> None:
        keys = self._keys(group)
        self._insert_identities(connection, group, keys)
        self._insert_rows(connection, group, keys)
        for waiting in group:
            if waiting.change.then is not None:
                waiting.result = waiting.change.then(connection)
        entries = [entry for waiting in group for entry in waiting.change.audit]
        if entries:
            self._trail.extend(connection, entries)

    def _keys(self, group: list[_Waiting]) -> Mapping[str, PatientKey]:
        patients: dict[str, str | None] = {}
        for waiting in group:
            change = waiting.change
            if change.patient is not None:
                patients[change.patient] = change.identity or patients.get(change.patient)
        return self._seal.begin(patients) if patients else {}

    def _insert_identities(
        self, connection: Connection, group: list[_Waiting], keys: Mapping[str, PatientKey]
    ) -> None:
        """Keep the hospital's ids that are not known to be kept: a key may be older than its identity."""
        rows: dict[str, Mapping[str, Any]] = {}
        for change in (waiting.change for waiting in group):
            if change.patient is None or change.identity is None or change.patient in rows:
                continue
            if keys[change.patient].fresh or change.patient not in self._known:
                identity = Sealed(change.identity.encode("utf-8"))
                rows[change.patient] = {"patient": change.patient, "sealed": identity, "created": now()}
        if rows:
            table = schema.identities
            insert = self._insert_of(connection, table, " ON CONFLICT DO NOTHING")
            values = [insert.row(row, keys[patient]) for patient, row in rows.items()]
            insert.execute(connection, values)

    def _insert_rows(
        self, connection: Connection, group: list[_Waiting], keys: Mapping[str, PatientKey]
    ) -> None:
        tables: dict[str, tuple[Insert, list[tuple[Any, ...]]]] = {}
        for change in (waiting.change for waiting in group):
            key = keys[change.patient] if change.patient is not None else None
            for table, values in change.rows:
                if table.name not in tables:
                    tables[table.name] = (self._insert_of(connection, table), [])
                insert, rows = tables[table.name]
                rows.append(insert.row(values, key))
        for insert, rows in tables.values():
            insert.execute(connection, rows)

    def _insert_of(self, connection: Connection, table: Table, suffix: str = "") -> Insert:
        insert = self._inserts.get(table.name + suffix)
        if insert is None:
            insert = self._inserts[table.name + suffix] = Insert.of(table, connection, suffix)
        return insert

    def _remember(self, group: list[_Waiting]) -> None:
        """Note whose identity is kept, so that it is not sent again."""
        for waiting in group:
            change = waiting.change
            if waiting.error is None and change.patient is not None and change.identity is not None:
                self._known[change.patient] = None
                self._known.move_to_end(change.patient)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def _note(self, fault: JournalError | None) -> None:
        """Say once that the journal fails, and once that it is back."""
        if fault is not None and not self._failing:
            _LOG.warning("the journal fails: %s", fault)
        elif fault is None and self._failing:
            _LOG.warning("the journal is back: %s", self._journal.name)
        self._failing = fault is not None

    @staticmethod
    def _settle(group: Iterable[_Waiting]) -> None:
        """Hand the results back, with one wake-up a loop."""
        loops: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        for waiting in group:
            if waiting.loop is None:
                waiting.settle()
            else:
                loops.setdefault(waiting.loop, []).append(waiting)
        for loop, settled in loops.items():
            # A loop that was closed has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle_all, settled)


def _settle_all(group: Iterable[_Waiting]) -> None:
    for waiting in group:
        waiting.settle()


def _keep_erasures_out(connection: Connection) -> None:
    """Until the transaction ends.

    An erasure begins with its tombstone: no row may be sealed before it and land after it. SQLite has one
    writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE erasures IN SHARE MODE"))


def _mine(error: Exception, name: str) -> Exception:
    """The error for who asked: the database's are translated, a fault in a program stays what it is."""
    if isinstance(error, UnicodeError | OverflowError):
        # The driver's own, and it holds the value.
        return ConflictError("a value does not fit its column", where=name)
    return database.translate(error, name) if database.is_database_error(error) else error
