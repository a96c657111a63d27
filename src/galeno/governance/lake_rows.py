"""A patient's rows in Delta tables: found, and removed together with the versions that held them.

A deletion in Delta writes new files and leaves the old ones, and the log keeps the smallest and greatest text
of every column (https://github.com/delta-io/delta/blob/master/PROTOCOL.md, "Per-file Statistics"). So after
the rows the old files go, and then the log up to a fresh checkpoint: earlier versions can no longer be read.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from galeno.errors import LakeError
from galeno.governance.person import ERASED, Person
from galeno.records import BATCH, KEY, PATIENT
from galeno.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Traces:
    """What a table of the lake holds of a patient.

    Attributes:
        table: its name below the lake, or its address.
        rows: the patient's rows at the latest version.
        mentions: rows of others with a text that names the patient.
        history: whether files of earlier versions, or of none, hold the patient.
        cut: whether the log describes files that are gone, as after a removal that was cut off.
    """

    table: str
    rows: pl.DataFrame
    mentions: int
    history: bool
    cut: bool

    @property
    def named(self) -> bool:
        """Whether the table names the patient."""
        return bool(self.rows.height or self.mentions or self.history)

    @property
    def any(self) -> bool:
        """Whether there is anything to remove."""
        return self.named or self.cut

    @property
    def keys(self) -> Mapping[str, frozenset[str]]:
        """Keys of the patient's rows by batch; empty for tables that are not of validated records."""
        if not {KEY, BATCH, PATIENT} <= set(self.rows.columns):
            return {}
        batches = self.rows.group_by(pl.col(BATCH).cast(pl.String)).agg(pl.col(KEY))
        return {batch: frozenset(keys) for batch, keys in batches.iter_rows()}


def list_tables(lake: Path) -> tuple[str, ...]:
    """Names of the Delta tables below a folder, sorted."""
    logs = lake.rglob("_delta_log") if lake.is_dir() else ()
    return tuple(sorted(log.parent.relative_to(lake).as_posix() for log in logs if any(log.glob("*"))))


def find_rows(lake: Path, table: str, person: Person, roles: Collection[str] = ()) -> Traces:
    """Look for a patient in a table and in what its earlier versions left; waits for who appends to it.

    Args:
        lake: folder of the tables.
        table: name below it.
        person: who is looked for.
        roles: further columns that are known to hold ids of patients or records.

    Raises:
        LakeError: the table cannot be read.
    """
    with Lake(lake).hold(table), _faults(table):
        return _find(lake / table, table, person, roles)


def remove_rows(lake: Path, table: str, person: Person, roles: Collection[str] = ()) -> int:
    """Remove a patient's rows, blank his mentions, and make earlier versions unreadable. May be repeated.

    Args:
        lake: folder of the tables.
        table: name below it.
        person: whose rows.
        roles: further columns that are known to hold ids of patients or records.

    Returns:
        the version from which on the table can be read.

    Raises:
        LakeError: the table cannot be read or written.
    """
    folder = lake / table
    with Lake(lake).hold(table), _faults(table):
        _rewrite(DeltaTable(folder), _find(folder, table, person, roles), person, roles)
        _remove_strays(folder, person, roles)
        return _forget(folder)


def keep_latest(lake: Path, table: str) -> int:
    """Remove whatever does not belong to a table's latest version, and the log of how it came about.

    Returns:
        the version from which on the table can be read.

    Raises:
        LakeError: the table cannot be read or written.
    """
    folder = lake / table
    with Lake(lake).hold(table), _faults(table):
        for file in _present(folder) - set(_active(DeltaTable(folder))):
            (folder / file).unlink(missing_ok=True)
        return _forget(folder)


def drop_unfinished(lake: Path) -> int:
    """Remove what killed writers left: half-written files, and data files of tables without one commit.

    Delta writes a file as NAME#NUMBER and then renames it. Who writes to a table is waited for.

    Returns:
        files that were removed.

    Raises:
        LakeError: a table cannot be read or written.
    """
    removed = 0
    files = (*lake.rglob("_delta_log/*"), *lake.rglob(f"{BATCH}=*/*"))
    for folder in sorted({path.parent.parent for path in files}):
        table = folder.relative_to(lake).as_posix()
        with Lake(lake).hold(table), _faults(table):
            left = set(folder.glob("_*/*#*"))
            # a damaged log is no reason: what it was of may be restored
            if not {".json", ".parquet"} & {path.suffix for path in folder.glob("_delta_log/*")}:
                left.update(folder.glob(f"{BATCH}=*/*.parquet"))
            for path in left:
                path.unlink(missing_ok=True)
            removed += len(left)
    return removed


def read_texts(lake: Path, table: str) -> Iterator[pl.DataFrame]:
    """The columns of texts of a table's latest version, file by file.

    Raises:
        LakeError: the table cannot be read.
    """
    with _faults(table):
        for file in _active(DeltaTable(lake / table)):
            path = lake / table / file
            texts = [name for name, dtype in pl.read_parquet_schema(path).items() if dtype == pl.String]
            if texts:
                yield pl.read_parquet(path, columns=texts, hive_partitioning=False, memory_map=False)


