"""Databases without the bytes of what was deleted from them.

SQLite zeroes what is deleted (`secure_delete`), but copies stay in its WAL and where pages were rearranged; a
VACUUM writes the file anew (https://www.sqlite.org/pragma.html#pragma_secure_delete). PostgreSQL keeps
deleted rows until a VACUUM, and in its own WAL for as long as the server is told to.
"""

import sqlite3
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from galeno.storage import database, schema
from galeno.storage.journal import Journal
from galeno.storage.vault import Vault

_PATIENCE = 10.0


def compact(journal: Journal, vault: Vault) -> tuple[str, ...]:
    """Write journal and vault anew, without what was deleted. Writers wait meanwhile.

    Returns:
        names of the databases that others kept too busy for that: their deleted bytes are still there, and
        go when this is repeated. What was sealed in them cannot be opened any more.

    Raises:
        JournalError: a database does not answer.
    """
    busy = []
    for engine, name in ((journal.engine, journal.name), (vault.engine, vault.name)):
        with database.faults(name):
            if engine.dialect.name == "postgresql":
                _vacuum_tables(engine)
            elif not _rewrite(engine):
                busy.append(name)
    return tuple(busy)


def _vacuum_tables(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        there = set(connection.exec_driver_sql("SELECT tablename FROM pg_tables").scalars())
        for table in sorted({*schema.metadata.tables, "keys"} & there):
            connection.exec_driver_sql(f'VACUUM "{table}"')


def _rewrite(engine: Engine) -> bool:
    """VACUUM an SQLite file and empty its WAL; False where others are at work on it all the time."""
    connection = engine.raw_connection()
    deadline = time.monotonic() + _PATIENCE
    try:
        cursor = connection.cursor()
        # A copy of the file in memory could be too much for the machine.
        cursor.execute("PRAGMA temp_store = FILE")
        try:
            while True:
                if _try_rewrite(cursor):
                    return True
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)
        finally:
            cursor.execute("PRAGMA temp_store = MEMORY")
    finally:
        with suppress(sqlite3.Error):
            connection.close()


def _try_rewrite(cursor: Any) -> bool:
    try:
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    return not busy
