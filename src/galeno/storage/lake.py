"""The lake: Delta tables of validated records, append-only and versioned.

Delta's log makes an append whole or absent (https://github.com/delta-io/delta/blob/master/PROTOCOL.md);
a table is partitioned by batch, so that a run can say which batches it learned from.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from galeno.errors import LakeError
from galeno.records import BATCH, KEY

_TABLE = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_BATCH = re.compile(r"[A-Za-z0-9_-]+")


class Lake:
    """Tables in one folder.

    Args:
        root: the folder; made at the first append.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def append(self, table: str, frame: pl.DataFrame, batch: str) -> int:
        """Add a batch of rows, unless that batch is there already.

        Args:
            table: such as `study/contractdigest`.
            frame: rows with a KEY column; the BATCH column is written here.
            batch: digest of what the batch was made from.

        Returns:
            the version of the table that holds the batch.

        Raises:
            LakeError: the frame is empty or does not fit the table, or the table is damaged.
        """
        if not _BATCH.fullmatch(batch):
            raise LakeError("a batch is named with letters, digits, - and _", where=table)
        current = self.version(table)
        if current is not None and batch in self.batches(table, current):
            return current
        if frame.is_empty():
            raise LakeError(
                "there are no rows to append", where=table, remedy="See the quarantine for why none was good"
            )
        path = self._path(table)
        rows = frame.drop(BATCH, strict=False).with_columns(pl.lit(batch).alias(BATCH)).sort(KEY)
        with self._faults(table):
            path.mkdir(parents=True, exist_ok=True)
            write_deltalake(path, rows, mode="append", partition_by=[BATCH])
            return int(DeltaTable(path).version())

    def version(self, table: str) -> int | None:
        """The latest version of a table, None where there is no such table.

        Raises:
            LakeError: the table is damaged.
        """
        path = self._path(table)
        if not (path / "_delta_log").is_dir():
            return None
        with self._faults(table):
            try:
                return int(DeltaTable(path).version())
            except TableNotFoundError:  # a folder without one commit: the first append did not end
                return None

    def batches(self, table: str, version: int) -> tuple[str, ...]:
        """The batches that a version holds, sorted.

        Raises:
            LakeError: no such table or version.
        """
        with self._faults(table):
            return tuple(sorted({str(part[BATCH]) for part in self._open(table, version).partitions()}))

    def read(self, table: str, version: int, batches: Collection[str] | None = None) -> pl.DataFrame:
        """Read the rows of a version.

        Args:
            table: the table.
            version: the version.
            batches: only these; None for all.

        Returns:
            the rows sorted by KEY (then BATCH), columns as they were appended and BATCH last.

        Raises:
            LakeError: no such table, version or batch, or the files are damaged.
        """
        delta = self._open(table, version)
        absent = set(batches or ()) - set(self.batches(table, version))
        if absent:
            raise LakeError(f"batch {min(absent)} is not in version {version}", where=table)
        with self._faults(table):
            filters = None if batches is None else [(BATCH, "in", sorted(batches))]
            arrow = delta.to_pyarrow_table(filters=filters)
        names = [name for name in arrow.column_names if name != BATCH]
        frame = pl.DataFrame(pl.from_arrow(arrow)).select(*names, pl.col(BATCH).cast(pl.String))
        return frame.sort(KEY, BATCH)

    def _open(self, table: str, version: int) -> DeltaTable:
        latest = self.version(table)
        if latest is None:
            raise LakeError(
                "no such table in the lake",
                where=f"{self.root}, {table}",
                remedy="Run the study, or check --home",
            )
        if not 0 <= version <= latest:
            raise LakeError(f"no version {version}; the latest is {latest}", where=f"{self.root}, {table}")
        with self._faults(table):
            return DeltaTable(self._path(table), version=version)

    def _path(self, table: str) -> Path:
        if not _TABLE.fullmatch(table):
            raise LakeError(f"{table!r} is not a table name", remedy="Use letters, digits, -, _ and /")
        return self.root / table

    @contextmanager
    def _faults(self, table: str) -> Iterator[None]:
        """Delta's own messages name files and may name values; the type of the fault is enough here."""
        try:
            yield
        except TableNotFoundError:
            raise
        except (DeltaError, OSError, ValueError) as error:
            raise LakeError(
                f"the lake table cannot be read or written ({type(error).__name__})",
                where=f"{self.root}, {table}",
                remedy="Restore the folder from a backup, or remove it and run again from the source",
            ) from None
