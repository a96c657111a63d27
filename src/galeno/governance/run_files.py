"""A patient's rows in the files of runs and in quarantine.

The study's model is in sealed packages that hold no single patient's values; what a run kept on its way there
does: rows in quarantine, keys of rows by side, and arrays with a line for each row.
"""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from galeno.errors import OutputError, RunError
from galeno.governance.lake_rows import Traces, first_version, list_tables
from galeno.governance.learned import list_runs, touched_keys
from galeno.governance.person import Person
from galeno.records import KEY, ROW
from galeno.storage.atomic import read_json, replacing, write_json
from galeno.storage.home import Home
from galeno.storage.lake import Lake
from galeno.storage.runs import REPORT, RunFolder

DESCRIBED = "described-*.parquet"
"""Files of a run's ingest step with a value and its description a line."""
FAULTY = "files.json"
"""File of a run's ingest step with the files that could not be taken."""


@contextmanager
def hold_runs(home: Home) -> Iterator[None]:
    """Keep all runs of a home from going on.

    Raises:
        RunError: a process is at work on one of them.
    """
    with ExitStack() as stack:
        for run in list_runs(home):
            try:
                stack.enter_context(run.hold())
            except RunError as error:
                raise RunError(
                    error.what,
                    where=error.where,
                    remedy="The patient's key and journal are erased already. Wait for the run to end, then "
                    "repeat the command: it removes the plain copies",
                ) from None
        yield


def id_columns(home: Home) -> frozenset[str]:
    """Columns that the studies of a home's runs declare as patient or record."""
    roles = (run.facts["study"]["records"] for run in list_runs(home))
    return frozenset(role[key] for role in roles for key in ("patient", "record") if role.get(key))


def count_rows(home: Home, person: Person, roles: Collection[str]) -> dict[str, int]:
    """Rows of Parquet files of runs and quarantine that are the patient's or name him, by relative path.

    Raises:
        OutputError: a file cannot be read.
    """
    counts = {}
    for name, frame in read_tables(home):
        found = person.own_rows(frame, roles) | person.mentions(frame)
        if found.any():
            counts[name] = int(found.sum())
    return counts


def find_rows(home: Home, person: Person, roles: Collection[str]) -> dict[str, pl.DataFrame]:
    """The patient's rows in those files, by relative path.

    Raises:
        OutputError: a file cannot be read.
    """
    found = {name: frame.filter(person.own_rows(frame, roles)) for name, frame in read_tables(home)}
    return {name: frame for name, frame in found.items() if frame.height}


def remove_rows(home: Home, person: Person, roles: Collection[str]) -> None:
    """Remove the patient's rows from those files, and his name from other rows.

    Raises:
        OutputError: a file cannot be read or written.
    """
    for name in count_rows(home, person, roles):
        path = home.root / name
        frame = _read(path)
        kept = person.without_mentions(frame.filter(~person.own_rows(frame, roles)))
        with replacing(path, mode=path.stat().st_mode & 0o777) as temporary:
            kept.write_parquet(temporary)


def is_description(name: str) -> bool:
    """Whether a file holds descriptions of sounds, images or texts, by its path."""
    return fnmatch(name.rpartition("/")[2], DESCRIBED)


def forget_names(home: Home, person: Person, roles: Collection[str], traces: Mapping[str, Traces]) -> int:
    """Take the patient's files out of the runs' lists of files that could not be taken.

    Args:
        home: with its runs.
        person: whose files.
        roles: further columns that hold ids.
        traces: what each table of the lake holds of the patient, before it is removed.

    Returns:
        entries that were removed.

    Raises:
        OutputError: a file cannot be read or written.
    """
    named = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(n)}(?![0-9A-Za-z])" for n in person.names))
    removed = 0
    for run in list_runs(home):
        path = run.root / "ingest" / FAULTY
        if not path.is_file():
            continue
        rows = _rows_of(run, person, roles, traces)
        told = _read_list(path)
        kept = [
            each
            for each in told
            if each.get("row") not in rows and not (person.telling and named.search(str(each.get("file"))))
        ]
        if len(kept) < len(told):
            write_json(path, kept)
            removed += len(told) - len(kept)
    return removed


