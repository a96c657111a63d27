"""Contents of the lake that no row names any more: sounds and images of patients who were erased."""

import re
from collections.abc import Iterator

import polars as pl

from galeno.governance import lake_rows, run_files
from galeno.storage.contents import TABLE, Contents
from galeno.storage.home import Home
from galeno.storage.lake import Lake

_DIGEST = re.compile(r"[0-9a-f]{64}")


def drop_orphans(home: Home) -> int:
    """Remove the contents that are named by no row of the lake and by none in quarantine.

    A file that several patients' rows name stays until the last of them goes. Who keeps contents and has not
    yet appended their rows is waited for, see `Lake.hold_intake`. What an earlier removal, or a writer, that
    was cut off left of others goes as well.

    Returns:
        how many were removed.

    Raises:
        LakeError: the lake cannot be read or written.
        OutputError: a file of a run cannot be read.
    """
    lake = Lake(home.lake)
    if lake.version(TABLE) is None:
        return 0
    with lake.hold_intake():
        held = {str(key) for part in lake.scan(TABLE, ["_key"]) for key in part["_key"]}
        orphans = held - _named(home)
        Contents(lake).remove(orphans)
        # the log would name the digests; who has the file could tell by one that it was here
        lake_rows.keep_latest(home.lake, TABLE)
    return len(orphans)


def _named(home: Home) -> set[str]:
    """Digests that rows name, whatever their column is called."""
    named: set[str] = set()
    for frame in _frames(home):
        for name, dtype in frame.schema.items():
            if dtype == pl.String:
                named |= {value for value in frame[name].drop_nulls().unique() if _DIGEST.fullmatch(value)}
    return named


def _frames(home: Home) -> Iterator[pl.DataFrame]:
    for table in lake_rows.list_tables(home.lake):
        if table != TABLE:
            yield from lake_rows.read_texts(home.lake, table)
    for name, frame in run_files.read_tables(home):
        if not run_files.is_description(name):
            yield frame
