"""Clean sounds and images that a process left behind when it was killed: no row says whose they are.

A run holds them in a folder of its ingest step until its rows are in the lake, and the service holds those of
records that come in. Both remove their folder in the end, unless they are killed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

from galeno.errors import OutputError, RunError
from galeno.governance.learned import list_runs
from galeno.storage.home import Home
from galeno.storage.lock import lock


@contextmanager
def receive(home: Home) -> Iterator[Path]:
    """Where the files of records that come in may be held in this block; it is not made here.

    Raises:
        OutputError: the home cannot be written to.
    """
    folder = home.receiving / uuid4().hex
    with _hold(folder):
        yield folder


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
    """Remove what the service left of records that came in; a request at work removes its folder itself.

    Returns:
        folders that were removed.

    Raises:
        OutputError: one cannot be removed.
    """
    folders = sorted(home.receiving.iterdir()) if home.receiving.is_dir() else []
    removed = 0
    for folder in folders:
        if folder.is_dir():
            with _hold(folder) as free:
                removed += free and _remove(folder)
    return removed


@contextmanager
def _hold(folder: Path) -> Iterator[bool]:
    """Hold a folder if nobody does, and tell so (see `storage.lock`).

    The lock is a file beside the folder, and is made before it: else there were a moment without one.
    """
    path = folder.with_suffix(".lock")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})",
            where=str(folder.parent),
            remedy="Choose a folder that you may write to",
        ) from None
    with lock(descriptor, wait=False) as free:
        try:
            yield free
        finally:
            if free:
                path.unlink(missing_ok=True)


def _remove(folder: Path) -> bool:
    rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise OutputError(
            "sounds and images that a killed process left cannot be removed",
            where=str(folder),
            remedy="Remove the folder, and repeat",
        )
    return True