def clean_runs(home: Home, traces: Mapping[str, Traces]) -> int:
    """Remove what runs kept of each of the patient's rows, while the lake still tells which they are.

    A run that did not end starts again from its beginning. One that did keeps its sides without the rows, and
    loses the arrays by row that nothing reads any more, and its report where that may show patients' files.

    Returns:
        how many runs held the patient.
    """
    touched = 0
    for run in list_runs(home):
        keys = touched_keys(run, traces)
        if not keys:
            continue
        touched += 1
        if run.result("register") is None:
            _start_over(run)
            continue
        for path in (*run.root.glob("learn/*.npy"), run.root / "learn" / "out-of-fold.parquet"):
            path.unlink(missing_ok=True)
        _clean_described(run, keys, traces, home)
        if run.facts["study"]["privacy"].get("examples_in_report"):
            (run.root / "package" / REPORT).unlink(missing_ok=True)
        sides = run.root / "split" / "sides.parquet"
        if sides.is_file():
            kept = _read(sides).filter(~pl.col(KEY).is_in(list(keys)))
            with replacing(sides, mode=sides.stat().st_mode & 0o777) as temporary:
                kept.write_parquet(temporary)
    return touched


def move_pins(home: Home) -> int:
    """Point runs whose version of the lake is gone to the latest one: the same batches, without the patient.

    Returns:
        how many runs were pointed elsewhere.
    """
    lake = Lake(home.lake)
    first = {table: first_version(home.lake, table) for table in list_tables(home.lake)}
    moved = 0
    for run in list_runs(home):
        ingested = run.result("ingest")
        if ingested is not None and ingested["version"] < first.get(ingested["table"], 0):
            run.finish("ingest", {**ingested, "version": lake.version(ingested["table"])})
            moved += 1
    return moved


def _clean_described(run: RunFolder, keys: Collection[str], traces: Mapping[str, Traces], home: Home) -> None:
    """Remove the descriptions of what the patient's rows alone hold."""
    table = (run.result("ingest") or {})["table"]
    own = traces[table].rows
    for path in run.root.glob(f"ingest/{DESCRIBED}"):
        frame = _read(path)
        name = frame.columns[0]
        if name not in own.columns:
            continue
        parts = Lake(home.lake).scan(table, [KEY, name])
        others = {value for part in parts for key, value in part.iter_rows() if key not in keys}
        gone = set(own[name].drop_nulls().to_list()) - others
        kept = frame.filter(~pl.col(name).is_in(list(gone)))
        if kept.height < frame.height:
            with replacing(path, mode=path.stat().st_mode & 0o777) as temporary:
                kept.write_parquet(temporary)


def _rows_of(
    run: RunFolder, person: Person, roles: Collection[str], traces: Mapping[str, Traces]
) -> frozenset[int]:
    """Row numbers of the patient in a run's source."""
    rows: set[int] = set()
    quarantined = run.root / "ingest" / "quarantine.parquet"
    if quarantined.is_file():
        frame = _read(quarantined)
        rows |= set(frame.filter(person.own_rows(frame, roles))[ROW].to_list())
    keys, ingested = touched_keys(run, traces), run.result("ingest")
    if keys and ingested is not None:
        own = traces[ingested["table"]].rows
        rows |= set(own.filter(pl.col(KEY).is_in(list(keys)))[ROW].to_list())
    return frozenset(rows)


def _read_list(path: Path) -> list[dict[str, Any]]:
    try:
        told = read_json(path)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="Remove the file where it is of no use, and repeat",
        ) from None
    return told if isinstance(told, list) else []


def _start_over(run: RunFolder) -> None:
    """Forget all steps of a run; the results first, so that a crash leaves no step that seems done."""
    for result in sorted(run.root.glob("steps/*.json")):
        result.unlink()
    for folder in run.root.iterdir():
        if folder.is_dir() and folder.name != "steps":
            shutil.rmtree(folder)


def read_tables(home: Home) -> Iterator[tuple[str, pl.DataFrame]]:
    """Parquet files of runs and quarantine, by relative path."""
    for folder in (home.runs, home.quarantine):
        for path in sorted(folder.rglob("*.parquet")) if folder.is_dir() else ():
            if path.is_file():
                yield path.relative_to(home.root).as_posix(), _read(path)


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, hive_partitioning=False, memory_map=False)
    except (OSError, PolarsError) as error:
        raise OutputError(
            f"cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="Remove the file where it is of no use, and repeat",
        ) from None
