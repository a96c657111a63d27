"""Numbers of a record: fill, clip, scale, mark what was missing, rank what is skewed."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from galeno.features.encoder import Arrays, FeatureColumn
from galeno.records import FloatMatrix

Kind = Literal["number", "flag", "part"]
"""number: scaled, may get a rank copy. flag: 0 or 1. part: of a date, scaled by its own constant."""

_HUGE = 1e30
"""Larger values would overflow when they are squared or become float32."""
_LARGEST_SCALED = 1e6
_BULK = 3.0
"""Scaled values beyond it are drawn in: kernels and networks cannot bear one lab value at 300."""
_TAIL_LENGTH = 5.0
"""However large a number, its scaled value stays below `_BULK + _TAIL_LENGTH`."""
_GRID = 129
"""Quantiles kept of a skewed number."""
_SKEWED = 1.0
_TAIL = 0.005
"""Share of values on each side that the scale does not listen to."""
_NORMAL_IQR = 1.349
"""Interquartile range of a standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number taken from a record, before anything is learned about it."""

    name: str
    source: str
    kind: Kind
    scale: float = 1.0
    """Divisor of a part."""
    marks_missing: bool = True


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Piecewise linear map from value to rank, by stored quantiles.

    `of_one` does for one value, as Python floats, what `of_many` does for an array: the same operations
    in the same order, so that the answers are equal bit by bit.
    """

    measure: int
    grid: NDArray[np.float64]
    ranks: NDArray[np.float64]
    slopes: NDArray[np.float64]
    lists: tuple[list[float], list[float], list[float]]

    @classmethod
    def through(cls, measure: int, grid: NDArray[np.float64], ranks: NDArray[np.float64]) -> Self:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            slopes = np.diff(ranks) / np.diff(grid)
        slopes = np.where(np.isfinite(slopes), slopes, 0.0)
        return cls(measure, grid, ranks, slopes, (grid.tolist(), ranks.tolist(), slopes.tolist()))

    def of_many(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        place = np.clip(np.searchsorted(self.grid, values, "right") - 1, 0, len(self.grid) - 2)
        inside = np.minimum(np.maximum(values, self.grid[0]), self.grid[-1])
        ranks: NDArray[np.float64] = self.ranks[place] + (inside - self.grid[place]) * self.slopes[place]
        return ranks

    def of_one(self, value: float) -> float:
        grid, ranks, slopes = self.lists
        place = bisect_right(grid, value) - 1
        if place < 0:
            place, value = 0, grid[0]
        elif place > len(grid) - 2:
            place, value = len(grid) - 2, grid[-1]
        return ranks[place] + (value - grid[place]) * slopes[place]


class NumberScaler:
    """Turns raw measures, NaN where missing, into scaled columns, missing marks and rank copies.

    Values are clipped to the span of the fitting rows, widened by that span on both sides. Where numbers are
    scaled, z beyond 3 becomes 3 + a / (1 + a / 5) with a = |z| - 3, sign kept: the bulk stays linear, and
    trees, which only see the order, see the same.
    """

    def __init__(
        self,
        measures: Sequence[Measure],
        learned: NDArray[np.float64],
        marks: NDArray[np.int64],
        ranks: Sequence[_Ranks],
    ) -> None:
        """Prepare.

        Args:
            measures: what each raw column is.
            learned: shape (7, measures); rows fill, center, scale, low, high, bulk, 1 where it has a column.
            marks: indices of the measures whose missing values are marked.
            ranks: rank copies.
        """
        self._measures = tuple(measures)
        self._learned = learned
        self._marks = marks
        self._ranks = tuple(ranks)
        self._fill, self._center, self._scale, self._low, self._high, self._bulk = learned[:6]
        self._kept = np.flatnonzero(learned[6])
        self._scalars: list[tuple[float, ...]] = list(
            zip(*learned[:6].tolist(), learned[6] != 0, strict=True)
        )
        self._marked: list[int] = marks.tolist()
        self.columns = self._name_columns()

    @classmethod
    def fit(cls, measures: Sequence[Measure], raw: NDArray[np.float64], scale: str, copies: bool) -> Self:
        """Learn from raw values, shape (rows, measures), NaN or infinite where missing."""
        learned = np.tile(
            np.array([[0.0], [0.0], [1.0], [0.0], [0.0], [_LARGEST_SCALED], [0.0]]), (1, len(measures))
        )
        marks: list[int] = []
        ranks: list[_Ranks] = []
        for index, measure in enumerate(measures):
            missing = ~np.isfinite(raw[:, index])
            values = np.sort(np.clip(raw[~missing, index], -_HUGE, _HUGE))
            if not values.size:
                continue
            learned[:, index] = _learn(measure, values, scale)
            if missing.any() and measure.marks_missing:
                marks.append(index)
            if copies and measure.kind == "number" and _skewness(values) > _SKEWED:
                ranks.append(_learn_ranks(index, values))
        return cls(measures, learned, np.array(marks, np.int64), ranks)

    def write(self, raw: NDArray[np.float64], out: FloatMatrix) -> None:
        """Write the columns for raw values, shape (rows, measures)."""
        x, missing = self._scale_into(raw, out)
        at = len(self._kept) + len(self._marks)
        for ranks in self._ranks:
            out[:, at] = np.where(missing[:, ranks.measure], 0.0, ranks.of_many(x[:, ranks.measure]))
            at += 1

    def write_record(self, raw: Sequence[float], out: NDArray[np.float32]) -> None:
        """Write the columns of one record, given its raw measures.

        What `_scale_into` does for arrays is done here for floats, in the same order: forty numbers are
        sooner computed one by one than with as many array operations.
        """
        row: list[float] = []
        clipped: list[float] = []
        for value, (fill, center, scale, low, high, bulk, kept) in zip(raw, self._scalars, strict=True):
            x = value if isfinite(value) else fill
            x = low if x < low else high if x > high else x
            clipped.append(x)
            if kept:
                z = (x - center) / scale
                if not -bulk <= z <= bulk:
                    z = min(max(z, -_LARGEST_SCALED), _LARGEST_SCALED)
                    edge = min(max(z, -bulk), bulk)
                    beyond = z - edge
                    z = edge + beyond / (1.0 + abs(beyond) / _TAIL_LENGTH)
                row.append(z + 0.0)  # which makes no difference but to -0.0, there as here
        row += [not isfinite(raw[i]) for i in self._marked]
        row += [r.of_one(clipped[r.measure]) if isfinite(raw[r.measure]) else 0.0 for r in self._ranks]
        out[: len(row)] = row

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned; the measures are the caller's to keep."""
        arrays: Arrays = {"learned": self._learned, "marks": self._marks}
        arrays["rank_of"] = np.array([r.measure for r in self._ranks], np.int64)
        arrays["rank_sizes"] = np.array([len(r.grid) for r in self._ranks], np.int64)
        arrays["rank_grid"] = np.concatenate([np.zeros(0), *(r.grid for r in self._ranks)])
        arrays["rank_ranks"] = np.concatenate([np.zeros(0), *(r.ranks for r in self._ranks)])
        measures = [[m.name, m.source, m.kind, m.scale, m.marks_missing] for m in self._measures]
        return {"measures": measures}, arrays

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        """The scaler that `state` came from."""
        ends = np.cumsum(arrays["rank_sizes"])[:-1]
        parts = zip(
            arrays["rank_of"].tolist(),
            np.split(arrays["rank_grid"], ends),
            np.split(arrays["rank_ranks"], ends),
            strict=False,
        )
        ranks = [_Ranks.through(index, grid, values) for index, grid, values in parts]
        return cls([Measure(*m) for m in state["measures"]], arrays["learned"], arrays["marks"], ranks)

    def _scale_into(
        self, raw: NDArray[np.float64], out: FloatMatrix
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        missing = ~np.isfinite(raw)
        x = np.where(missing, self._fill, raw)
        np.maximum(x, self._low, out=x)
        np.minimum(x, self._high, out=x)
        z = (x - self._center) / self._scale
        np.maximum(z, -_LARGEST_SCALED, out=z)
        np.minimum(z, _LARGEST_SCALED, out=z)
        bulk = np.minimum(np.maximum(z, -self._bulk), self._bulk)
        beyond = z - bulk
        z = bulk + beyond / (1.0 + np.abs(beyond) / _TAIL_LENGTH)
        kept, marks = len(self._kept), len(self._marks)
        out[:, :kept] = z[:, self._kept]
        out[:, kept : kept + marks] = missing[:, self._marks]
        return x, missing

    def _name_columns(self) -> tuple[FeatureColumn, ...]:
        named = [FeatureColumn(self._measures[i].name, self._measures[i].source, "table") for i in self._kept]
        for i in self._marks:
            source = self._measures[i].source
            named.append(FeatureColumn(f"{source} missing", source, "table"))
        for ranks in self._ranks:
            measure = self._measures[ranks.measure]
            named.append(FeatureColumn(f"{measure.name} rank", measure.source, "copies"))
        return tuple(named)


def _learn(measure: Measure, values: NDArray[np.float64], scale: str) -> tuple[float, ...]:
    """fill, center, scale, low, high, bulk, kept; of sorted finite values."""
    low, high = float(values[0]), float(values[-1])
    kept = float(low < high)
    if measure.kind == "flag":
        return 0.0, 0.0, 1.0, 0.0, 1.0, _LARGEST_SCALED, kept
    median = float(np.median(values))
    center, spread, bulk = median, measure.scale, _LARGEST_SCALED
    if measure.kind == "number":
        center, spread = _center_and_spread(values, scale)
        bulk = _LARGEST_SCALED if scale == "none" else _BULK
    span = high - low
    return median, center, spread, low - span, high + span, bulk, kept


def _center_and_spread(values: NDArray[np.float64], scale: str) -> tuple[float, float]:
    if scale == "none":
        return 0.0, 1.0
    low, first, median, third, high = np.quantile(values, (_TAIL, 0.25, 0.5, 0.75, 1 - _TAIL))
    clipped = np.clip(values, low, high) if low < high else values
    center, spread = float(clipped.mean()), float(clipped.std())
    if scale == "robust":
        center = float(median)
        spread = float(third - first) / _NORMAL_IQR or spread
    smallest = 1e-9 * max(abs(center), 1e-20)
    return center, spread if spread > smallest else 1.0


def _skewness(values: NDArray[np.float64]) -> float:
    """Size of the third standardised moment; 0 for values that have no spread."""
    spread = values.std()
    if not spread > 0:
        return 0.0
    return abs(float((((values - values.mean()) / spread) ** 3).mean()))


def _learn_ranks(index: int, values: NDArray[np.float64]) -> _Ranks:
    """Mid-ranks at quantiles of sorted values, scaled to mean 0 and variance 1 as if evenly spread."""
    places = np.linspace(0, len(values) - 1, min(_GRID, len(values))).round().astype(np.int64)
    grid = np.unique(values[places])
    middle = (np.searchsorted(values, grid, "left") + np.searchsorted(values, grid, "right")) / 2
    return _Ranks.through(index, grid, (middle / len(values) - 0.5) * np.sqrt(12.0))
