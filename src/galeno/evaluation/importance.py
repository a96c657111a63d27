"""What the model's answers hang on: permutation importance by input column.

A column's importance is how much the log loss rises when its values are shuffled among the rows, so that
each row keeps all its other values (Breiman, Random forests, 2001; Fisher, Rudin and Dominici, JMLR 2019).
It is taken on rows that the model has not learned from. Columns that say the same stand in for each other,
and each then looks less important than both are together; a column's importance is no proof of a cause.

The cost is bounded by rows and not by the clock, so that the result depends on data and seed alone.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from galeno.records import Labels, Probabilities

MOST_ROWS = 1000
FEWEST_ROWS = 40
"""Fewer rows than this give noise; then nothing is said."""
MOST_WORK = 120_000
"""Rows times columns times members that may be answered; beyond it fewer rows are asked."""
FLOOR = 1e-4
"""Smaller probabilities of the true class count as this: one absurd answer must not decide."""

Answer = Callable[[pl.DataFrame], Probabilities]


@dataclass(frozen=True, slots=True)
class Importance:
    """What was measured; holds no patient rows.

    Attributes:
        rises: input column to mean rise of the log loss, in the order of the study; noise can make one
            negative. Empty where `skipped` says why.
        rows: rows that were asked.
        log_loss: of these rows, nothing shuffled; None where nothing was measured.
        skipped: `few_rows` with fewer than FEWEST_ROWS rows, `many_columns` where MOST_WORK leaves
            fewer than that; empty otherwise.
    """

    rises: Mapping[str, float]
    rows: int = 0
    log_loss: float | None = None
    skipped: Literal["", "few_rows", "many_columns"] = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `Importance(**...)` reads."""
        return {**asdict(self), "rises": dict(self.rises)}


def measure_importance(
    answer: Answer,
    frame: pl.DataFrame,
    labels: Labels,
    columns: Sequence[str],
    *,
    seed: int,
    members: int = 1,
    threads: int = 1,
) -> Importance:
    """Shuffle one input column at a time and see how much worse the answers become.

    Args:
        answer: from typed rows to calibrated probabilities, shape (rows, classes).
        frame: typed rows that the model has not learned from.
        labels: class index of each row, shape (rows,); rows with -1 are left out.
        columns: input columns, all of which are measured or none.
        seed: of the sample and the shuffling; each column is shuffled in the same way.
        members: models behind `answer`, for the bound on the work.
        threads: columns that are measured side by side.
    """
    known = np.flatnonzero(labels >= 0)
    affordable = MOST_WORK // max(1, len(columns) * members)
    if min(len(known), affordable) < FEWEST_ROWS:
        return Importance({}, skipped="few_rows" if len(known) < FEWEST_ROWS else "many_columns")
    rng = np.random.default_rng(seed)
    rows = rng.permutation(known)[: min(MOST_ROWS, affordable)]
    sample, truth = frame[rows], labels[rows]
    plain = _log_loss(answer(sample), truth)
    # The sample is in random order, so the neighbour above is a random other row, and never the row itself.
    donors = sample[np.roll(np.arange(len(rows)), 1)]

    def rise(column: str) -> float:
        # what is said of a value before (its description) goes with it
        shuffled = sample.with_columns(donors.select(f"^{re.escape(column)}(\x1f.*)?$"))
        return _log_loss(answer(shuffled), truth) - plain

    with ThreadPoolExecutor(threads) as pool:
        rises = dict(zip(columns, pool.map(rise, columns), strict=True))
    return Importance(rises, rows=len(rows), log_loss=plain)


def _log_loss(probabilities: Probabilities, labels: Labels) -> float:
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, FLOOR, 1)).mean())
