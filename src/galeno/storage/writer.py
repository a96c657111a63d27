"""Tables out: frames appended to one CSV, Parquet or JSON lines file that appears whole or not at all."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from galeno.errors import OutputError
from galeno.storage.atomic import replacing

Write = Callable[[pl.DataFrame], None]


@contextmanager
def open_writer(path: Path) -> Iterator[Write]:
    """Write frames one after the other into a file that appears, whole, when all are in.

    Raises:
        OutputError: the ending is not known, or the folder is not there.
    """
    name = path.name.lower()
    openers = {
        ".csv": _csv,
        ".csv.gz": _csv_gz,
        ".parquet": _parquet,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
    }
    ending = next((ending for ending in openers if name.endswith(ending)), None)
    if ending is None:
        raise OutputError(
            "the ending is not known", where=str(path), remedy=f"Use one of: {', '.join(openers)}"
        )
    if not path.parent.is_dir():
        raise OutputError("no such folder", where=str(path.parent), remedy="Make it first")
    with replacing(path) as temporary, ExitStack() as stack:
        yield openers[ending](temporary, stack)


def _csv(path: Path, stack: ExitStack) -> Write:
    return _write_csv(stack.enter_context(path.open("wb")))


def _csv_gz(path: Path, stack: ExitStack) -> Write:
    stream = gzip.open(path, "wb")  # noqa: SIM115  (the stack closes it)
    stack.callback(stream.close)
    return _write_csv(stream)


def _write_csv(stream: IO[bytes] | gzip.GzipFile) -> Write:
    first = True

    def write(frame: pl.DataFrame) -> None:
        nonlocal first
        stream.write(frame.write_csv(include_header=first).encode())
        first = False

    return write


def _json_lines(path: Path, stack: ExitStack) -> Write:
    stream = stack.enter_context(path.open("wb"))

    def write(frame: pl.DataFrame) -> None:
        stream.write(frame.write_ndjson().encode())

    return write


def _parquet(path: Path, stack: ExitStack) -> Write:
    writers: list[pq.ParquetWriter] = []

    def write(frame: pl.DataFrame) -> None:
        table: pa.Table = frame.to_arrow()
        if not writers:
            writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
        writers[0].write_table(table.cast(writers[0].schema))

    return write
