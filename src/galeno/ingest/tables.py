"""Tables in files: CSV, TSV, Parquet, JSON lines, and images in NPZ arrays.

CSV and JSON lines come as text columns, because the contract knows better than
a guess what they are; Parquet keeps its types.
"""

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from galeno.errors import SourceError
from galeno.media.arrays import read_npz

ENDINGS = (
    ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".npz",
)  # fmt: skip
"""File endings that can be read."""

_WHOLE = 2**62
BLOCKS = (8 * 2**20, 32 * 2**20, 128 * 2**20)
"""Bytes of CSV that are parsed at a time; the larger ones where a row is longer than those before."""
_BUFFER = 2**20
_LONG_ROWS = 8
"""Rows of Parquet that are read at a time where they may be long; the file does not say how long they are."""
_DELIMITERS = ",;\t|"


class _Header(NamedTuple):
    """What the header of a CSV file says."""

    names: list[str]
    delimiter: str
    lines: int
    """That it takes."""


def read_table(path: Path | str) -> pl.DataFrame:
    """Read a whole file.

    Returns:
        its rows in order; all columns String for CSV, TSV and JSON lines, own types for Parquet.

    Raises:
        SourceError: missing, empty, damaged or not a table; names the file and, where known, the line.
    """
    frames = list(iter_table(path, _WHOLE))
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")


def iter_table(path: Path | str, rows: int, size: int = _WHOLE) -> Iterator[pl.DataFrame]:
    """Read a file in parts, in bounded memory.

    Args:
        path: the file.
        rows: most rows of a part.
        size: bytes of a part, about; it has fewer rows where they are long, and one at least.

    Yields:
        frames of 1 to `rows` rows. JSON lines parts have the columns that occur in them (see `is_lines`).

    Raises:
        SourceError: as in `read_table`, when the faulty part is reached.
    """
    path = Path(path)
    ending = _ending(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise SourceError(what, where=str(path), remedy="Check the path")
    if path.stat().st_size == 0:
        _empty(path)
    read = _iter_parquet if ending == ".parquet" else _iter_lines if is_lines(path) else _iter_csv
    if ending == ".npz":
        read = _iter_arrays
    count = 0
    for frame in read(path, rows, size):
        count += frame.height
        yield frame
    if not count:
        _empty(path)


def is_lines(path: Path) -> bool:
    """Whether a file is JSON lines, of which a part may lack columns that another one has."""
    return _ending(path) in (".jsonl", ".ndjson")


def frame_of_rows(names: list[str], rows: list[tuple[Any, ...]], where: str) -> pl.DataFrame:
    """A frame of rows that a database driver gave.

    Returns:
        each column with its own type where its values are of one type, else as texts.

    Raises:
        SourceError: two columns have one name.
    """
    _check_names(names, where)
    columns = zip(*rows, strict=True)
    return pl.DataFrame([_column_of(name, list(values)) for name, values in zip(names, columns, strict=True)])


def _column_of(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 and kinds <= {bool, int, float, str, date, datetime}:
        with suppress(
            OverflowError, pl.exceptions.PolarsError
        ):  # whole numbers of more than 64 bits become texts
            return pl.Series(name, values)
    if kinds <= {int, float, Decimal}:
        return pl.Series(name, [None if value is None else float(value) for value in values], pl.Float64)
    return pl.Series(name, [None if value is None else str(value) for value in values], pl.String)


def _ending(path: Path) -> str:
    name = path.name.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return ending.removesuffix(".gz")
    raise SourceError(
        "the ending of the file is not known", where=str(path), remedy=f"Known: {', '.join(ENDINGS)}"
    )


def _empty(path: Path) -> NoReturn:
    raise SourceError(
        "holds no rows", where=str(path), remedy="Export the table again, with its header and rows"
    )


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Say what a reader's exception means. Their own messages may quote values, so they are not passed on."""
    try:
        yield
    except UnicodeDecodeError:
        _not_utf8(path)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise SourceError(
            "the compressed file is damaged or cut short", where=str(path), remedy="Copy or export it again"
        ) from None
    except csv.Error:
        raise SourceError("the header cannot be read as CSV", where=f"{path}, line 1") from None
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error.strerror or type(error).__name__})", where=str(path)
        ) from None


def _not_utf8(path: Path) -> NoReturn:
    raise SourceError(
        "is not UTF-8 text", where=str(path), remedy="Save or export it with the encoding UTF-8"
    ) from None


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]  # GzipFile is an IO[bytes] in all but name


def _iter_csv(path: Path, rows: int, size: int) -> Iterator[pl.DataFrame]:
    with _faults(path):
        yield from _slices(_csv_batches(path, _read_header(path)), rows, size)


def _read_header(path: Path) -> _Header:
    with _open(path) as stream:
        first = stream.readline(BLOCKS[0]).decode("utf-8-sig")
        delimiter = max(_DELIMITERS, key=first.count)
        follow = (line.decode("utf-8") for line in stream)
        reader = csv.reader((line for part in ([first], follow) for line in part), delimiter=delimiter)
        names = [name.strip() for name in next(reader, [])]
    if not any(names):
        raise SourceError(
            "the first line names no columns", where=f"{path}, line 1", remedy="Add a header line"
        )
    _check_names(names, f"{path}, line 1")
    return _Header(names, delimiter, reader.line_num)


