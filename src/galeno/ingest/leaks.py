"""Columns that look as if written down together with the diagnosis: a model would learn to read the answer.

Two signs, both counted in patients. A column *determines* the class: its values are the classes in other
words. A value *stands for* the healthy or the commonest class: it goes with that class and with hardly
anything else, as a finding does that was written for everyone whom the doctor called healthy. A sign that
only one disease has is real, so a value may stand for any other class, and a sign may tell two diseases
apart.

How often leaks are behind surprising results: S. Kapoor, A. Narayanan, "Leakage and the reproducibility
crisis in machine-learning-based science", Patterns 4 (2023) 100804.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.ingest.guess import words_of
from galeno.study import Column

_PURE = 0.99
"""Share of a value's patients that are of one class, where the column determines the class."""
_COVERED = 0.9
"""Share of all patients, and of each class's, that such values must hold."""
_CHANCE = math.log(1e-6)
"""Log-probability under which a column of chance is not taken to be so clean."""
_CODES = 20
"""A column of numbers with more values than this is a quantity, which no one writes for a diagnosis."""
_COUNTED = 5
"""Classes with fewer patients tell nothing by themselves."""

_STANDS = 0.98
"""Share of a value's patients that are of the class that it stands for."""
_HELD = 0.9
"""Share of a class's patients that have the value that stands for it."""
_ELSEWHERE = 0.02
"""Largest share of all other patients that have it."""
_ENOUGH = 10
"""Patients that the value, the class and the rest must have."""
_HEALTHY = frozenset(
    {"normal", "healthy", "control", "controls", "none", "no", "negative", "benign", "well"}
    | {"normales", "sano", "sana", "sanos", "ninguno", "ninguna", "negativo", "negativa", "benigno"}
)
"""Words of the names of classes without the disease."""
_DIAGNOSIS = frozenset(
    {
        "diagnosis",
        "diagnoses",
        "dx",
        "condition",
        "disease",
        "illness",
        "label",
        "class",
        "outcome",
        "confirmed",
    }
    | {
        "diagnostico",
        "diagnóstico",
        "enfermedad",
        "clase",
        "etiqueta",
        "desenlace",
        "confirmado",
        "confirmada",
    }
)
"""Words of the names of columns that hold a diagnosis."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that gives the answer away."""

    column: str
    value: str = ""
    """The value that stands for a class; empty where the whole column determines the class."""
    label: str = ""
    """Target value of that class."""
    sure: bool = True
    """Whether it is safer without the column; else it may be a sign that tells two conditions apart."""


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """How many patients have which value and which class."""

    values: tuple[str, ...]
    labels: tuple[str, ...]
    table: NDArray[np.int64]
    """Shape (values, labels)."""
    totals: NDArray[np.int64]
    """Patients of each label, those without a value too; shape (labels,)."""


def find_leaks(
    texts: Mapping[str, pl.Series],
    columns: Mapping[str, Column],
    labels: pl.Series,
    patients: pl.Series | None,
) -> tuple[Leak, ...]:
    """Find the columns that give the class away.

    A flag, or a category of two values, is never taken to stand for a class. Where it determines the class of
    a study of two, that is sure only if its name speaks of a diagnosis. With more values it is sure as well
    where there are more classes, or one is the healthy one.

    Args:
        texts: what each column holds, as `read_codes` gives it: String, shape (n,), null where missing.
        columns: their declarations; sounds, images, dates, terms and quantities are not looked at.
        labels: target values as texts, named as the target column, shape (n,), null where missing.
        patients: patient ids, shape (n,); None where every row is a patient.

    Returns:
        at most one leak a column, in the order of `columns`.
    """
    people = pl.int_range(len(labels), eager=True) if patients is None else patients
    base = pl.DataFrame({"label": labels, "patient": people}).drop_nulls()
    totals = base.group_by("label").agg(pl.col("patient").n_unique()).sort("label")
    found = []
    for name, column in columns.items():
        if column.type not in ("category", "flag", "text", "number"):
            continue
        rows = pl.DataFrame({"value": texts[name], "label": labels, "patient": people}).drop_nulls()
        counts = _count(rows, totals)
        if _may_determine(column, counts) and _determines(counts):
            found.append(Leak(name, sure=_is_sure(name, labels.name, counts)))
        elif column.type == "category" and len(counts.values) > 2 and (pair := _standing(counts)):
            found.append(Leak(name, *pair))
    return tuple(found)


