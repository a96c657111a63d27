"""Databases by URL, SQLite or PostgreSQL: engines set up for durability, and faults that hold no values.

SQLite runs in WAL mode with `synchronous=FULL` (a commit has reached the disk when it returns,
https://www.sqlite.org/pragma.html#pragma_synchronous) and `secure_delete` (what is deleted is
overwritten). Transactions are begun by ourselves, because the driver's own begins come too late
(https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, "Serializable isolation").
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from galeno.errors import ConflictError, GalenoError, JournalError, MissingExtraError, SettingError

T = TypeVar("T")

ANSWER = 10.0
"""Seconds after which a database that neither answers nor fails is given up by who waits for it."""

_BEGIN = "galeno_begin"
_PATIENCE = 5.0
_WAIT = "PRAGMA busy_timeout = 5000"
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    # What a sort spills must not lie on the disk in the clear.
    "temp_store = MEMORY",
    "cache_size = -8000",
    # Four times SQLite's own: the commit that moves the WAL into the file is the slow one.
    "wal_autocheckpoint = 4000",
    "journal_size_limit = 67108864",
)
# A server that no longer answers must not hold up those who wait: seconds, milliseconds.
_POSTGRESQL = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "tcp_user_timeout": "10000",
    "application_name": "galeno",
}


def parse_url(url: str) -> URL:
    """The address of a database with its driver.

    Args:
        url: `sqlite:///FILE`, or `postgresql://`, `postgres://` or `postgresql+psycopg://`.

    Raises:
        SettingError: not such an address.
    """
    remedy = "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingError("the address of the database is not a URL", remedy=remedy) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SettingError("the database is of a kind that is not known here", remedy=remedy)
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise SettingError("the address names no file", where="sqlite", remedy=remedy)
    return parsed.set(drivername="sqlite")


def name_of(url: str) -> str:
    """The address as it may be shown: without user, password and options.

    Raises:
        SettingError: not an address of a database.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite:///{parsed.database}"
    port = f":{parsed.port}" if parsed.port else ""
    return f"postgresql://{parsed.host or ''}{port}/{parsed.database or ''}"


def sqlite_file(engine: Engine) -> Path | None:
    """The file of an SQLite database; None for a server."""
    return Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None


def open_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Set a database up for use; nothing is connected to yet, and no file made.

    Args:
        url: as `parse_url` takes it.
        pool_size: connections that are kept open.

    Raises:
        SettingError: not such an address.
        MissingExtraError: PostgreSQL's driver is not installed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, hide_parameters=True, pool_size=pool_size)
        event.listen(engine, "do_connect", _make_file)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    options = {key: value for key, value in _POSTGRESQL.items() if key not in parsed.query}
    try:
        return create_engine(
            parsed,
            connect_args=options,
            hide_parameters=True,
            pool_size=pool_size,
            pool_pre_ping=True,
            pool_recycle=1800,
            pool_timeout=5,
        )
    except ImportError:
        raise MissingExtraError("PostgreSQL", "postgresql") from None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction: committed when the block ends well, rolled back when it raises.

    On SQLite it waits its turn at the beginning (BEGIN IMMEDIATE), so that what is read inside is what is
    written upon. Errors are the driver's own; put `faults` around it.
    """
    with engine.connect().execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}) as connection, connection.begin():
        yield connection


def execute(connection: Connection, statement: str, values: Any = (), *, many: bool = False) -> Any:
    """Execute what is the same on every database. SQLite's driver gets it itself: through SQLAlchemy it
    would take 0.1 ms, ten times as long.

    Args:
        connection: in an open transaction.
        statement: with `?` for values.
        values: of one row, or with `many` of many rows.
        many: whether `values` are rows.

    Returns:
        a cursor with `fetchone`.

    Raises:
        DBAPIError: as SQLAlchemy would raise it.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return connection.exec_driver_sql(statement.replace("?", "%s"), values)
    try:
        return driver.executemany(statement, values) if many else driver.execute(statement, values)
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            statement, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from None


async def in_time(work: Awaitable[T], name: str) -> T:
    """Wait for what a database does, but not for ever: a server may hang without hanging up.

    Args:
        work: what is done elsewhere, in a thread; it may be done all the same, later.
        name: the database as it may be shown.

    Raises:
        JournalError: it took too long.
    """
    try:
        async with asyncio.timeout(ANSWER):
            return await work
    except TimeoutError:
        raise JournalError("the database does not answer in time", where=name, remedy="Try again") from None


@contextmanager
def faults(name: str) -> Iterator[None]:
    """Turn errors of the database into ours; theirs hold statements and values.

    Args:
        name: the database as it may be shown.

    Raises:
        ConflictError: a row breaks a constraint, or a value does not fit its column.
        JournalError: anything else that the database or its driver reports.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise translate(error, name) from None


def translate(error: BaseException, name: str) -> GalenoError:
    """Our error for one of the database's; one of ours stays as it is.

    Args:
        error: what was raised.
        name: the database as it may be shown.
    """
    if isinstance(error, GalenoError):
        return error
    if isinstance(error, IntegrityError):
        return ConflictError("what is to be written does not fit what is there", where=name)
    if isinstance(error, DataError):
        return ConflictError("a value does not fit its column", where=name)
    cause = error.orig if isinstance(error, DBAPIError) else error
    return JournalError(
        f"the database does not take or give data now ({type(cause).__name__})",
        where=name,
        remedy="Try again; if it stays so, see that the database runs, is migrated and has free space",
    )


def is_database_error(error: BaseException) -> bool:
    """Whether SQLAlchemy or a driver raised it."""
    return isinstance(error, SQLAlchemyError | sqlite3.Error)


def is_transient(error: BaseException) -> bool:
    """Whether the database itself failed, rather than what it was asked to write."""
    if isinstance(error, DBAPIError):
        content = (IntegrityError, DataError, ProgrammingError, InterfaceError, NotSupportedError)
        return error.connection_invalidated or not isinstance(error, content)
    if isinstance(error, StatementError):
        return False
    return isinstance(error, JournalError) or is_database_error(error)


def _make_file(_dialect: object, _record: object, arguments: list[Any], _options: object) -> None:
    """Make the file readable by its owner only; SQLite gives its WAL the same mode."""
    path = Path(arguments[0])
    try:
        if not path.exists():
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise JournalError(
            f"the database cannot be opened ({error.strerror})",
            where=f"sqlite:///{path}",
            remedy="See that its folder is there and may be written to",
        ) from None


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    connection.execute(_WAIT)
    deadline = time.monotonic() + _PATIENCE
    for pragma in _PRAGMAS:
        # a change of the journal's mode does not wait for its turn, and many may open a new file at once
        while not _took_turn(connection, f"PRAGMA {pragma}", deadline):
            time.sleep(0.0005)


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    driver = connection.connection.driver_connection
    if statement == "BEGIN" or driver is None:
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite's own waiting backs off up to 0.1 s, and whoever backs off is passed by: with four processes on
    # two cores the slowest hundredth of commits took 186 ms that way, and take 49 ms this way.
    deadline = time.monotonic() + _PATIENCE
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while not _took_turn(driver, statement, deadline):
            time.sleep(0.0005)
    finally:
        driver.execute(_WAIT)


def _took_turn(driver: sqlite3.Connection, statement: str, deadline: float) -> bool:
    try:
        driver.execute(statement)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
            raise
        return False
    return True


def checkpoint(engine: Engine) -> None:
    """Move SQLite's WAL into its file and empty it, so that no old bytes stay; nothing for a server."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        with suppress(sqlite3.Error):
            connection.close()
