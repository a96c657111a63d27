"""The table encoder: numbers, flags, categories and dates of a record."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.features.categories import CategoryEncoder
from galeno.features.encoder import Arrays, CrossFitted, FeatureColumn, Sample, column_or_nulls
from galeno.features.numbers import Measure, NumberScaler
from galeno.recipes import Features
from galeno.records import FloatMatrix
from galeno.study import Column

_EPOCH = datetime(1970, 1, 1)
_DAY = 86_400_000_000.0
"""Microseconds."""
_NONE = float("nan")
A_HANDFUL = 6
"""From so many records on, arrays are faster than one number after the other."""
_ANGLES = 2 * np.pi * np.arange(367) / 366
# Both ways of encoding read the same tables: a sine may differ in the last bit between array lengths.
_SIN, _COS = np.sin(_ANGLES), np.cos(_ANGLES)
_DATE_PARTS = (
    ("days", 365.25),
    ("year", 1.0),
    ("weekday", 2.0),
    ("day of year sine", 1.0),
    ("day of year cosine", 1.0),
)


class TableEncoder:
    """All plain columns of a study.

    Numbers are filled with the median, scaled and clipped, flags are 0 or 1, and what was missing in the
    fitting rows is marked. A date gives days since the median date (in years), year, weekday and the
    place in the year on a circle. Categories: see `CategoryEncoder`. A column that never varies in the
    fitting rows gives no feature.
    """

    def __init__(self, kinds: Mapping[str, str], scaler: NumberScaler, categories: CategoryEncoder) -> None:
        """Join the parts; `kinds` holds the type of each number, flag and date column, in order."""
        self._kinds = dict(kinds)
        self._scaler = scaler
        self._categories = categories
        self._split = len(scaler.columns)
        self._readers = [(name, kind == "date") for name, kind in kinds.items()]
        self._dates = any(kind == "date" for kind in kinds.values())
        self.columns: tuple[FeatureColumn, ...] = (*scaler.columns, *categories.columns)

    @classmethod
    def fit(
        cls, columns: Mapping[str, Column], sample: Sample, features: Features, seed: int, threads: int
    ) -> tuple[Self, CrossFitted]:
        """Learn from the sample's rows alone."""
        del threads  # nothing here takes long enough to be shared out
        kinds = {name: column.type for name, column in columns.items() if column.type != "category"}
        names = [name for name, column in columns.items() if column.type == "category"]
        measures = [measure for name, kind in kinds.items() for measure in _measures(name, kind)]
        raw = _read_measures(kinds, sample.frame)
        scaler = NumberScaler.fit(measures, raw, features.table.scale, features.table.quantile_copies)
        categories, crossed = CategoryEncoder.fit(names, sample, features.table.one_hot_up_to, seed)
        encoder = cls(kinds, scaler, categories)
        return encoder, {encoder._split + at: values for at, values in crossed.items()}

    def write(self, frame: pl.DataFrame, out: FloatMatrix) -> None:
        """Write every row of the frame."""
        self._scaler.write(_read_measures(self._kinds, frame), out)
        self._categories.write(frame, out[:, self._split :])

    def write_record(self, values: Mapping[str, object], out: NDArray[np.float32]) -> None:
        """Write one record."""
        self._scaler.write_record(self._measure(values), out)
        self._categories.write_record(values, out[self._split :])

    def write_records(self, records: Sequence[Mapping[str, object]], out: FloatMatrix) -> None:
        """Write several records: their numbers all at once, which pays from a handful on."""
        if len(records) < A_HANDFUL:
            for values, row in zip(records, out, strict=True):
                self.write_record(values, row)
            return
        self._scaler.write(np.array([self._measure(values) for values in records], np.float64), out)
        for values, row in zip(records, out, strict=True):
            self._categories.write_record(values, row[self._split :])

    def _measure(self, values: Mapping[str, object]) -> list[Any]:
        """The raw measures of one record."""
        if not self._dates:
            found: list[Any] = [values.get(name) for name in self._kinds]
            return [_NONE if value is None else value for value in found]
        raw: list[Any] = []
        for name, is_date in self._readers:
            value: Any = values.get(name)
            if is_date:
                raw.extend(_date_parts(value))
            else:
                raw.append(_NONE if value is None else value)
        return raw

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned."""
        numbers, arrays = self._scaler.state()
        categories, tables = self._categories.state()
        return {"kinds": self._kinds, **numbers, **categories}, {**arrays, **tables}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder that `state` came from."""
        scaler = NumberScaler.from_state(dict(state), dict(arrays))
        return cls(state["kinds"], scaler, CategoryEncoder.from_state(state, arrays))


def _measures(name: str, kind: str) -> list[Measure]:
    if kind != "date":
        return [Measure(name, name, "flag" if kind == "flag" else "number")]
    return [
        Measure(f"{name} {part}", name, "part", scale, marks_missing=place == 0)
        for place, (part, scale) in enumerate(_DATE_PARTS)
    ]


def _read_measures(kinds: Mapping[str, str], frame: pl.DataFrame) -> NDArray[np.float64]:
    """Raw values, shape (rows, measures), NaN where missing."""
    read: list[NDArray[np.float64]] = []
    for name, kind in kinds.items():
        if kind == "date":
            read.extend(_read_date(column_or_nulls(frame, name, pl.Datetime("us"))))
        else:
            series = column_or_nulls(frame, name, pl.Boolean() if kind == "flag" else pl.Float64())
            read.append(_to_floats(series))
    return np.stack(read, axis=1) if read else np.zeros((frame.height, 0))


def _read_date(series: pl.Series) -> list[NDArray[np.float64]]:
    """The parts of each date; keep in step with `_date_parts`."""
    day = series.dt.ordinal_day().fill_null(0).to_numpy()
    missing = series.is_null().to_numpy()
    return [
        _to_floats(series.cast(pl.Int64)) / _DAY,
        _to_floats(series.dt.year()),
        _to_floats(series.dt.weekday()),
        np.where(missing, np.nan, _SIN[day]),
        np.where(missing, np.nan, _COS[day]),
    ]


def _date_parts(value: datetime | None) -> tuple[float, ...]:
    """The parts of one date; keep in step with `_read_date`."""
    if value is None:
        return (_NONE,) * len(_DATE_PARTS)
    since = value - _EPOCH
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    day = value.timetuple().tm_yday
    return (
        float(microseconds) / _DAY,
        float(value.year),
        float(value.isoweekday()),
        float(_SIN[day]),
        float(_COS[day]),
    )


def _to_floats(series: pl.Series) -> NDArray[np.float64]:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