def _check_names(names: list[str], where: str) -> None:
    for position, name in enumerate(names, start=1):
        if not name:
            raise SourceError(f"column {position} has no name", where=where, remedy="Name it in the header")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SourceError(
            f"column {twice[0]!r} stands {names.count(twice[0])} times",
            where=where,
            remedy="Rename or remove one",
        )


def _csv_batches(path: Path, header: _Header) -> Iterator[pl.DataFrame]:
    done = 0
    last: pl.DataFrame | None = None
    for block in BLOCKS:
        ragged: list[pa_csv.InvalidRow] = []
        before = 0
        try:
            for part in _csv_blocks(path, header, block, ragged):
                # smaller blocks gave some already; Arrow's own way to leave rows out counts empty lines too
                last = part.slice(min(done - before, part.height))
                before += part.height
                if last.height:
                    yield last
                done = max(done, before)
            break
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or block == BLOCKS[-1]:
                _explain_csv(path, error, ragged)
    if last is not None and last.height and str(last[-1, -1]).endswith("\n"):
        raise SourceError(
            "a quote is opened and never closed", where=str(path), remedy='Close it, or double it: ""'
        )


def _csv_blocks(
    path: Path, header: _Header, block: int, ragged: list[pa_csv.InvalidRow]
) -> Iterator[pl.DataFrame]:
    """The rows, a block of bytes at a time; one of another length goes to `ragged`."""

    def refuse(row: pa_csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    with _open(path) as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                block_size=block,
                column_names=header.names,
                skip_rows=header.lines,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=header.delimiter, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in header.names}, strings_can_be_null=False
            ),
        )
        for batch in reader:
            yield pl.DataFrame(pl.from_arrow(batch))


def _explain_csv(path: Path, error: pa.ArrowInvalid, ragged: list[pa_csv.InvalidRow]) -> NoReturn:
    if ragged:
        row = ragged[0]
        raise SourceError(
            f"{row.actual_columns} values where the header has {row.expected_columns} columns",
            where=f"{path}, line {row.number}",
            remedy="Quote values that hold the delimiter, or export the file again",
        ) from None
    if "UTF8" in str(error):
        _not_utf8(path)
    if "straddling" in str(error):
        raise SourceError(
            f"a row is longer than {BLOCKS[-1] >> 20} MiB, or a quote is opened and never closed",
            where=str(path),
            remedy="Close the quote; name large files and not their contents, or use Parquet or JSON lines",
        ) from None
    if "Empty CSV" in str(error):
        _empty(path)
    raise SourceError(
        "cannot be read as CSV", where=str(path), remedy="Export it again as CSV with a header"
    ) from None


def _slices(frames: Iterator[pl.DataFrame], rows: int, size: int) -> Iterator[pl.DataFrame]:
    """Join and cut frames so that each has `rows` rows, or `size` bytes; the last one perhaps fewer."""
    held: list[pl.DataFrame] = []
    height = filled = 0
    for frame in frames:
        held.append(frame)
        height += frame.height
        filled += int(frame.estimated_size())
        if height < rows and filled < size:
            continue
        joined = pl.concat(held)
        step = min(rows, max(1, height * size // max(filled, 1)))
        whole = height - height % step
        for start in range(0, whole, step):
            yield joined.slice(start, step)
        held, height = [joined.slice(whole)], height - whole
        filled = int(held[0].estimated_size())
    if height:
        yield pl.concat(held)


def _iter_parquet(path: Path, rows: int, size: int) -> Iterator[pl.DataFrame]:
    try:
        # without a buffer, a column's whole group of rows is in memory at once
        with _faults(path), pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            _check_names(file.schema_arrow.names, str(path))
            if rows >= file.metadata.num_rows and size == _WHOLE:
                yield pl.DataFrame(pl.from_arrow(file.read(use_threads=False)))
                return
            step = min(rows, _LONG_ROWS) if size < _WHOLE else rows
            batches = file.iter_batches(batch_size=step, use_threads=False)
            yield from _slices((pl.DataFrame(pl.from_arrow(batch)) for batch in batches), rows, size)
    except pa.ArrowException:
        raise SourceError(
            "is not a Parquet file, or is damaged",
            where=str(path),
            remedy="Export it again, or fix its ending",
        ) from None


def _iter_arrays(path: Path, rows: int, size: int) -> Iterator[pl.DataFrame]:
    """Images in arrays, each as the bytes of a .npy file."""
    yield from _slices(iter([read_npz(path)]), rows, size)


def _iter_lines(path: Path, rows: int, size: int) -> Iterator[pl.DataFrame]:
    held: list[dict[str, str | None]] = []
    filled = 0
    with _faults(path), _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                held.append(_parse_line(text, f"{path}, line {number}"))
                filled += len(line)
            if len(held) == rows or filled >= size:
                yield _frame_of(held)
                held, filled = [], 0
    if held:
        yield _frame_of(held)


def _parse_line(text: str, where: str) -> dict[str, str | None]:
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise SourceError(
            "is not a JSON object", where=where, remedy="Write one object of column: value a line"
        )
    return {name: _json_text(value) for name, value in row.items()}


def _json_text(value: Any) -> str | None:
    """A JSON value as the text that a CSV file would hold."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _frame_of(rows: list[dict[str, str | None]]) -> pl.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame({name: pl.Series(name, [row.get(name) for row in rows], pl.String) for name in names})
