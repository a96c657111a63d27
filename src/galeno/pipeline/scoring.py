"""A model over files: diagnose every record, or judge the model on labelled ones, in bounded memory."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import SourceError
from galeno.evaluation.fairness import group_labels
from galeno.evaluation.judge import judge
from galeno.ingest.tables import is_lines, iter_table
from galeno.media.places import Place, open_place
from galeno.model.model import Model
from galeno.pipeline.answers import (
    Answered,
    identify,
    patients_of,
    pool_answers,
    review_beside,
)
from galeno.pipeline.context import label_indices
from galeno.pipeline.gathering import PART, attach_files, place_of
from galeno.progress import Reporter, Silent
from galeno.records import Labels, Probabilities
from galeno.storage.writer import open_writers

BATCH = 50_000
"""Rows of a batch; AHEAD batches are in memory at a time."""
MEDIA_BATCH = 64
"""Rows of a batch of a study with sounds or images; fewer where they hold PART bytes themselves."""
AHEAD = 2


@dataclass(frozen=True, slots=True)
class Predicted:
    """What `predict_file` wrote.

    Attributes:
        rows: records, all of which are in the output.
        review: the file of the rows that a person must look at, None where there is none.
        flagged: rows in it.
    """

    rows: int
    review: Path | None
    flagged: int


def predict_file(
    model: Model,
    source: Path,
    output: Path,
    *,
    review: Path | None = None,
    files: str = "",
    reporter: Reporter | None = None,
) -> Predicted:
    """Diagnose every record of a file.

    A row whose sound or image cannot be read is answered without it and says so in its reasons. Of a study
    with sounds or images the answers are held until the last row is in, because each row then also tells
    the answer of its patient; of other studies, AHEAD batches are in memory.

    Args:
        model: the model that answers.
        source: CSV(.gz), Parquet, JSON lines, or NPZ arrays of images.
        output: CSV(.gz), Parquet or JSON lines.
        review: for the rows of low confidence or with a faulty file, with the names of their files. None
            puts it beside the output (see `review_beside`) where the study has sounds or images, else there
            is none. Both files appear whole or not at all.
        files: where the files of sounds and images are, as `records.files`, which it stands in for.
        reporter: told the number of rows done.

    Raises:
        SourceError: the file cannot be read, or lacks columns that the model needs.
        OutputError: the ending of an output is not known, or it cannot be written.
    """
    watcher = reporter or Silent()
    if model.contract.files and review is None:
        review = review_beside(output)
    rows = flagged = 0
    targets = [output] if review is None else [output, review]
    with _place(model, source, files) as place, open_writers(*targets) as writes:
        answered = _answer_ahead(model, _batches(model, source), place, watcher)
        for part in [pool_answers(model, list(answered))] if place is not None else answered:
            writes[0](part.frame)
            rows += part.ids.height
            if review is not None:
                chosen = part.review(model.study.evaluation.review_below)
                writes[1](chosen)
                flagged += chosen.height
    return Predicted(rows, review, flagged)


def _answer_ahead(
    model: Model, batches: Iterator[pl.DataFrame], place: Place | None, watcher: Reporter
) -> Iterator[Answered]:
    """Answers batch by batch, in order, AHEAD of them at work: encoders use one core, boosters use all."""
    pending: deque[Future[Answered]] = deque()
    before = done = 0
    with ThreadPoolExecutor(AHEAD) as pool:
        for raw in batches:
            pending.append(pool.submit(_answer, model, raw, before, place))
            before += raw.height
            if len(pending) == AHEAD:
                found = pending.popleft().result()
                yield found
                done += found.ids.height
                watcher.rows(done)
        while pending:
            found = pending.popleft().result()
            yield found
            done += found.ids.height
            watcher.rows(done)


def _answer(model: Model, raw: pl.DataFrame, before: int, place: Place | None) -> Answered:
    if place is None:
        return identify(model, raw, before, model.answer_frame(raw))
    answers: list[pl.DataFrame] = []
    faults: list[tuple[str, ...]] = []
    for attached, found in attach_files(raw, model.contract, place):
        answers.append(model.answer_frame(attached, faults=found))
        faults += found
    return identify(model, raw, before, pl.concat(answers), faults)


def evaluate_file(model: Model, source: Path, *, files: str = "") -> dict[str, Any]:
    """Judge a model on a file with the confirmed conditions, row by row and patient by patient.

    Args:
        model: the model that is judged.
        source: CSV(.gz), Parquet, JSON lines, or NPZ arrays of images.
        files: where the files of sounds and images are, as `records.files`, which it stands in for.

    Returns:
        The figures, in the shape of `galeno evaluate --json`: of each row, and under `per_patient` of each
        patient with his rows taken together. Rows without a target are left out and counted as
        `unlabelled`; rows with a label that is no class of the package are misses, and listed. Sounds and
        images that cannot be used are counted by reason under `faults`, and their rows judged without.

    Raises:
        SourceError: the file cannot be read, or lacks the target or columns that the model needs.
    """
    study = model.study
    labels: list[Labels] = []
    probabilities: list[Probabilities] = []
    patients: list[NDArray[np.str_]] = []
    groups: list[dict[str, NDArray[np.str_]]] = []
    unknown: Counter[str] = Counter()
    faulty: Counter[str] = Counter()
    rows = unlabelled = 0
    with _place(model, source, files) as place:
        for raw in _labelled(model, source):
            raw_labels = model.contract.raw_targets(raw)
            known = raw_labels.is_not_null()
            kept = raw.filter(known)
            unlabelled += raw.height - kept.height
            numbers = np.arange(rows, rows + raw.height)[known.to_numpy()]
            rows += raw.height
            names = model.contract.targets(kept)
            indices = label_indices(names, model.classes)
            unknown.update(raw_labels.filter(known).filter(pl.Series(indices < 0)).to_list())
            labels.append(indices)
            patients.append(patients_of(study, kept, numbers))
            parts = iter([(kept, [()])]) if place is None else attach_files(kept, model.contract, place)
            for attached, faults in parts:
                faulty.update(fault for found in faults for fault in found)
                typed, _ = model.contract.answer(attached)
                probabilities.append(model.probabilities(typed))
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
    found = {**evaluation.to_dict(), "unlabelled": unlabelled}
    if model.contract.files:
        found["faults"] = dict(sorted(faulty.items()))
    return {**found, "package_sha256": model.package_sha256}


@contextmanager
def _place(model: Model, source: Path, files: str) -> Iterator[Place | None]:
    """Where the files are that the source names; None where the study has no sounds or images."""
    if not model.contract.files:
        yield None
        return
    with open_place(files, source) if files else place_of(model.study, source) as place:
        yield place


def _labelled(model: Model, source: Path) -> Iterator[pl.DataFrame]:
    """The file in batches, each with the target; one that has it nowhere is refused."""
    target = model.study.records.target
    found = False
    for raw in _batches(model, source):
        found = found or target in raw.columns
        if not found and not is_lines(source):
            break
        yield raw if target in raw.columns else raw.with_columns(pl.lit(None, pl.String).alias(target))
    if not found:
        raise SourceError(
            f"no column {target!r}, the target of the study",
            where=str(source),
            remedy="Evaluation needs the confirmed conditions; without them use galeno predict",
        )


def _batches(model: Model, source: Path) -> Iterator[pl.DataFrame]:
    """The file in batches; a table whose header lacks columns is the wrong table and is refused."""
    parts = iter_table(source, MEDIA_BATCH, PART) if model.contract.files else iter_table(source, BATCH)
    for raw in parts:
        missing = model.contract.missing_columns(raw)
        if missing and not is_lines(source):
            listed = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            raise SourceError(
                f"columns that the model needs are not there: {listed}",
                where=str(source),
                remedy="Add them; leave cells empty where a value is not known",
            )
        yield raw
