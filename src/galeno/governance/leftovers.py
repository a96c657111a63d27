"""Clean sounds and images that a process left behind when it was killed: no row says whose they are.

A run holds them in a folder of its ingest step until its rows are in the lake, and the service holds those of
records that come in. Both remove their folder in the end, unless they are killed.
"""

import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from galeno.errors import OutputError, RunError
from galeno.governance.learned import list_runs
from galeno.storage.home import Home

STALE = 3600.0
"""Seconds without a new file after which nobody is at work in a folder of the service."""


def drop_gathered(home: Home, *, held: bool) -> int:
    """Remove what runs left of the files that they read.

    Args:
        home: with its runs.
        held: whether the caller holds all runs; else each is held here, and those at work are passed over.

    Returns:
        folders that were removed.

    Raises:
        OutputError: one cannot be removed.
    """
    removed = 0
    for run in list_runs(home):
        folder = run.root / "ingest" / "files"
        if not folder.is_dir():
            continue
        if held:
            removed += _remove(folder)
            continue
        with suppress(RunError), run.hold():
            removed += _remove(folder)
    return removed


def drop_received(home: Home) -> int:
    """Remove what the service left of records that came in; a folder younger than STALE may be in use.

    Returns:
        folders that were removed.

    Raises:
        OutputError: one cannot be removed.
    """
    before = time.time() - STALE
    folders = sorted(home.receiving.iterdir()) if home.receiving.is_dir() else []
    return sum(_remove(folder) for folder in folders if _changed(folder) < before)


def _changed(folder: Path) -> float:
    """Seconds since 1970 of the last file that came into a folder; now where it is gone."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _remove(folder: Path) -> bool:
    rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise OutputError(
            "sounds and images that a killed process left cannot be removed",
            where=str(folder),
            remedy="Remove the folder, and repeat",
        )
    return True
