"""The judge: every figure of a model on labelled rows, with intervals, groups and patients."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.evaluation.bootstrap import intervals, ranked_resamples, resamples
from galeno.evaluation.curves import confusion, plots, reliability
from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.fairness import gaps, group_order, limit_groups, smallest
from galeno.evaluation.metrics import Judged, Replicates, Tally, nest, point_figures
from galeno.evaluation.patients import aggregate_patients
from galeno.records import Labels, Probabilities
from galeno.study import Judging

__all__ = ["Evaluation", "judge"]


@dataclass(frozen=True, slots=True)
class _Measured:
    figures: dict[str, Any]
    intervals: dict[str, Any]
    point: Replicates
    draws: Replicates | None
    patients: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Taken:
    """The rows of patients taken together, and of what kind the patients are."""

    measured: _Measured
    pooling: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every measurement shares: the same resamples make groups and champions comparable."""

    classes: tuple[str, ...]
    weights: NDArray[np.uint8]
    ranked: int
    confidence: float

    def measure(self, judged: Judged, unit_of: NDArray[np.int64]) -> _Measured:
        units = self.weights.shape[1]
        tally = Tally(judged, unit_of, units)
        point = tally.replicate(np.ones((1, units), dtype=np.uint8))
        patients = _count_patients(judged, unit_of, self.classes)
        draws = tally.replicate(self.weights, self.ranked) if len(self.weights) else None
        found: dict[str, Any] = {}
        if draws is not None:
            of_class = np.array([patients["per_class"][name] for name in self.classes])
            found = intervals(draws, self.confidence, self.classes, patients["all"], of_class)
        return _Measured(point_figures(tally, judged, self.classes), found, point, draws, patients)


def judge(  # noqa: PLR0917  (the rows, then how they are judged)
    labels: Labels,
    probabilities: Probabilities,
    answers: Labels,
    sets: NDArray[np.bool_] | None,
    classes: Sequence[str],
    patients: NDArray[Any],
    groups: Mapping[str, NDArray[Any]],
    judging: Judging,
    seed: int,
    unknown: Mapping[str, int] | None = None,
    *,
    rule: Callable[[Probabilities], Labels] | None = None,
    min_patients: int = 5,
) -> Evaluation:
    """Judge answers on labelled rows.

    Args:
        labels: class indices, shape (n,); -1 for labels outside the classes.
        probabilities: calibrated, shape (n, k).
        answers: class indices of the decision rule, shape (n,).
        sets: conformal sets, mask of shape (n, k), or None.
        classes: the k names.
        patients: patient of each row, shape (n,), any texts.
        groups: column to the group of each row (see `fairness.group_labels`); 20 groups at most are kept.
        judging: resamples and level of the intervals.
        seed: seed of the resamples; the same patients and seed give the same resamples.
        unknown: labels outside the classes, with their rows.
        rule: the decision rule, applied to a patient's mean probabilities (see `patients.pool_patients`);
            without it the answer that most rows of the patient have, ties to the more probable.
        min_patients: a group with fewer does not count in gaps.
    """
    texts = np.asarray(patients, dtype=np.str_)
    names, unit_of, rows = np.unique(texts, return_inverse=True, return_counts=True)
    judged = Judged(
        np.asarray(labels, dtype=np.int64),
        np.asarray(probabilities, dtype=np.float64),
        np.asarray(answers, dtype=np.int64),
        sets,
    )
    bench = _Bench(
        classes=tuple(classes),
        weights=resamples(len(names), judging.bootstrap if len(names) else 0, seed),
        ranked=ranked_resamples(len(judged.labels), len(classes), judging.bootstrap),
        confidence=judging.confidence,
    )
    whole = bench.measure(judged, unit_of)
    by_patient = _Taken(whole, None)
    if len(names) < len(judged.labels):
        by_patient = _measure_patients(bench, judged, unit_of, rows, rule)
    columns = {name: _measure_groups(bench, judged, unit_of, limit_groups(of)) for name, of in groups.items()}
    gap = {name: _measure_gap(bench, found, min_patients) for name, found in columns.items()}
    return Evaluation(
        classes=bench.classes,
        figures=whole.figures,
        per_group={column: {g: m.figures for g, m in found.items()} for column, found in columns.items()},
        gap={column: m.figures for column, m in gap.items()},
        per_patient=by_patient.measured.figures,
        intervals=_all_intervals(whole, by_patient.measured, columns, gap) if len(bench.weights) else {},
        patients={
            **whole.patients,
            "per_group": {c: {g: m.patients for g, m in found.items()} for c, found in columns.items()},
            "gap": {column: m.patients for column, m in gap.items()},
            **({"per_patient": by_patient.measured.patients} if by_patient.pooling else {}),
        },
        confusion=confusion(judged),
        reliability=reliability(judged),
        plots=plots(judged, bench.classes),
        unknown=dict(unknown or {}),
        rows=_digest(names, rows),
        resamples=len(bench.weights),
        confidence=judging.confidence,
        pooling=by_patient.pooling,
    )


