"""A model over files: diagnose every record, or judge the model on labelled ones, in bounded memory."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import SourceError
from galeno.evaluation.fairness import group_labels
from galeno.evaluation.judge import judge
from galeno.ingest.tables import iter_table
from galeno.model.model import Model
from galeno.pipeline.context import label_indices
from galeno.progress import Reporter, Silent
from galeno.records import Labels, Probabilities
from galeno.storage.writer import open_writer

BATCH = 50_000
"""Rows of a batch; AHEAD batches are in memory at a time."""
AHEAD = 2


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
    with open_writer(output) as write:
        for answered in _answer_ahead(model, _batches(model, source)):
            write(answered)
            done += answered.height
            watcher.rows(done)
    return done


def _answer_ahead(model: Model, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Answers batch by batch, in order, AHEAD of them at work: encoders use one core, boosters use all."""
    pending: deque[Future[pl.DataFrame]] = deque()
    before = 0
    with ThreadPoolExecutor(AHEAD) as pool:
        for raw in batches:
            pending.append(pool.submit(_answer, model, raw, before))
            before += raw.height
            if len(pending) == AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _answer(model: Model, raw: pl.DataFrame, before: int) -> pl.DataFrame:
    return _with_identifiers(model, raw, before, model.answer_frame(raw))


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
    answers = model.decision.answers(merged)
    evaluation = judge(
        np.concatenate(labels),
        merged,
        answers,
        model.conformal.contains(merged, answers),
        model.classes,
        patients=np.concatenate(patients),
        groups={name: np.concatenate([part[name] for part in groups]) for name in groups[0]},
        judging=study.evaluation,
        seed=study.seed,
        unknown=dict(unknown),
        rule=model.decision.answers,
        min_patients=study.gate.min_patients,
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


def _with_identifiers(model: Model, raw: pl.DataFrame, before: int, answers: pl.DataFrame) -> pl.DataFrame:
    """Row number, the record and patient ids where the file has them, and the answers."""
    roles = (model.study.records.record, model.study.records.patient)
    ids = [raw[name] for name in dict.fromkeys(roles) if name is not None and name in raw.columns]
    taken = {"row", *answers.columns}
    ids = [values.alias(f"input_{values.name}") if values.name in taken else values for values in ids]
    number = pl.Series("row", np.arange(before + 1, before + raw.height + 1))
    return pl.DataFrame([number, *ids, *answers])


def _patients(model: Model, raw: pl.DataFrame, numbers: NDArray[np.int64]) -> NDArray[np.str_]:
    """The patient of each row; a row without one is a patient of its own."""
    name = model.study.records.patient
    own = [f"row {number}" for number in numbers]
    if name is None or name not in raw.columns:
        return np.array(own, dtype=np.str_)
    ids = raw[name].cast(pl.String).to_list()
    return np.array(
        [f"id {known}" if known else row for known, row in zip(ids, own, strict=True)], dtype=np.str_
    )
