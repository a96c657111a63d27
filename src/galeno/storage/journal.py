"""The journal: the relational store of what happened, on SQLite or PostgreSQL."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from galeno.errors import JournalError
from galeno.storage import database
from galeno.storage.schema import HEAD

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as nobody else uses it in the same PostgreSQL database.
_MIGRATION_LOCK = 0x67616C656E6F


class Journal:
    """The journal behind a URL. One a process; threads may share it.

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

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: kept when the block ends well, and on the disk by then.

        Raises:
            JournalError: the database does not answer; nothing was kept.
            ConflictError: what was written does not fit what is there.
        """
        with database.faults(self.name), database.writing(self.engine) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading.

        Raises:
            JournalError: the database does not answer.
        """
        with database.faults(self.name), self.engine.connect() as connection:
            yield connection

    def revision(self) -> str | None:
        """The migration that the database stands at; None where there is no journal yet.

        Raises:
            JournalError: the database does not answer.
        """
        with self.read() as connection:
            return _revision(connection)

    def migrate(self) -> None:
        """Make the tables, or bring those of an older Galeno up to date. Processes may do so at once.

        Raises:
            JournalError: the database does not answer, or was written by a newer Galeno.
        """
        if self.revision() == HEAD:
            return
        with self.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            _upgrade(connection, self.name)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, name: str) -> None:
    """Run Alembic inside the open transaction."""
    # Here, because it costs a tenth of a second that a journal which is up to date need not pay.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise JournalError(
            "the journal was written by a newer Galeno, or its migrations were changed",
            where=name,
            remedy="Use the version of Galeno that wrote it, or a newer one",
        ) from None