def _all_intervals(
    whole: "_Measured",
    by_patient: "_Measured",
    columns: Mapping[str, Mapping[str, "_Measured"]],
    gap: Mapping[str, "_Gap"],
) -> dict[str, Any]:
    return {
        **whole.intervals,
        "per_group": {c: {g: m.intervals for g, m in found.items()} for c, found in columns.items()},
        "gap": {column: m.intervals for column, m in gap.items()},
        "per_patient": by_patient.intervals,
    }


def _measure_patients(
    bench: _Bench,
    judged: Judged,
    unit_of: NDArray[np.int64],
    rows: NDArray[np.int64],
    rule: Callable[[Probabilities], Labels] | None,
) -> _Taken:
    """One row a patient; those whose rows have different labels are left out and counted."""
    taken, kept = aggregate_patients(judged, unit_of, rule)
    counts = {
        "rows_per_patient": float(rows.mean()),
        "several": int((rows > 1).sum()),
        "mixed": len(rows) - len(kept),
    }
    return _Taken(bench.measure(taken, kept), counts)


def _measure_groups(
    bench: _Bench, judged: Judged, unit_of: NDArray[np.int64], group_of: NDArray[Any]
) -> dict[str, _Measured]:
    names = sorted((str(name) for name in np.unique(group_of)), key=group_order)
    masks = {name: group_of == name for name in names}
    return {name: bench.measure(judged.rows(mask), unit_of[mask]) for name, mask in masks.items()}


def _measure_gap(bench: _Bench, found: dict[str, _Measured], min_patients: int) -> "_Gap":
    counts = {name: int(m.patients["all"]) for name, m in found.items()}
    of_class = {
        name: np.array([m.patients["per_class"][label] for label in bench.classes])
        for name, m in found.items()
    }
    enough = smallest(counts, min_patients)
    per_class = {
        label: smallest({name: of_class[name][index] for name in found}, min_patients)
        for index, label in enumerate(bench.classes)
    }
    standing = {"all": enough, "per_class": per_class}
    if not found:
        return _Gap({}, {}, standing)
    point = gaps({name: m.point for name, m in found.items()}, counts, of_class, min_patients)
    figures = nest({name: values[0] for name, values in point.items()}, bench.classes)
    draws = {name: m.draws for name, m in found.items() if m.draws is not None}
    if not draws:
        return _Gap(figures, {}, standing)
    drawn = gaps(draws, counts, of_class, min_patients)
    every = np.array(list(per_class.values()))
    return _Gap(figures, intervals(drawn, bench.confidence, bench.classes, enough, every), standing)


@dataclass(frozen=True, slots=True)
class _Gap:
    figures: dict[str, Any]
    intervals: dict[str, Any]
    patients: dict[str, Any]


def _count_patients(judged: Judged, unit_of: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Distinct patients: all, by label, with another label of the classes, and by answer."""
    known = judged.labels >= 0

    def distinct(mask: NDArray[np.bool_]) -> int:
        return len(np.unique(unit_of[mask]))

    return {
        "all": len(np.unique(unit_of)),
        "per_class": {name: distinct(judged.labels == i) for i, name in enumerate(classes)},
        "others": {name: distinct(known & (judged.labels != i)) for i, name in enumerate(classes)},
        "answered": {name: distinct(judged.answers == i) for i, name in enumerate(classes)},
    }


def _digest(names: NDArray[np.str_], rows: NDArray[np.int64]) -> str:
    listed = "\n".join(f"{name}\t{count}" for name, count in zip(names.tolist(), rows.tolist(), strict=True))
    return hashlib.sha256(listed.encode()).hexdigest()
