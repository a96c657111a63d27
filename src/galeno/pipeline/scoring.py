"""A model over files: diagnose every record, or judge the model on labelled ones, in bounded memory."""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galeno.errors import OutputError, SourceError
from galeno.evaluation.fairness import group_labels
from galeno.evaluation.judge import judge
from galeno.ingest.tables import iter_table
from galeno.model.model import Model
from galeno.pipeline.context import label_indices
from galeno.progress import Reporter, Silent
from galeno.records import Labels, Probabilities
from galeno.storage.atomic import replacing

BATCH = 50_000
"""Rows held in memory at a time."""

Write = Callable[[pl.DataFrame], None]


def predict_file(model: Model, source: Path, output: Path, *, reporter: Reporter | None = None) -> int:
    """Diagnose every record of a file.

    Args:
        model: the model that answers.
        source: CSV(.gz), Parquet or JSON lines.
        output: CSV(.gz), Parquet or JSON lines; appears whole or not at all.
        reporter: told the number of rows done.

    Returns:
        Number of records, all of which are in the output, in their order.

    Raises:
        SourceError: the file cannot be read, or lacks columns that the model needs.
        OutputError: the ending of the output is not known, or it cannot be written.
    """
    watcher = reporter or Silent()
    done = 0
    with _writer(output) as write:
        for raw in _batches(model, source):
            write(_identifiers(model, raw, done).hstack(model.answer_frame(raw)))
            done += raw.height
            watcher.rows(done)
    return done


def evaluate_file(model: Model, source: Path) -> dict[str, Any]:
    """Judge a model on a file with the confirmed conditions.

    Returns:
        The figures, in the shape of `galeno evaluate --json`. Rows without a target are left out and
        counted as `unlabelled`; rows with a label that is no class of the package are misses, and listed.

    Raises:
        SourceError: the file cannot be read, or lacks the target or columns that the model needs.
    """
    study = model.study
    labels: list[Labels] = []
    probabilities: list[Probabilities] = []
    patients: list[NDArray[np.str_]] = []
    groups: list[dict[str, NDArray[np.str_]]] = []
    unknown: Counter[str] = Counter()
    rows = unlabelled = 0
    for raw in _batches(model, source):
        if study.records.target not in raw.columns:
            raise SourceError(
                f"no column {study.records.target!r}, the target of the study",
                where=str(source),
                remedy="Evaluation needs the confirmed conditions; without them use galeno predict",
            )
        raw_labels = model.contract.raw_targets(raw)
        known = raw_labels.is_not_null()
        kept = raw.filter(known)
        unlabelled += raw.height - kept.height
        numbers = np.arange(rows, rows + raw.height)[known.to_numpy()]
        rows += raw.height
        names = model.contract.targets(kept)
        indices = label_indices(names, model.classes)
        unknown.update(raw_labels.filter(known).filter(pl.Series(indices < 0)).to_list())
        typed, _ = model.contract.answer(kept)
        labels.append(indices)
        probabilities.append(model.probabilities(typed))
        patients.append(_patients(model, kept, numbers))
        groups.append(group_labels(typed, study))
    if sum(len(part) for part in labels) == 0:
        raise SourceError("no row has a target", where=str(source), remedy="Add the confirmed conditions")
    merged = np.concatenate(probabilities)
    evaluation = judge(
        np.concatenate(labels),
        merged,
        model.decision.answers(merged),
        model.conformal.contains(merged),
        model.classes,
        patients=np.concatenate(patients),
        groups={name: np.concatenate([part[name] for part in groups]) for name in groups[0]},
        judging=study.evaluation,
        seed=study.seed,
        unknown=dict(unknown),
    )
    return {**evaluation.to_dict(), "unlabelled": unlabelled, "package_sha256": model.package_sha256}


def _batches(model: Model, source: Path) -> Iterator[pl.DataFrame]:
    """The file in batches; a table whose header lacks columns is the wrong table and is refused."""
    for raw in iter_table(source, BATCH):
        missing = model.contract.missing_columns(raw)
        if missing and not source.name.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
            listed = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            raise SourceError(
                f"columns that the model needs are not there: {listed}",
                where=str(source),
                remedy="Add them; leave cells empty where a value is not known",
            )
        yield raw


def _identifiers(model: Model, raw: pl.DataFrame, before: int) -> pl.DataFrame:
    """Row number, and the record and patient ids where the file has them."""
    roles = (model.study.records.record, model.study.records.patient)
    ids = [raw[name] for name in dict.fromkeys(roles) if name is not None and name in raw.columns]
    number = pl.Series("row", np.arange(before + 1, before + raw.height + 1))
    return pl.DataFrame([number, *ids])


def _patients(model: Model, raw: pl.DataFrame, numbers: NDArray[np.int64]) -> NDArray[np.str_]:
    """The patient of each row; a row without one is a patient of its own."""
    name = model.study.records.patient
    own = [f"row {number}" for number in numbers]
    if name is None or name not in raw.columns:
        return np.array(own, dtype=np.str_)
    ids = raw[name].cast(pl.String).to_list()
    return np.array([f"id {known}" if known else row for known, row in zip(ids, own, strict=True)], dtype=np.str_)


@contextmanager
def _writer(path: Path) -> Iterator[Write]:
    """Write frames one after the other into a file that appears when all are in."""
    name = path.name.lower()
    openers = {".csv": _csv, ".csv.gz": _csv_gz, ".parquet": _parquet, ".jsonl": _json_lines, ".ndjson": _json_lines}
    ending = next((ending for ending in openers if name.endswith(ending)), None)
    if ending is None:
        raise OutputError("the ending is not known", where=str(path), remedy=f"Use one of: {', '.join(openers)}")
    if not path.parent.is_dir():
        raise OutputError("no such folder", where=str(path.parent), remedy="Make it first")
    with replacing(path) as temporary, ExitStack() as stack:
        yield openers[ending](temporary, stack)


def _csv(path: Path, stack: ExitStack) -> Write:
    return _write_csv(stack.enter_context(path.open("wb")))


def _csv_gz(path: Path, stack: ExitStack) -> Write:
    return _write_csv(stack.enter_context(gzip.open(path, "wb")))


def _write_csv(stream: IO[bytes]) -> Write:
    first = True

    def write(frame: pl.DataFrame) -> None:
        nonlocal first
        stream.write(frame.write_csv(include_header=first).encode())
        first = False

    return write


def _json_lines(path: Path, stack: ExitStack) -> Write:
    stream = stack.enter_context(path.open("wb"))
    return lambda frame: stream.write(frame.write_ndjson().encode()) and None


def _parquet(path: Path, stack: ExitStack) -> Write:
    writers: list[pq.ParquetWriter] = []

    def write(frame: pl.DataFrame) -> None:
        table: pa.Table = frame.to_arrow()
        if not writers:
            writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
        writers[0].write_table(table.cast(writers[0].schema))

    return write
