"""Groups of patients judged apart: who is in which, and how far groups lie apart."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS, Replicates
from galeno.records import SITE
from galeno.study import Study

MISSING = "missing"
"""Group of the rows where the column is missing; reported, but never part of a gap."""
OTHER = "other"
MOST_GROUPS = 20
"""A column with more groups keeps the most frequent ones; the rest are `other`."""


def group_labels(frame: pl.DataFrame, study: Study) -> dict[str, NDArray[np.str_]]:
    """The groups of each row, by column of the study's evaluation.groups.

    Args:
        frame: typed columns; the site is taken from `_site` where it has no column of its own.
        study: names the columns and the borders of the groups of numbers.

    Returns:
        column to texts, shape (n,); all `missing` where the frame has no such column.
    """
    found = {}
    for name in study.evaluation.groups:
        column = SITE if name not in frame.columns and name == study.records.site else name
        if column in frame.columns:
            found[name] = column_groups(frame[column], study.evaluation.age_bins)
        else:
            found[name] = np.full(frame.height, MISSING)
    return found


def column_groups(values: pl.Series, bins: Sequence[float]) -> NDArray[np.str_]:
    """The group of each row of one column.

    Args:
        values: a typed column. Numbers are cut at `bins`: `<18`, `18-<40`, `>=80`. Flags become
            `yes` and `no`, dates their year, anything else its text.
        bins: borders of the groups of numbers.

    Returns:
        texts, shape (n,); `missing` where the value is null or NaN.
    """
    if values.dtype.is_numeric():
        return _numeric_groups(values.cast(pl.Float64).to_numpy(), sorted(bins))
    if values.dtype == pl.Boolean:
        texts = values.replace_strict({True: "yes", False: "no"}, return_dtype=pl.String)
    elif values.dtype in (pl.Date, pl.Datetime):
        texts = values.dt.year().cast(pl.String)
    else:
        texts = values.cast(pl.String)
    return np.asarray(texts.fill_null(MISSING).to_list(), dtype=np.str_)


def limit_groups(labels: NDArray[Any]) -> NDArray[np.str_]:
    """The most frequent groups; the rest are `other`. Ties are settled by name."""
    texts = np.asarray(labels, dtype=np.str_)
    names, counts = np.unique(texts, return_counts=True)
    if len(names) <= MOST_GROUPS:
        return texts
    kept = names[np.lexsort((names, -counts))[:MOST_GROUPS]]
    return np.where(np.isin(texts, kept), texts, OTHER).astype(np.str_)


def group_order(name: str) -> tuple[int, float, str]:
    """Key that sorts groups as people read them: `<18`, `18-<40`, `>=80`, other names, `missing`."""
    if name in (MISSING, OTHER):
        return (4, float(name == MISSING), name)
    found = re.fullmatch(r"(<|>=)?(-?[\d.]+(?:e[+-]?\d+)?)(-<.+)?", name)
    if not found:
        return (3, 0.0, name)
    return ({"<": 0, ">=": 2}.get(found[1] or "", 1), float(found[2]), name)


def _numeric_groups(values: NDArray[np.float64], bins: Sequence[float]) -> NDArray[np.str_]:
    borders = [f"{border:g}" for border in bins]
    if not borders:
        return np.where(np.isnan(values), MISSING, "all").astype(np.str_)
    middle = [f"{low}-<{high}" for low, high in pairwise(borders)]
    names = np.array([f"<{borders[0]}", *middle, f">={borders[-1]}", MISSING], dtype=np.str_)
    index = np.searchsorted(np.asarray(bins, dtype=np.float64), values, side="right")
    return names[np.where(np.isnan(values), len(names) - 1, index)]


def gaps(
    groups: Mapping[str, Replicates],
    patients: Mapping[str, int],
    class_patients: Mapping[str, NDArray[np.int64]],
    min_patients: int,
) -> Replicates:
    """Greatest minus smallest value of each figure over the groups that can tell.

    A group counts where it has `min_patients` patients; for a figure of a class, where it has as
    many patients of that class. Fewer than two such groups leave the gap undefined.

    Args:
        groups: group name to its figures (point estimate or resamples; equal shapes).
        patients: patients a group.
        class_patients: patients a group and class, shape (classes,) each.
        min_patients: how many are enough.

    Returns:
        figure name to gap, shapes as in `groups`.
    """
    able = [name for name in groups if name != MISSING and patients[name] >= min_patients]
    found: Replicates = {}
    for figure in (*MAIN, *CONFORMAL, *PER_CLASS):
        values = [groups[name][figure] for name in able]
        if figure in PER_CLASS:
            enough = [class_patients[name] >= min_patients for name in able]
            values = [np.where(mask, value, np.nan) for value, mask in zip(values, enough, strict=True)]
        found[figure] = _spread(values, next(iter(groups.values()))[figure].shape)
    return found


def _spread(values: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if not values:
        return np.full(shape, np.nan)
    stacked = np.stack(values)
    defined = ~np.isnan(stacked)
    high = np.where(defined, stacked, -np.inf).max(axis=0)
    low = np.where(defined, stacked, np.inf).min(axis=0)
    return np.where(defined.sum(axis=0) >= 2, high - np.where(np.isinf(low), 0, low), np.nan)


def smallest(counts: Mapping[str, Any], min_patients: int) -> int:
    """Patients that a gap stands on: the second-largest group decides whether there is a gap at all.

    Args:
        counts: patients a group.
        min_patients: how many are enough.

    Returns:
        patients of the smallest group that counts, or of the second-largest where fewer than two count.
    """
    known = sorted((int(n) for name, n in counts.items() if name != MISSING), reverse=True)
    able = [n for n in known if n >= min_patients]
    if len(able) >= 2:
        return able[-1]
    return known[1] if len(known) > 1 else 0
