"""Records from a database, by a query."""

import os
import re
from collections.abc import Mapping

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from galeno.errors import SourceError
from galeno.ingest.tables import frame_of_rows
from galeno.study import Sql

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_COMMENT = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.DOTALL)
_PART = 10_000


def read_query(sql: Sql, environment: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Read the rows of a query.

    Args:
        sql: URL and query; `${NAME}` in the URL is taken from the environment.
        environment: None takes the process's.

    Returns:
        its rows in order, as texts or with the types that the driver gives where they are of one type.

    Raises:
        SourceError: the query does not read, a variable is not set, the driver is not installed, or the
            database refuses; passwords and the database's own messages, which may quote values, are left out.
    """
    where = sql_name(sql)
    if not re.match(r"(?i)(select|with)\b", _COMMENT.sub("", sql.query)):
        raise SourceError(
            "the query does not start with SELECT or WITH", where=where, remedy="Write one SELECT statement"
        )
    engine = _engine(sql, os.environ if environment is None else environment, where)
    try:
        with engine.connect() as connection:
            _forbid_writing(connection)
            result = connection.execution_options(yield_per=_PART).execute(sa.text(sql.query))
            names = list(result.keys())
            rows = [tuple(row) for part in result.partitions() for row in part]
            connection.rollback()
    except SQLAlchemyError as error:
        cause = type(getattr(error, "orig", None) or error).__name__
        raise SourceError(
            f"the database refused the query ({cause})",
            where=where,
            remedy="Try the query in a database client with the same URL",
        ) from None
    finally:
        engine.dispose()
    if not rows:
        raise SourceError("the query returns no rows", where=where, remedy="Check its conditions")
    return frame_of_rows(names, rows, where)


def sql_name(sql: Sql) -> str:
    """A name for reports and messages, without user, password or parameters."""
    match = re.match(r"(?P<driver>[\w+]+)://(?:[^@/]*@)?(?P<place>[^?]*)", sql.url)
    return f"sql {match['driver']}://{match['place']}" if match else "sql"


def _forbid_writing(connection: sa.Connection) -> None:
    """A query may write behind a WITH or inside a function; the database itself forbids it, where it can."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    elif dialect == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    elif dialect in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _engine(sql: Sql, environment: Mapping[str, str], where: str) -> sa.Engine:
    unset = [name for name in _VARIABLE.findall(sql.url) if name not in environment]
    if unset:
        raise SourceError(
            f"the environment does not set {unset[0]}", where=where, remedy=f"export {unset[0]}=..."
        )
    url = _VARIABLE.sub(lambda match: environment[match[1]], sql.url)
    try:
        return sa.create_engine(url)
    except (NoSuchModuleError, ImportError):
        raise SourceError(
            "the driver of the database is not installed",
            where=where,
            remedy="For PostgreSQL: pip install 'galeno[postgresql]' and a URL that starts with postgresql+psycopg://",
        ) from None
    except (ArgumentError, ValueError):
        raise SourceError(
            "records.source.url is not an SQLAlchemy URL",
            where=where,
            remedy="dialect://user:password@host/database",
        ) from None
