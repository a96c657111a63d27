"""Tables out: frames appended to CSV, Parquet or JSON lines files that appear whole or not at all."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from galeno.errors import OutputError
from galeno.storage.atomic import replacing

Write = Callable[[pl.DataFrame], None]

_Opener = Callable[[Path, ExitStack], Write]


@contextmanager
def open_writer(path: Path) -> Iterator[Write]:
    """Write frames one after the other into a file that appears, whole, when all are in.

    Raises:
        OutputError: the ending is not known, the folder is not there, or the disk does not take it.
    """
    with open_writers(path) as (write,):
        yield write


@contextmanager
def open_writers(*paths: Path) -> Iterator[tuple[Write, ...]]:
    """Write several files that belong together: none appears before all are written to their ends.

    They appear one right after the other, the first one last: where it is, the others are.

    Raises:
        OutputError: as `open_writer` does, or two of them are the same file.
    """
    openers = [_opener(path) for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise OutputError("two outputs are one file", where=str(paths[0]), remedy="Name another file")
    with ExitStack() as places:
        temporaries = []
        for path in paths:
            places.enter_context(_faults(path))
            temporaries.append(places.enter_context(replacing(path)))
        with ExitStack() as stack:
            writes = []
            for path, opener, temporary in zip(paths, openers, temporaries, strict=True):
                stack.enter_context(_faults(path))
                writes.append(_told(path, opener(temporary, stack)))
            yield tuple(writes)


def _told(path: Path, write: Write) -> Write:
    """The same, whose faults name the file."""

    def write_told(frame: pl.DataFrame) -> None:
        with _faults(path):
            write(frame)

    return write_told


def _opener(path: Path) -> _Opener:
    name = path.name.lower()
    openers: dict[str, _Opener] = {
        ".csv": _csv,
        ".csv.gz": partial(_csv, zipped=True),
        ".parquet": _parquet,
        ".jsonl": _json_lines,
        ".jsonl.gz": partial(_json_lines, zipped=True),
        ".ndjson": _json_lines,
        ".ndjson.gz": partial(_json_lines, zipped=True),
    }
    ending = next((ending for ending in openers if name.endswith(ending)), None)
    if ending is None:
        raise OutputError(
            "the ending is not known", where=str(path), remedy=f"Use one of: {', '.join(openers)}"
        )
    if not path.parent.is_dir():
        raise OutputError("no such folder", where=str(path.parent), remedy="Make it first")
    return openers[ending]


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or type(error).__name__})",
            where=str(path),
            remedy="Choose another place",
        ) from None


def _csv(path: Path, stack: ExitStack, *, zipped: bool = False) -> Write:
    stream = _open(path, stack, zipped=zipped)
    first = True

    def write(frame: pl.DataFrame) -> None:
        nonlocal first
        stream.write(frame.write_csv(include_header=first).encode())
        first = False

    return write


def _json_lines(path: Path, stack: ExitStack, *, zipped: bool = False) -> Write:
    stream = _open(path, stack, zipped=zipped)

    def write(frame: pl.DataFrame) -> None:
        stream.write(frame.write_ndjson().encode())

    return write


def _open(path: Path, stack: ExitStack, *, zipped: bool) -> IO[bytes] | gzip.GzipFile:
    stream = stack.enter_context(path.open("wb"))
    # without name and time in the gzip header, the same answers are the same bytes
    return stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0)) if zipped else stream


def _parquet(path: Path, stack: ExitStack) -> Write:
    writers: list[pq.ParquetWriter] = []

    def write(frame: pl.DataFrame) -> None:
        table: pa.Table = frame.to_arrow()
        if not writers:
            writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
        writers[0].write_table(table.cast(writers[0].schema))

    return write
