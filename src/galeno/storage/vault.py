"""The vault: each patient's own key, wrapped by a master key, apart from what it seals.

To erase a patient is to destroy one row here: what was sealed for the patient, in the journal and in any
backup of it, cannot be opened from then on ("cryptographic erase", NIST SP 800-88). That is why the vault
is a database of its own, to be backed up apart from the journal. A backup of the vault itself, and what a
PostgreSQL server keeps of deleted rows, is void as soon as the master key that wrapped it is dropped:
after two rotations.
"""

import hmac
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from galeno.errors import KeyRingError
from galeno.storage import database
from galeno.storage.keys import KeyRing, Keys

_metadata = MetaData()
_keys = Table(
    "keys",
    _metadata,
    Column("patient", Text, primary_key=True),
    Column("kid", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
# One row: how many patients were erased, and the master key of the last rotation that was finished,
# with the mark by which the vault knows its ring again.
_epoch = Table(
    "epoch",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", Integer, nullable=False),
    Column("kid", Text),
    Column("mark", LargeBinary),
)
_READ_EPOCH = "SELECT n FROM epoch WHERE id = 1"
_PUT = text(
    "INSERT INTO keys (patient, kid, wrapped) VALUES (:patient, :kid, :wrapped) ON CONFLICT DO NOTHING"
)
_REWRAP = (
    update(_keys)
    .where(
        _keys.c.patient == bindparam("p"), _keys.c.kid == bindparam("k"), _keys.c.wrapped == bindparam("w")
    )
    .values(kid=bindparam("new_kid"), wrapped=bindparam("new_wrapped"))
)
# SQLite takes some ten thousand parameters in a statement; fewer are as fast.
_CHUNK = 500
_SET_UP_LOCK = 0x67616C656E6B


class WrappedKey(NamedTuple):
    """A patient's key as the vault holds it."""

    patient: str
    kid: str
    """Id of the master key that wraps it."""
    wrapped: bytes


class Vault:
    """The vault behind a URL; threads may share it. Its tables are made when it is first used.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        SettingError: not such an address.
        MissingExtraError: PostgreSQL's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.engine = database.open_engine(url)
        self.name = database.name_of(url)
        """The address as it may be shown."""
        # For PostgreSQL: the same connections without transactions around what they do.
        self._plain = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._turn = threading.Lock()
        self._ready = False

    def epoch(self) -> int:
        """A number that is another one after every erasure, so that keys in memory can be given up.

        Raises:
            JournalError: the database does not answer.
        """
        # Every group of commits asks; a transaction around it would cost two to four times as much.
        self._prepare()
        with database.faults(self.name):
            if self.engine.dialect.name != "sqlite":
                with self._plain.connect() as connection:
                    return int(connection.exec_driver_sql(_READ_EPOCH).scalar_one())
            raw = self.engine.raw_connection()
            try:
                return int(raw.cursor().execute(_READ_EPOCH).fetchone()[0])
            finally:
                raw.close()

    def get(self, patients: Collection[str]) -> dict[str, tuple[str, bytes]]:
        """Keys of patients.

        Args:
            patients: pseudonyms.

        Returns:
            pseudonym -> id of the master key and wrapped key; those without a key are not in it.

        Raises:
            JournalError: the database does not answer.
        """
        with self._reading() as connection:
            return _get(connection, list(patients))

    def put(self, rows: Sequence[WrappedKey], keys: Keys) -> dict[str, tuple[str, bytes]]:
        """Keep the keys of new patients; where another process was faster, its key stands.

        Args:
            rows: keys, wrapped with the current master key of `keys`.
            keys: the ring they were wrapped with.

        Returns:
            the patients' keys as they stand now, on the disk.

        Raises:
            KeyRingError: the ring is not this vault's, or is older than its last rotation.
            JournalError: the database does not answer.
        """
        # In one order, so that two processes cannot wait for each other.
        rows = sorted(rows)
        with self._writing() as connection:
            self._check_ring(connection, keys)
            connection.execute(_PUT, [row._asdict() for row in rows])
            return _get(connection, [row.patient for row in rows])

    def destroy(self, patient: str) -> bool:
        """Destroy a patient's key and its bytes; processes that hold it in memory will see the new epoch.

        Args:
            patient: pseudonym.

        Returns:
            whether there was a key.

        Raises:
            JournalError: the database does not answer.
        """
        with self._writing() as connection:
            connection.execute(update(_epoch).values(n=_epoch.c.n + 1))
            done = connection.execute(delete(_keys).where(_keys.c.patient == patient)).rowcount
        self.sweep()
        return done > 0

    def sweep(self) -> None:
        """Remove what deleted rows left behind: empties SQLite's WAL, vacuums PostgreSQL's table.

        Raises:
            JournalError: the database does not answer.
        """
        self._prepare()
        with database.faults(self.name):
            database.checkpoint(self.engine)
            if self.engine.dialect.name == "postgresql":
                with self._plain.connect() as connection:
                    connection.exec_driver_sql("VACUUM keys")

    def stale(self, current: str, limit: int, after: str = "") -> list[WrappedKey]:
        """Keys that another master key wraps, in the order of the pseudonyms.

        Args:
            current: the master key that should wrap them.
            limit: keys at most.
            after: pseudonym to go on after.

        Raises:
            JournalError: the database does not answer.
        """
        query = (
            select(_keys)
            .where(_keys.c.patient > after, _keys.c.kid != current)
            .order_by(_keys.c.patient)
            .limit(limit)
        )
        with self._reading() as connection:
            return [WrappedKey(*row) for row in connection.execute(query)]

    def rewrap(self, changes: Sequence[tuple[WrappedKey, WrappedKey]]) -> int:
        """Exchange wrapped keys, each only if it is still as it was read: it may have been destroyed.

        Args:
            changes: as it was, and as it shall be.

        Returns:
            keys exchanged.

        Raises:
            JournalError: the database does not answer.
        """
        done = 0
        with self._writing() as connection:
            for old, new in sorted(changes):
                values = {"p": old.patient, "k": old.kid, "w": old.wrapped}
                values |= {"new_kid": new.kid, "new_wrapped": new.wrapped}
                done += connection.execute(_REWRAP, values).rowcount
        return done

    def count(self, kid: str | None = None) -> int:
        """Keys that a master key wraps, or all.

        Raises:
            JournalError: the database does not answer.
        """
        query = select(func.count()).select_from(_keys)
        if kid is not None:
            query = query.where(_keys.c.kid == kid)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def standing(self) -> str | None:
        """The master key of the last rotation that was finished; None before anything was put.

        Raises:
            JournalError: the database does not answer.
        """
        with self._reading() as connection:
            kid: str | None = connection.execute(select(_epoch.c.kid)).scalar_one()
            return kid

    def finish(self, ring: KeyRing) -> bool:
        """Note that the current master key wraps all keys, if it does; an older one then wraps no new ones.

        Returns:
            whether it wraps all.

        Raises:
            KeyRingError: the ring is not this vault's.
            JournalError: the database does not answer.
        """
        with self._alone() as connection:
            ring.reload_if_changed()
            keys = ring.keys
            self._check_ring(connection, keys)
            done = connection.execute(select(_keys.c.kid).where(_keys.c.kid != keys.current)).first() is None
            if done:
                connection.execute(update(_epoch).values(kid=keys.current, mark=keys.mark(keys.current)))
        return done

    @contextmanager
    def alone(self, ring: KeyRing) -> Iterator[str]:
        """Keep everybody else from putting, destroying or rotating keys while the block runs.

        Args:
            ring: is brought up to date.

        Yields:
            the master key of the last rotation that was finished.

        Raises:
            KeyRingError: the ring is not this vault's.
            JournalError: the database does not answer.
        """
        with self._alone() as connection:
            ring.reload_if_changed()
            yield self._check_ring(connection, ring.keys)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _check_ring(self, connection: Connection, keys: Keys) -> str:
        """See that the ring is this vault's and not an old copy; a new vault takes the ring for its own.

        Returns:
            the master key of the last rotation that was finished.
        """
        if connection.execute(select(_epoch.c.kid)).scalar_one() is None:
            values = {"kid": keys.current, "mark": keys.mark(keys.current)}
            connection.execute(update(_epoch).where(_epoch.c.kid.is_(None)).values(values))
        # Shared: those who put keys do not wait for each other, but `_alone` waits for them.
        kid, mark = connection.execute(select(_epoch.c.kid, _epoch.c.mark).with_for_update(read=True)).one()
        if kid not in keys.wrapping:
            raise KeyRingError(
                "the file of keys is older than the last rotation, or of another home",
                where=self.name,
                remedy="Use the file of keys that belongs to this vault, in its newest state",
            )
        if not hmac.compare_digest(keys.mark(kid), bytes(mark)):
            raise KeyRingError(
                "the file of keys is not the one that belongs to this vault",
                where=self.name,
                remedy="Restore it from its backup; without it nothing that is sealed can be opened",
            )
        return str(kid)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._prepare()
        with database.faults(self.name), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        self._prepare()
        with database.faults(self.name), database.writing(self.engine) as connection:
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A write transaction that those who put keys wait for; on SQLite every one is."""
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT 1 FROM epoch WHERE id = 1 FOR UPDATE")
            yield connection

    def _prepare(self) -> None:
        """Make the tables unless they are there."""
        if self._ready:
            return
        with self._turn, database.faults(self.name), database.writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SET_UP_LOCK})
            _metadata.create_all(connection)
            if connection.execute(select(_epoch.c.id)).first() is None:
                connection.execute(insert(_epoch).values(id=1, n=0))
        self._ready = True


def _get(connection: Connection, patients: list[str]) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(patients), _CHUNK):
        query = select(_keys).where(_keys.c.patient.in_(patients[start : start + _CHUNK]))
        found |= {row.patient: (row.kid, row.wrapped) for row in connection.execute(query)}
    return found
