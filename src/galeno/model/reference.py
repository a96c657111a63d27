"""What the training records looked like, in figures that no patient stands in alone.

A package keeps it to notice records unlike those the model learned from, and
later to measure drift. Ranges are rounded outward, borders of histograms to
three digits, and levels of categories are named only when LEAST_PATIENTS
patients have them; the rest are counted together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.records import PATIENT, Labels, Probabilities
from galeno.study import Column, Study

LEAST_PATIENTS = 5
BINS = 10
TOP_BINS = 20

Summary = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """Statistics of the training records.

    Attributes:
        rows: number of records.
        patients: number of patients.
        columns: column -> {type, count, missing} and, by type:
            number: low, high (range rounded outward), edges, counts (histogram, about equal counts);
            category: levels {level: share}, other (share of levels that few patients have);
            flag: true (share); text: words (mean number); terms: terms (mean number); date: nothing more.
        classes: share of each class among the training records.
        top: counts of the first condition's probability in TOP_BINS equal bins of 0..1, held-out rows.
    """

    rows: int
    patients: int
    columns: Mapping[str, Summary]
    classes: Mapping[str, float]
    top: tuple[int, ...]

    @classmethod
    def fit(cls, study: Study, frame: pl.DataFrame, labels: Labels, held_out: Probabilities) -> Self:
        """Summarise the training records.

        Args:
            study: names the columns and classes.
            frame: typed training records, with PATIENT where patients are known.
            labels: class of each record, shape (rows,).
            held_out: calibrated probabilities of records that were not learned from, shape (any, classes).
        """
        patients = frame[PATIENT] if PATIENT in frame.columns else pl.Series(range(frame.height))
        counts = np.bincount(labels[labels >= 0], minlength=len(study.classes))
        shares = counts / max(int(counts.sum()), 1)
        top = (
            np.histogram(held_out.max(axis=1), bins=TOP_BINS, range=(0, 1))[0]
            if len(held_out)
            else [0] * TOP_BINS
        )
        return cls(
            rows=frame.height,
            patients=patients.n_unique(),
            columns={
                name: _summarise(frame[name], column, patients)
                for name, column in study.features_columns.items()
            },
            classes={name: float(share) for name, share in zip(study.class_names, shares, strict=True)},
            top=tuple(int(count) for count in top),
        )

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest training value of each number column, rounded outward."""
        return {name: (s["low"], s["high"]) for name, s in self.columns.items() if s.get("low") is not None}

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        return {
            "rows": self.rows,
            "patients": self.patients,
            "columns": {name: dict(summary) for name, summary in self.columns.items()},
            "classes": dict(self.classes),
            "top": list(self.top),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The reference that `to_dict` wrote."""
        return cls(data["rows"], data["patients"], data["columns"], data["classes"], tuple(data["top"]))


def _summarise(values: pl.Series, column: Column, patients: pl.Series) -> dict[str, Any]:
    present = values.drop_nulls()
    missing = 1 - present.len() / max(values.len(), 1)
    summary: dict[str, Any] = {"type": column.type, "count": present.len(), "missing": missing}
    if column.type == "number":
        numbers = present.to_numpy()
        return summary | _describe_numbers(numbers[np.isfinite(numbers)])
    if column.type == "category":
        return summary | _describe_levels(values, patients)
    if column.type == "flag" and present.len():
        return summary | {"true": _number(present.mean())}
    if column.type == "terms" and present.len():
        return summary | {"terms": _number(present.str.count_matches("HP:", literal=True).mean())}
    if column.type == "text" and present.len():
        return summary | {"words": _number(present.str.count_matches(r"\S+").mean())}
    return summary


def _describe_numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    if not len(values):
        return {"low": None, "high": None, "edges": [], "counts": []}
    low, high = round_outward(float(values.min()), float(values.max()))
    inner = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])
    edges = sorted({_three_digits(float(edge), high - low) for edge in inner})
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {"low": low, "high": high, "edges": edges, "counts": [int(count) for count in counts]}


def _describe_levels(values: pl.Series, patients: pl.Series) -> dict[str, Any]:
    table = pl.DataFrame({"level": values, "patient": patients}).drop_nulls("level")
    found = table.group_by("level").agg(
        pl.len().alias("rows"), pl.col("patient").n_unique().alias("patients")
    )
    named = found.filter(pl.col("patients") >= LEAST_PATIENTS).sort(
        ["rows", "level"], descending=[True, False]
    )
    total = max(table.height, 1)
    levels = {str(level): rows / total for level, rows, _ in named.iter_rows()}
    return {"levels": levels, "other": (table.height - int(named["rows"].sum())) / total}


def round_outward(low: float, high: float) -> tuple[float, float]:
    """A range that holds low and high, with borders that are no patient's values.

    Borders lie on a grid of half a power of ten, 5 to 50 % of the span.
    """
    span = high - low or abs(high) or 1.0
    if not isfinite(span) or span < 1e-300:
        return low, high
    step = 10.0 ** floor(log10(span)) / 2
    below, above = floor(low / step) * step, ceil(high / step) * step
    return min(float(f"{below:.12g}"), low), max(float(f"{above:.12g}"), high)


def _three_digits(value: float, span: float) -> float:
    if not value or not isfinite(span) or span <= 0:
        return value
    return round(value, 2 - floor(log10(span)))


def _number(value: Any) -> float:
    return float(value)