def _count(rows: pl.DataFrame, totals: pl.DataFrame) -> _Counts:
    labels = tuple(totals["label"])
    counted = rows.group_by("value", "label").agg(pl.col("patient").n_unique())
    values = tuple(counted["value"].unique().sort())
    table = np.zeros((len(values), len(labels)), dtype=np.int64)
    row = np.searchsorted(np.array(values, dtype=object), counted["value"].to_numpy())
    column = np.searchsorted(np.array(labels, dtype=object), counted["label"].to_numpy())
    table[row.astype(np.intp), column.astype(np.intp)] = counted["patient"].to_numpy()
    return _Counts(values, labels, table, totals["patient"].to_numpy().astype(np.int64))


def _may_determine(column: Column, counts: _Counts) -> bool:
    return len(counts.values) >= len(counts.labels) and (
        column.type != "number" or len(counts.values) <= _CODES
    )


def _determines(counts: _Counts) -> bool:
    """Whether nearly every patient has a value that goes with one class, and no class is left out."""
    sizes = counts.table.sum(axis=1)
    pure = (sizes >= 2) & (counts.table.max(axis=1) >= _PURE * sizes)
    held = counts.table[pure].sum(axis=0)
    large = counts.totals >= _COUNTED
    if large.sum() < 2 or held.sum() < _COVERED * counts.totals.sum():
        return False
    if (held[large] < _COVERED * counts.totals[large]).any():
        return False
    return _log_chance(held, int(pure.sum())) < _CHANCE


def _is_sure(name: str, target: str, counts: _Counts) -> bool:
    """Whether a column that determines the class is the diagnosis in other words."""
    if words_of(name) & (words_of(target) | _DIAGNOSIS):
        return True
    healthy = any(_is_healthy(label) for label in counts.labels)
    return len(counts.values) > 2 and (len(counts.labels) > 2 or healthy)


def _log_chance(held: NDArray[np.int64], values: int) -> float:
    """Bound of the log-probability that labels dealt at random leave that many values with one class each.

    Of the N!/(n1! n2! ...) ways to deal the labels, at most classes^values are so clean; another 2^values
    pays for the choice of the clean values.
    """
    ways = math.lgamma(int(held.sum()) + 1) - sum(math.lgamma(int(count) + 1) for count in held)
    return values * math.log(2 * np.count_nonzero(held)) - ways


def _standing(counts: _Counts) -> tuple[str, str] | None:
    """The value and the class that go together, and with hardly anything else."""
    sizes = counts.table.sum(axis=1, keepdims=True)
    others = counts.totals.sum() - counts.totals
    enough = (sizes >= _ENOUGH) & (counts.totals >= _ENOUGH) & (others >= _ENOUGH)
    together = (
        enough
        & (counts.table >= _STANDS * sizes)
        & (counts.table >= _HELD * counts.totals)
        & (sizes - counts.table <= _ELSEWHERE * others)
        & _are_plain(counts)
    )
    if not together.any():
        return None
    value, label = np.unravel_index(int(np.argmax(together)), together.shape)
    return counts.values[int(value)], counts.labels[int(label)]


def _are_plain(counts: _Counts) -> NDArray[np.bool_]:
    """Which classes are the commonest or are named as healthy, shape (labels,)."""
    commonest = int(counts.totals.max())
    pairs = zip(counts.labels, counts.totals.tolist(), strict=True)
    return np.array([total == commonest or _is_healthy(label) for label, total in pairs], dtype=np.bool_)


def _is_healthy(label: str) -> bool:
    return bool(words_of(label) & _HEALTHY)