def first_version(lake: Path, table: str) -> int:
    """The earliest version that can still be read: the oldest checkpoint, unless the log goes back to 0."""
    log = lake / table / "_delta_log"
    if (log / f"{0:020d}.json").is_file():
        return 0
    return min((int(path.name[:20]) for path in log.glob("*.checkpoint*.parquet")), default=0)


def _find(folder: Path, table: str, person: Person, roles: Collection[str]) -> Traces:
    active = _active(DeltaTable(folder))
    present = _present(folder)
    frames = []
    mentions = 0
    for file in active:
        frame = _read(folder / file).with_columns(pl.lit(_batch_of(file), pl.String).alias(BATCH))
        own = person.own_rows(frame, roles)
        frames.append(frame.filter(own))
        mentions += int((person.mentions(frame) & ~own).sum())
    return Traces(
        table,
        rows=pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(),
        mentions=mentions,
        history=any(_names(folder / file, person, roles) for file in present - set(active)),
        cut=_has_lost_files(folder, present),
    )


def _rewrite(delta: DeltaTable, traces: Traces, person: Person, roles: Collection[str]) -> None:
    """Commit versions without the patient. Their commits name him, so none is made where none is needed."""
    names = ", ".join(_literal(name) for name in person.names)
    columns = [f"trim(CAST({_quoted(name)} AS VARCHAR))" for name in person.own_columns(traces.rows, roles)]
    if traces.rows.height:
        delta.delete(" OR ".join(f"{column} IN ({names})" for column in columns))
    word = _literal(person.mention)
    for name in person.text_columns(traces.rows) if traces.mentions else ():
        if name != BATCH:
            delta.update(
                predicate=f"regexp_like({_quoted(name)}, {word})",
                updates={_quoted(name): f"regexp_replace({_quoted(name)}, {word}, {_literal(ERASED)}, 'g')"},
            )


def _forget(folder: Path) -> int:
    """Remove the files of earlier versions and the log of how they came about."""
    delta = DeltaTable(folder)
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    delta = DeltaTable(folder)
    version = int(delta.version())
    delta.create_checkpoint()
    log = folder / "_delta_log"
    # The commits last and the oldest first: while one names a file that is gone, a repetition sees it.
    for path in (*log.glob("*.checkpoint*.parquet"), *sorted(log.glob("*.json"))):
        if path.name[:20].isdecimal() and int(path.name[:20]) < version:
            path.unlink(missing_ok=True)
    return version


def _remove_strays(folder: Path, person: Person, roles: Collection[str]) -> None:
    """Remove data files with the patient that belong to no version: a crash left them."""
    known = _logged(folder)
    for file in _present(folder) - known:
        path = folder / file
        if _names(path, person, roles):
            path.unlink(missing_ok=True)


def _active(delta: DeltaTable) -> list[str]:
    actions = pl.DataFrame(delta.get_add_actions())
    return [unquote(path) for path in actions["path"].to_list()] if actions.height else []


def _present(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.parquet")
        if "_delta_log" not in path.relative_to(folder).parts
    }


def _logged(folder: Path) -> set[str]:
    """Data files that the log names, as added or removed."""
    log = folder / "_delta_log"
    found: set[str] = set()
    for path in log.glob("*.json"):
        for line in path.read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            found |= {action[kind]["path"] for kind in ("add", "remove") if action.get(kind)}
    for path in log.glob("*.checkpoint*.parquet"):
        frame = pl.read_parquet(path)
        for kind in {"add", "remove"} & set(frame.columns):
            found |= set(frame[kind].struct.field("path").drop_nulls().to_list())
    return {unquote(path) for path in found}


def _has_lost_files(folder: Path, present: set[str]) -> bool:
    """Whether the log describes data files that are gone: an erasure was cut off before its end."""
    log = folder / "_delta_log"
    for path in log.glob("*.json"):
        for line in path.read_text(encoding="utf-8").splitlines():
            added = json.loads(line).get("add")
            if added and unquote(added["path"]) not in present:
                return True
    for path in log.glob("*.checkpoint*.parquet"):
        added_paths = pl.read_parquet(path, columns=["add"])["add"].struct.field("path").drop_nulls()
        if any(unquote(name) not in present for name in added_paths):
            return True
    return False


def _names(path: Path, person: Person, roles: Collection[str]) -> bool:
    frame = _read(path)
    return bool(person.own_rows(frame, roles).any() or person.mentions(frame).any())


def _read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path, hive_partitioning=False, memory_map=False)


def _batch_of(file: str) -> str | None:
    prefix = f"{BATCH}="
    return next((part.removeprefix(prefix) for part in file.split("/") if part.startswith(prefix)), None)


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _faults(table: str) -> Iterator[None]:
    """Delta's and Polars' own messages may hold values."""
    try:
        yield
    except (DeltaError, PolarsError, OSError, ValueError) as error:
        raise LakeError(
            f"the lake table cannot be read or written ({type(error).__name__})",
            where=table,
            remedy="Restore the folder from a backup, and repeat",
        ) from None
