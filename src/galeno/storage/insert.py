"""Inserts of whole rows, written once, with what is to be sealed sealed on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Table

from galeno.storage import database


class PatientKey(Protocol):
    """What seals the values of one patient."""

    @property
    def fresh(self) -> bool:
        """Whether the key was just made."""

    def seal(self, data: bytes, table: str, column: str, row_id: str) -> bytes:
        """Encrypt a value for its place; it opens nowhere else."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value that is to be encrypted under the change's patient key."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Insert:
    """An insert of whole rows, written once.

    SQLite takes the rows one after the other. PostgreSQL takes them in a single statement as one array a
    column, binary, for half the work of the driver's pipeline of single rows.
    """

    table: str
    statement: str
    columns: tuple[str, ...]
    names: frozenset[str]
    key: str
    kinds: tuple[type, ...] | None
    """Types of the columns where they go as arrays, which must not mix a type with its subclasses."""

    @classmethod
    def of(cls, table: Table, connection: Connection, suffix: str = "") -> "Insert":
        dialect = connection.dialect
        quote = dialect.identifier_preparer.quote
        columns = tuple(column.name for column in table.columns)
        kinds = None
        values = f"VALUES ({', '.join('?' * len(columns))})"
        if dialect.name == "postgresql":
            kinds = tuple(column.type.python_type for column in table.columns)
            types = (column.type.compile(dialect) for column in table.columns)
            values = f"SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in types)})"  # noqa: S608
        statement = f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, columns))}) {values}{suffix}"
        key = next(iter(table.primary_key.columns)).name
        return cls(table.name, statement, columns, frozenset(columns), key, kinds)

    def row(self, values: Mapping[str, Any], key: PatientKey | None) -> tuple[Any, ...]:
        """The row in the order of the columns, with what is to be sealed sealed."""
        if not values.keys() <= self.names:
            raise ValueError(f"{self.table} has no column {sorted(values.keys() - self.names)[0]}")
        row = [values.get(column) for column in self.columns]
        for place, value in enumerate(row):
            if isinstance(value, Sealed):
                if key is None:
                    raise ValueError(f"{self.table}.{self.columns[place]} is to be sealed for no patient")
                row[place] = key.seal(value.data, self.table, self.columns[place], values[self.key])
        return tuple(row)

    def execute(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows, all of them or none."""
        if self.kinds is None:
            database.execute(connection, self.statement, rows, many=True)
            return
        arrays = zip(self.kinds, zip(*rows, strict=True), strict=True)
        columns = ([None if value is None else kind(value) for value in array] for kind, array in arrays)
        connection.exec_driver_sql(self.statement, tuple(columns))
