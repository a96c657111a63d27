"""The lake: Delta tables of validated records, append-only and versioned.

Delta's log makes an append whole or absent (https://github.com/delta-io/delta/blob/master/PROTOCOL.md);
a table is partitioned by batch, so that a run can say which batches it learned from.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from galeno.errors import ConflictError, LakeError
from galeno.records import BATCH, KEY
from galeno.storage.lock import lock

_TABLE = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_BATCH = re.compile(r"[A-Za-z0-9_-]+")
_TURNS = "galeno.turns"


class Lake:
    """Tables in one folder, or below one address of an object store.

    Args:
        root: the folder, made at the first append; or `s3://BUCKET/PREFIX`, reached as the usual AWS_*
            variables of the environment say.

    Raises:
        LakeError: an address of another kind.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = root
        self._options: dict[str, str] | None = None
        if isinstance(root, str) and "://" in root:
            if not re.fullmatch(r"s3a?://[^/@\s]+(/[^@\s]*)?", root):
                raise LakeError("a lake is a folder or an s3:// address", remedy="s3://BUCKET/PREFIX")
            self._options = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

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
        if frame.is_empty() and not self._holds(table, batch):
            raise LakeError(
                "there are no rows to append", where=table, remedy="See the quarantine for why none was good"
            )
        with self.hold(table):
            if not self._holds(table, batch):
                rows = frame.drop(BATCH, strict=False).with_columns(pl.lit(batch).alias(BATCH)).sort(KEY)
                with self._faults(table):
                    write_deltalake(
                        self._path(table),
                        rows,
                        mode="append",
                        partition_by=[BATCH],
                        storage_options=self._options,
                    )
            return self.version(table) or 0

    def append_next(
        self, table: str, make: Callable[[tuple[str, ...]], tuple[pl.DataFrame, str] | None]
    ) -> int | None:
        """Add the batch that comes next, while nobody else can.

        A folder is locked meanwhile. In an object store two writers may meet; then the one who commits later
        has a transaction identifier of Delta's against him, and his batch is not written.

        Args:
            table: the table. It keeps no statistics of its columns in the log, where an erased value would
                stay, and takes new columns as they come.
            make: gets the batches that the table holds; returns rows with a KEY column and the batch's name,
                or None where there is nothing to add.

        Returns:
            the version of the table that holds the batch; None where nothing was added.

        Raises:
            ConflictError: somebody else appended meanwhile.
            LakeError: the rows do not fit the table, or the table is damaged.
        """
        with self.hold(table), self._faults(table):
            delta = self._latest(table)
            there = () if delta is None else tuple(str(part[BATCH]) for part in delta.partitions())
            turn = 0 if delta is None else delta.transaction_version(_TURNS) or 0
            made = make(there)
            if made is None:
                return None
            rows = made[0].with_columns(pl.lit(made[1]).alias(BATCH)).sort(KEY)
            if delta is None:
                delta = self._create(table, rows)
            _check_types(rows, pl.Schema(delta.schema()), f"{self.root}, {table}")
            if (delta.transaction_version(_TURNS) or 0) != turn or not _take_turn(delta, rows, turn + 1):
                raise ConflictError(
                    "another process appended at the same time", where=f"{self.root}, {table}"
                )
            return self.version(table)

    @contextmanager
    def hold(self, table: str) -> Iterator[None]:
        """Keep other writers off a folder's table, also those of other processes; waits for its turn.

        Delta lets appends meet, but not an erasure, which takes away the log that an append builds upon.

        Raises:
            LakeError: the folder cannot be written to.
        """
        path = self._path(table)
        if isinstance(path, str):
            yield
            return
        with self._lock(path / "_lock", table):
            yield

    @contextmanager
    def hold_intake(self) -> Iterator[None]:
        """Keep other rows from coming in, and contents from being removed; waits for its turn.

        Who brings rows in holds it from asking who was erased until the rows are there, with the contents
        that they name. An erasure takes its turn after its tombstone: who came before it has written, and who
        comes after it leaves the patient out. It is taken before the tables' own locks, which each write
        takes for itself. An object store has no such lock.

        Raises:
            LakeError: the lake cannot be written to.
        """
        if self._options is not None:
            yield
            return
        with self._lock(Path(self.root) / "intake.lock", "intake"):
            yield

    @contextmanager
    def _lock(self, path: Path, table: str) -> Iterator[None]:
        with self._faults(table):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with lock(descriptor):
            yield

    def remove(self, table: str, column: str, values: Collection[str]) -> None:
        """Remove rows from the latest version, and the files of earlier ones.

        The table's log keeps the values as what was asked for: they are to be ids that tell nothing.

        Args:
            table: the table; nothing happens where there is none.
            column: a column of texts.
            values: rows with one of them go.

        Raises:
            LakeError: the table is damaged, or cannot be written to.
        """
        if not values or self.version(table) is None:
            return
        texts = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
        with self.hold(table), self._faults(table):
            delta = self._latest(table)
            if delta is not None:
                delta.delete(f'"{column}" IN ({texts})')
                delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    def version(self, table: str) -> int | None:
        """The latest version of a table, None where there is no such table.

        Raises:
            LakeError: the table is damaged.
        """
        with self._faults(table):
            delta = self._latest(table)
            return None if delta is None else int(delta.version())

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

    def scan(
        self, table: str, columns: Sequence[str], keys: Collection[str] | None = None, *, rows: int = 256
    ) -> Iterator[pl.DataFrame]:
        """Read some columns of the latest version in parts, in bounded memory.

        Args:
            table: the table; nothing comes where there is none.
            columns: their names, KEY among them.
            keys: only rows with one of these as KEY; None for all.
            rows: of a part at most.

        Raises:
            LakeError: the table is damaged.
        """
        with self._faults(table):
            delta = self._latest(table)
            if delta is None:
                return
            wanted = None if keys is None else pl.Series(list(keys), dtype=pl.String).implode()
            # few row groups are looked at ahead: one may hold many megabytes
            batches = delta.to_pyarrow_dataset().to_batches(
                columns=list(columns), batch_size=rows, batch_readahead=1, fragment_readahead=1
            )
            for batch in batches:
                part = pl.DataFrame(pl.from_arrow(batch))
                if wanted is not None:
                    part = part.filter(part[KEY].is_in(wanted))
                if part.height:
                    yield part

    def _latest(self, table: str) -> DeltaTable | None:
        path = self._path(table)
        if isinstance(path, Path) and not (path / "_delta_log").is_dir():
            return None
        try:
            return DeltaTable(path, storage_options=self._options)
        except TableNotFoundError:  # a folder without one commit: the first append did not end
            return None

    def _create(self, table: str, rows: pl.DataFrame) -> DeltaTable:
        """An empty table for rows like these, or the one that somebody else made meanwhile."""
        path, columns = self._path(table), rows.clear().to_arrow().schema
        with suppress(CommitFailedError):
            DeltaTable.create(
                path,
                columns,
                mode="ignore",
                partition_by=[BATCH],
                configuration={"delta.dataSkippingNumIndexedCols": "0"},
                storage_options=self._options,
            )
        return DeltaTable(path, storage_options=self._options)

    def _holds(self, table: str, batch: str) -> bool:
        version = self.version(table)
        return version is not None and batch in self.batches(table, version)

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
            try:
                return DeltaTable(self._path(table), version=version, storage_options=self._options)
            except TableNotFoundError:
                raise LakeError(
                    f"version {version} is gone: a patient was erased after it",
                    where=f"{self.root}, {table}",
                    remedy="Run the study again with --fresh",
                ) from None

    def _path(self, table: str) -> Path | str:
        if not _TABLE.fullmatch(table):
            raise LakeError(f"{table!r} is not a table name", remedy="Use letters, digits, -, _ and /")
        if self._options is not None:
            return f"{str(self.root).rstrip('/')}/{table}"
        return Path(self.root) / table

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


def _take_turn(delta: DeltaTable, rows: pl.DataFrame, turn: int) -> bool:
    """Append rows, unless somebody else appended after the table was opened."""
    mark = CommitProperties(app_transactions=[Transaction(_TURNS, turn)])
    try:
        write_deltalake(delta, rows, mode="append", schema_mode="merge", commit_properties=mark)
    except CommitFailedError:
        return False
    return True


def _check_types(rows: pl.DataFrame, held: pl.Schema, where: str) -> None:
    """Delta would turn values of another type into what the column holds, or into nothing."""
    changed = [name for name, dtype in rows.schema.items() if held.get(name, dtype) != dtype]
    if changed:
        raise LakeError(
            f"column {changed[0]!r} was of another type before",
            where=where,
            remedy="Give the column another name in the study, or move the table away",
        )
