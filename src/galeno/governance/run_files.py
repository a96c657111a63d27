"""A patient's rows in the files of runs and in quarantine.

The study's model is in sealed packages that hold no single patient's values; what a run kept on its way there
does: rows in quarantine, keys of rows by side, and arrays with a line for each row.
"""

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from galeno.errors import OutputError, RunError
from galeno.governance.lake_rows import Traces, first_version, list_tables
from galeno.governance.learned import list_runs, touched_keys
from galeno.governance.person import Person
from galeno.records import KEY
from galeno.storage.atomic import replacing
from galeno.storage.home import Home
from galeno.storage.lake import Lake
from galeno.storage.runs import RunFolder


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
    for name, frame in _read_tables(home):
        found = person.own_rows(frame, roles) | person.mentions(frame)
        if found.any():
            counts[name] = int(found.sum())
    return counts


def find_rows(home: Home, person: Person, roles: Collection[str]) -> dict[str, pl.DataFrame]:
    """The patient's rows in those files, by relative path.

    Raises:
        OutputError: a file cannot be read.
    """
    found = {name: frame.filter(person.own_rows(frame, roles)) for name, frame in _read_tables(home)}
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


def clean_runs(home: Home, traces: Mapping[str, Traces]) -> int:
    """Remove what runs kept of each of the patient's rows, while the lake still tells which they are.

    A run that did not end starts again from its beginning. One that did keeps its sides without the rows, and
    loses the arrays by row that nothing reads any more.

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


def _start_over(run: RunFolder) -> None:
    """Forget all steps of a run; the results first, so that a crash leaves no step that seems done."""
    for result in sorted(run.root.glob("steps/*.json")):
        result.unlink()
    for folder in run.root.iterdir():
        if folder.is_dir() and folder.name != "steps":
            shutil.rmtree(folder)


def _read_tables(home: Home) -> Iterator[tuple[str, pl.DataFrame]]:
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
