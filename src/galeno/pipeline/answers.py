"""Answers to the rows of a file: of whom each is, what a patient's rows say together, what needs review."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.evaluation.patients import pool_patients
from galeno.ingest.columns import read_codes
from galeno.ingest.values import codes_of
from galeno.model.model import Model
from galeno.study import Study

PATIENT_COLUMNS = ("patient_condition", "patient_probability")
PATIENT_REASON = "patient_low_confidence"
"""A row of which the patient's answer, from all his rows, is below `evaluation.review_below`."""
_DATA_URL = "data:"


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Rows with their answers; each part has a row for each of them.

    Attributes:
        ids: row number, and record and patient ids where the file has them.
        answers: as `Model.answer_frame` gives them, and PATIENT_COLUMNS where patients were pooled.
        files: the names that the cells of sound and image columns hold; null where they hold none.
        faulty: whether a file of the row could not be used, shape (rows,).
        patients: a text for each patient, shape (rows,).
        shaky: whether the patient has several rows, which together are below the threshold, shape (rows,).
    """

    ids: pl.DataFrame
    answers: pl.DataFrame
    files: pl.DataFrame
    faulty: NDArray[np.bool_]
    patients: NDArray[np.str_]
    shaky: NDArray[np.bool_]

    @property
    def frame(self) -> pl.DataFrame:
        """The rows as a file of answers holds them."""
        return pl.DataFrame([*self.ids, *self.answers])

    def review(self, below: float) -> pl.DataFrame:
        """The rows of low confidence or with a faulty file, with the names of their files and all reasons.

        Args:
            below: a first probability that is lower is of low confidence.
        """
        told = [*("condition", "probability"), *PATIENT_COLUMNS, "reasons"]
        answers = self.answers.select(name for name in told if name in self.answers.columns)
        shaky = pl.Series(self.shaky)
        bar = pl.when(pl.col("reasons") == "").then(pl.lit("")).otherwise(pl.lit("|"))
        more = pl.when(shaky).then(pl.concat_str("reasons", bar, pl.lit(PATIENT_REASON)))
        answers = answers.with_columns(reasons=more.otherwise(pl.col("reasons")))
        chosen = (self.answers["probability"] < below) | pl.Series(self.faulty) | shaky
        return pl.DataFrame([*self.ids, *self.files, *answers]).filter(chosen)


def identify(
    model: Model, raw: pl.DataFrame, before: int, answers: pl.DataFrame, faults: Sequence[Sequence[str]] = ()
) -> Answered:
    """Say of which record and patient each answer is.

    Args:
        model: that answered.
        raw: the rows as they came.
        before: rows of the file before these.
        answers: theirs, in their order.
        faults: reasons why files of a row could not be used; empty for none at all.
    """
    numbers = np.arange(before + 1, before + raw.height + 1)
    media = model.contract.files
    taken = {"row", *answers.columns, *(PATIENT_COLUMNS if media else ())}
    roles = (model.study.records.record, model.study.records.patient)
    ids = [raw[name] for name in dict.fromkeys(roles) if name is not None and name in raw.columns]
    files = [_file_names(raw, name) for name in media]
    return Answered(
        ids=pl.DataFrame([pl.Series("row", numbers), *_renamed(ids, taken)]),
        answers=answers,
        files=pl.DataFrame(_renamed(files, taken)),
        faulty=np.array([bool(found) for found in faults] or np.zeros(raw.height), dtype=bool),
        patients=patients_of(model.study, raw, numbers - 1),
        shaky=np.zeros(raw.height, dtype=bool),
    )


def pool_answers(model: Model, parts: Sequence[Answered]) -> Answered:
    """All parts of a file as one, with the answer of each row's patient.

    Args:
        model: that answered.
        parts: at least one.

    Returns:
        the rows in order. Where the file names patients, or has several rows of a record,
        `patient_condition` and `patient_probability` follow the row's own answer: of the mean of the
        probabilities of all rows that the patient has in this file.
    """
    whole = Answered(
        ids=pl.concat([part.ids for part in parts], how="diagonal"),
        answers=pl.concat([part.answers for part in parts]),
        files=pl.concat([part.files for part in parts]),
        faulty=np.concatenate([part.faulty for part in parts]),
        patients=np.concatenate([part.patients for part in parts]),
        shaky=np.concatenate([part.shaky for part in parts]),
    )
    if not any(name.startswith(_KNOWN) for name in whole.patients):
        return whole
    shares = whole.answers.select(f"p_{name}" for name in model.classes).to_numpy()
    pooled = pool_patients(shares, whole.patients)
    patient = model.study.records.patient
    if not {patient, f"input_{patient}"} & set(whole.ids.columns) and pooled.rows.max() == 1:
        return whole
    answers = model.decision.answers(pooled.probabilities)
    chosen = pooled.probabilities[np.arange(len(answers)), answers]
    names = pl.Series(model.classes, dtype=pl.String).gather(answers)
    own = (names.gather(pooled.of_row), pl.Series(chosen[pooled.of_row]))
    columns = [values.alias(name) for name, values in zip(PATIENT_COLUMNS, own, strict=True)]
    unsure = (chosen < model.study.evaluation.review_below) & (pooled.rows > 1)
    return replace(whole, answers=whole.answers.with_columns(columns), shaky=unsure[pooled.of_row])


_KNOWN = "id "


def patients_of(study: Study, raw: pl.DataFrame, numbers: NDArray[np.int64]) -> NDArray[np.str_]:
    """The patient of each row: patient id, else record id, as `Contract.patients` has it, else its own one.

    Args:
        study: names the columns of patients and records, and the codes for missing.
        raw: rows as they came, n of them.
        numbers: of the rows in their file, shape (n,).
    """
    codes = codes_of(study.records.missing)
    roles = (study.records.patient, study.records.record)
    named = [read_codes(raw[name], codes) for name in roles if name is not None and name in raw.columns]
    own = [f"row {number}" for number in numbers]
    if not named:
        return np.array(own, dtype=np.str_)
    ids = pl.select(pl.coalesce(*named)).to_series().to_list()
    return np.array(
        [row if known is None else f"{_KNOWN}{known}" for known, row in zip(ids, own, strict=True)],
        dtype=np.str_,
    )


def review_beside(output: Path) -> Path:
    """Where the rows to review go unless another place is named: `ANSWERS.review.csv` for `ANSWERS.csv`."""
    ending = output.suffix
    if ending.lower() == ".gz":
        ending = Path(output.stem).suffix + ending
    return output.with_name(f"{output.name.removesuffix(ending)}.review{ending}")


def _renamed(columns: Sequence[pl.Series], taken: set[str]) -> list[pl.Series]:
    return [values.alias(f"input_{values.name}") if values.name in taken else values for values in columns]


def _file_names(raw: pl.DataFrame, name: str) -> pl.Series:
    """The cells that name files; what holds a file itself has no name."""
    if name not in raw.columns or raw[name].dtype != pl.String:
        return pl.Series(name, [None], pl.String).new_from_index(0, raw.height)
    itself = raw[name].str.slice(0, len(_DATA_URL)).str.to_lowercase() == _DATA_URL
    names = raw.select(pl.when(~itself).then(pl.col(name))).to_series()
    return pl.Series(name, names.to_list(), pl.String)  # a copy, or the files would stay in memory with it
