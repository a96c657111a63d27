"""Which records of the test part a report shows, and their pictures.

Real patients were promised what the study says (`privacy.examples_in_report`): without it nothing of them is
even read. Of a record go out the sound or image, its condition and the answer; no id, no name, no text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galeno.evaluation.examples import Example, Outcome, draw
from galeno.media.content import Kind
from galeno.model.model import Model
from galeno.model.relevance import locate
from galeno.pipeline.context import Rows, StepContext
from galeno.pipeline.judging import type_rows
from galeno.records import PATIENT, Labels
from galeno.storage.contents import Contents
from galeno.storage.lake import Lake
from galeno.study import Study

EACH = 2
"""Cases of an outcome, at most."""
COLUMNS = 4
"""Columns that are shown, at most: a map of a sound takes seconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """A row that is shown, and how it was answered."""

    row: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Rows and what the model says of them.

    Attributes:
        labels: true classes, -1 where it is none of the study's, shape (rows,).
        answers: class named first, shape (rows,).
        stated: its probability, shape (rows,).
        patients: of each row.
    """

    labels: Labels
    answers: Labels
    stated: NDArray[np.float64]
    patients: Sequence[Any]


def make_examples(context: StepContext) -> tuple[Example, ...]:
    """Examples of the test part as the run's model answers it; none of real patients without permission.

    Args:
        context: of a run whose model is fitted.

    Returns:
        column by column, in the study's order: what was answered right, wrong, and without confidence.

    Raises:
        LakeError: the lake cannot be read.
    """
    study = context.study
    kinds = shown_columns(study)
    if not kinds or not (study.simulated or study.privacy.examples_in_report):
        return ()
    rows = context.rows("test")
    with threadpool_limits(limits=1):
        model = Model.load(context.made("fit") / "package", threads=context.threads, verify=False)
        found = answer_rows(model, rows)
        least = study.evaluation.review_below
        cases = {name: choose_cases(found, rows.frame[name].to_list(), least) for name in kinds}
        records = _read_records(rows.frame, cases, context)
        return tuple(
            _make(model, records[case.row], (name, kind), case, found)
            for name, kind in kinds.items()
            for case in cases[name]
            if records[case.row][name] is not None
        )


def shown_columns(study: Study) -> dict[str, Kind]:
    """Input columns of sounds and images that examples are taken from, and which of them they hold."""
    kinds: dict[str, Kind] = {}
    for name, column in study.features_columns.items():
        if column.type == "sound":
            kinds[name] = "sound"
        elif column.type == "image":
            kinds[name] = "image"
    return dict(list(kinds.items())[:COLUMNS])


def answer_rows(model: Model, rows: Rows) -> Answered:
    """What the model says of rows of the lake, from the descriptions that stand beside their contents."""
    probabilities = model.probabilities(type_rows(model, rows.frame))
    answers = model.decision.answers(probabilities)
    stated = probabilities[np.arange(len(answers)), answers]
    return Answered(rows.labels, answers, stated, rows.frame[PATIENT].to_list())


def choose_cases(found: Answered, contents: Sequence[str | None], least: float) -> list[Case]:
    """Up to EACH rows of each outcome; the same arguments give the same rows.

    Right answers are of middling probability: the surest ones leave nothing to see, as hiding no part of them
    changes it. Wrong ones are the most probable, unsure ones the least. Among them rows of patients and of
    conditions that are not shown yet come first; no content is shown twice. A row without a
    content, or whose condition is none of the study's, is not shown.

    Args:
        found: the rows and their answers.
        contents: digest of each row's sound or image, None where it has none.
        least: probability below which an answer is without confidence.

    Returns:
        right ones, then wrong ones, then unsure ones.
    """
    right, sure = found.labels == found.answers, found.stated >= least
    there = (found.labels >= 0) & np.array([content is not None for content in contents], np.bool_)
    cases: list[Case] = []

    def worth(row: int, wanted: float) -> tuple[bool, int, float, str]:
        """How good an example a row is beside those that are shown, the best one first."""
        shown = [case.row for case in cases]
        patients = {found.patients[other] for other in shown}
        alike = sum(found.labels[other] == found.labels[row] for other in shown)
        return (
            found.patients[row] in patients,
            int(alike),
            abs(float(found.stated[row]) - wanted),
            str(contents[row]),
        )

    middling = float(np.median(found.stated[right & sure & there])) if (right & sure & there).any() else 1.0
    outcomes: tuple[tuple[Outcome, NDArray[np.bool_], float], ...] = (
        ("right", right & sure, middling),
        ("wrong", ~right, 1.0),
        ("unsure", ~sure, 0.0),
    )
    for outcome, mask, wanted in outcomes:
        candidates = np.flatnonzero(mask & there).tolist()
        for _ in range(EACH):
            used = {contents[case.row] for case in cases}
            free = [row for row in candidates if contents[row] not in used]
            if free:
                cases.append(Case(min(free, key=partial(worth, wanted=wanted)), outcome))
    return cases


def _read_records(
    frame: pl.DataFrame, cases: Mapping[str, Sequence[Case]], context: StepContext
) -> dict[int, dict[str, Any]]:
    """The records that are shown, by row, with the contents instead of their digests.

    All sounds and images of a record, as the model answers all; None for one that is no longer there.
    """
    columns = context.study.features_columns
    media = {name for name, column in columns.items() if column.holds_file}
    wanted = sorted({case.row for each in cases.values() for case in each})
    inputs = frame.select(list(columns))
    records = {row: inputs.row(row, named=True) for row in wanted}
    digests = {record[name] for record in records.values() for name in media} - {None}
    contents = dict(Contents(Lake(context.home.lake)).read(digests))
    return {
        row: {name: contents.get(value) if name in media else value for name, value in record.items()}
        for row, record in records.items()
    }


def _make(
    model: Model, record: Mapping[str, Any], shown: tuple[str, Kind], case: Case, found: Answered
) -> Example:
    """One example: its picture, and where it speaks for the answer, and for the truth if that is another."""
    name, kind = shown
    answer, truth = (model.classes[classes[case.row]] for classes in (found.answers, found.labels))
    conditions = dict.fromkeys((answer, truth))
    drawn = draw(kind, record[name], [locate(model, record, name, condition) for condition in conditions])
    return Example(
        column=name,
        kind=kind,
        outcome=case.outcome,
        truth=truth,
        answer=answer,
        probability=float(found.stated[case.row]),
        extent=drawn.extent,
        png=drawn.png,
        marked=drawn.marked,
    )
