"""What still names a patient: a look into every file of a home, at the end of an erasure.

Files are read as bytes; Parquet is compressed, so its texts are read as a table.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from galeno.errors import OutputError
from galeno.governance.person import Person

_BLOCK = 1 << 20
_TEXTS = frozenset({".json", ".yaml", ".yml", ".csv", ".jsonl", ".ndjson", ".html", ".md", ".txt"})


def find_remains(root: Path, person: Person) -> tuple[str, ...]:
    """Files that hold the patient's id, sorted.

    Args:
        root: the home.
        person: who is looked for; an id that is too short to tell is looked for in Parquet's patient columns
            alone.

    Returns:
        paths relative to the root, also of files that could not be read, which may hold it.

    Raises:
        OutputError: a folder cannot be listed.
    """
    return tuple(sorted(path.relative_to(root).as_posix() for path in _files(root) if _holds(path, person)))


def _files(root: Path) -> Iterator[Path]:
    try:
        for path in root.rglob("*"):
            if path.is_file():
                yield path
    except OSError as error:
        raise OutputError(f"a folder cannot be listed ({error.strerror})", where=str(root)) from None


def _holds(path: Path, person: Person) -> bool:
    try:
        if path.suffix == ".parquet" and _holds_table(path, person):
            return True
        return person.telling and _holds_bytes(path, person)
    except FileNotFoundError:  # gone since the folder was listed: a temporary file of a service at work
        return False
    except OSError:
        return True


def _holds_table(path: Path, person: Person) -> bool:
    try:
        # sounds and images name nobody, and may be large
        columns = [name for name, dtype in pl.read_parquet_schema(path).items() if dtype != pl.Binary]
        frame = pl.read_parquet(path, columns=columns, hive_partitioning=False)
    except PolarsError:  # not Parquet after all; its bytes are looked at anyway
        return False
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    if nested:
        written = frame.select(pl.struct(nested).struct.json_encode().alias("written"))
        if person.mentions(written).any():
            return True
    return bool(person.own_rows(frame).any() or person.mentions(frame).any())


def _holds_bytes(path: Path, person: Person) -> bool:
    pattern = re.compile(b"|".join(map(re.escape, person.needles)))
    if path.suffix in _TEXTS:  # a longer id of another patient is not this one
        pattern = re.compile(rb"(?<![0-9A-Za-z])(?:" + pattern.pattern + rb")(?![0-9A-Za-z])")
    overlap = max(map(len, person.needles)) + 1
    tail = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if pattern.search(tail + block):
                return True
            tail = (tail + block)[-overlap:]
    return False
