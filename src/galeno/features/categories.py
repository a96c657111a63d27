"""Categories of a record: one column a level, or the classes seen with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.features.crossfit import FOLDS, deal_patients
from galeno.features.encoder import Arrays, CrossFitted, FeatureColumn, Sample, column_or_nulls
from galeno.records import FloatMatrix

_SMOOTHING = 20.0
"""Rows that the overall class shares count for in the encoding of a level."""


@dataclass(frozen=True, slots=True)
class _Category:
    """One column: levels, and the numbers that stand for each."""

    source: str
    levels: tuple[str, ...]
    columns: tuple[FeatureColumn, ...]
    table: NDArray[np.float32]
    """Shape (levels + 2, columns); the last two rows are for missing and for unseen."""

    def codes(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """Row of the table for each row of the frame."""
        series = column_or_nulls(frame, self.source, pl.String())
        unseen = len(self.levels) + 1
        codes = series.replace_strict(
            list(self.levels), list(range(len(self.levels))), default=unseen, return_dtype=pl.Int64
        )
        return np.where(series.is_null().to_numpy(), unseen - 1, codes.fill_null(unseen).to_numpy())


class CategoryEncoder:
    """One-hot columns, or cross-fitted target encodings where a category has many levels.

    A level that too few patients have (`Sample.fewest_patients`) is treated as unseen.
    Unseen levels are zeros in one-hot columns and the overall class shares in target encodings.
    The target encoding is the smoothed share of each class among the rows of a level (Micci-Barreca, 2001).
    """

    def __init__(self, categories: Sequence[_Category]) -> None:
        self._categories = tuple(categories)
        self.columns = tuple(column for category in self._categories for column in category.columns)
        self._lookups = []
        at = 0
        for category in self._categories:
            codes = {level: code for code, level in enumerate(category.levels)}
            width = len(category.columns)
            self._lookups.append((category.source, codes, category.table, slice(at, at + width)))
            at += width

    @classmethod
    def fit(
        cls, names: Sequence[str], sample: Sample, one_hot_up_to: int, seed: int
    ) -> tuple[Self, CrossFitted]:
        """Learn levels and encodings; the cross-fitted values are those of target-encoded columns."""
        folds = deal_patients(sample, seed)
        categories: list[_Category] = []
        crossed: CrossFitted = {}
        at = 0
        for name in names:
            series = column_or_nulls(sample.frame, name, pl.String())
            levels = _count_levels(series, sample)
            if len(levels) <= one_hot_up_to:
                category = _one_hot(name, levels, bool(series.null_count()))
            else:
                category, values = _target_encode(name, levels, sample, folds)
                crossed |= {at + i: values[:, i] for i in range(values.shape[1])}
            if category.columns:
                categories.append(category)
                at += len(category.columns)
        return cls(categories), crossed

    def write(self, frame: pl.DataFrame, out: FloatMatrix) -> None:
        """Write the columns of every row."""
        for category, (_, _, table, place) in zip(self._categories, self._lookups, strict=True):
            out[:, place] = table[category.codes(frame)]

    def write_record(self, values: Mapping[str, object], out: NDArray[np.float32]) -> None:
        """Write the columns of one record."""
        for source, codes, table, place in self._lookups:
            value = values.get(source)
            code = len(codes) if value is None else codes.get(value, len(codes) + 1)  # type: ignore[call-overload]  # any object may be asked for
            out[place] = table[code]

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Levels and names as JSON, tables as arrays."""
        listed = [
            {"source": c.source, "levels": list(c.levels), "columns": [column.name for column in c.columns]}
            for c in self._categories
        ]
        return {"categories": listed}, {f"table{i}": c.table for i, c in enumerate(self._categories)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder that `state` came from."""
        categories = []
        for i, item in enumerate(state["categories"]):
            columns = tuple(FeatureColumn(name, item["source"], "table") for name in item["columns"])
            categories.append(_Category(item["source"], tuple(item["levels"]), columns, arrays[f"table{i}"]))
        return cls(categories)


def _count_levels(series: pl.Series, sample: Sample) -> dict[str, int]:
    """Levels that enough patients have, sorted, with their rows."""
    counted = (
        pl.DataFrame({"level": series, "patient": sample.patients})
        .drop_nulls("level")
        .group_by("level")
        .agg(pl.len().alias("rows"), pl.col("patient").n_unique().alias("patients"))
        .filter(pl.col("patients") >= sample.fewest_patients())
        .sort("level")
    )
    return dict(zip(counted["level"].to_list(), counted["rows"].to_list(), strict=True))


def _one_hot(name: str, levels: Mapping[str, int], missing: bool) -> _Category:
    """One column a level, missing being one; of two levels the last has a column, one alone says nothing."""
    table = np.eye(len(levels) + 2, dtype=np.float32)
    shown = [*range(len(levels)), *([len(levels)] if missing else [])]
    labels = [*(f"{name}={level}" for level in levels), f"{name} missing"]
    shown = shown[1:] if len(shown) <= 2 else shown
    columns = tuple(FeatureColumn(labels[i], name, "table") for i in shown)
    return _Category(name, tuple(levels), columns, np.ascontiguousarray(table[:, shown]))


def _target_encode(
    name: str, levels: Mapping[str, int], sample: Sample, folds: NDArray[np.int64]
) -> tuple[_Category, NDArray[np.float32]]:
    """The category with encodings from all rows, and those of the fitting rows from the other folds."""
    bare = _Category(name, tuple(levels), (), np.zeros((len(levels) + 2, 0), np.float32))
    codes = bare.codes(sample.frame)
    present = np.unique(sample.labels[sample.labels >= 0])
    shown = present[1:] if len(present) == 2 else present
    crossed = np.zeros((len(codes), len(shown)))
    for fold in range(FOLDS):
        inside = folds == fold
        crossed[inside] = _class_shares(codes[~inside], sample.labels[~inside], len(levels), sample.classes)[
            codes[inside]
        ][:, shown]
    shares = _class_shares(codes, sample.labels, len(levels), sample.classes)[:, shown]
    center, spread = crossed.mean(axis=0), crossed.std(axis=0)
    spread[spread < 1e-9] = 1.0
    counts = np.array([*levels.values(), int((codes == len(levels)).sum()), 0], np.float64)
    frequency = np.log1p(counts)[:, np.newaxis] / np.log1p(max(len(codes), 1))
    table = np.hstack([(shares - center) / spread, frequency]).astype(np.float32)
    columns = tuple(FeatureColumn(f"{name} class {index}", name, "table") for index in shown)
    columns += (FeatureColumn(f"{name} frequency", name, "table"),)
    return _Category(name, tuple(levels), columns, table), ((crossed - center) / spread).astype(np.float32)


def _class_shares(
    codes: NDArray[np.int64], labels: NDArray[np.int64], levels: int, classes: int
) -> NDArray[np.float64]:
    """Smoothed share of each class for each level, missing and unseen; shape (levels + 2, classes)."""
    known = labels >= 0
    flat = np.bincount(codes[known] * classes + labels[known], minlength=(levels + 2) * classes)
    counts = flat.reshape(levels + 2, classes).astype(np.float64)
    total = counts.sum()
    prior = counts.sum(axis=0) / total if total else np.full(classes, 1 / classes)
    counts[levels + 1] = 0  # levels of too few patients count in the prior alone, as unseen ones will
    return np.asarray((counts + _SMOOTHING * prior) / (counts.sum(axis=1, keepdims=True) + _SMOOTHING))
