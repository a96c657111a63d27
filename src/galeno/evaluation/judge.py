"""The judge: every figure of a model on labelled rows, with intervals, groups and patients."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.evaluation.bootstrap import intervals, ranked_resamples, resamples
from galeno.evaluation.fairness import gaps, smallest
from galeno.evaluation.metrics import (
    BINS,
    CONFORMAL,
    MAIN,
    PER_CLASS,
    Judged,
    Replicates,
    Tally,
    confidence_bin,
    nest,
    point_figures,
)
from galeno.records import Labels, Probabilities
from galeno.study import Judging

HISTOGRAM_BINS = 20
_CURVE_POINTS = 60


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the judge found. Holds counts and figures, no patient rows.

    Attributes:
        classes: names of the package's classes.
        figures: n, main figures, `conformal`, `per_class` (see `metrics`).
        per_group: column to group to figures.
        gap: column to figures: greatest minus smallest over the groups with enough patients.
        per_patient: the figures with the rows of a patient aggregated: mean probability, most
            frequent label (ties go to the rarer class), answers of the decision rule.
        intervals: [low, high] or None under the same paths as the figures (also below
            `per_group`, `gap` and `per_patient`); empty without bootstrap.
        patients: {all, per_class, answered, per_group {column: {group: {all, per_class, answered}}},
            gap {column: {all, per_class}}}.
        confusion: {counts: rows by true class and answer, other: answers of labels outside the classes}.
        reliability: bins {low, high, n, confidence, accuracy} of the most probable class.
        plots: {roc, pr: class to [x, y]; right, wrong: histogram of the answers' top probability}.
        unknown: labels outside the classes, with their rows.
        rows: digest of the judged patients; equal where the same rows were judged.
        resamples: bootstrap resamples.
        confidence: level of the intervals.
    """

    classes: tuple[str, ...]
    figures: dict[str, Any]
    per_group: dict[str, dict[str, dict[str, Any]]]
    gap: dict[str, dict[str, Any]]
    per_patient: dict[str, Any]
    intervals: dict[str, Any]
    patients: dict[str, Any]
    confusion: dict[str, Any]
    reliability: list[dict[str, Any]]
    plots: dict[str, Any]
    unknown: dict[str, int]
    rows: str
    resamples: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the figures stand at the top level. `from_dict` reads it back."""
        data = asdict(self)
        data["classes"] = list(self.classes)
        found = data.pop("figures")
        return {**found, **data}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Evaluation":
        """The evaluation that `to_dict` wrote."""
        names = {field.name for field in fields(cls)} - {"figures", "classes"}
        figures = {key: value for key, value in data.items() if key not in names and key != "classes"}
        parts = {name: data[name] for name in names}
        return cls(classes=tuple(data["classes"]), figures=figures, **parts)

    def value(self, path: str) -> tuple[float | None, int]:
        """A figure and the number of patients it stands on.

        Args:
            path: dotted path such as `macro_f1`, `conformal.coverage`, `per_class.NAME.recall`,
                `per_group.COLUMN.GROUP.accuracy`, `gap.COLUMN.macro_f1`, `per_patient.accuracy`;
                names may hold dots themselves.

        Returns:
            (None, n) where the figure is not defined, (None, 0) for a group without rows.

        Raises:
            KeyError: the path is no figure of this evaluation.
        """
        keys = self.keys(path)
        return _descend(self.to_dict(), keys), self._standing_on(keys)

    def interval(self, path: str) -> tuple[float, float] | None:
        """The confidence interval of a figure, None where there is none."""
        found = _descend(self.intervals, self.keys(path))
        return None if found is None else (found[0], found[1])

    def keys(self, path: str) -> tuple[str, ...]:
        """The path as keys. A group that has no rows is taken as named; anything else must exist.

        Raises:
            KeyError: the path is no figure of this evaluation.
        """
        head, _, rest = path.partition(".")
        if head == "per_patient":
            return (head, *_figure_keys(rest, self.classes))
        if head in ("gap", "per_group"):
            for column in sorted(self.per_group, key=len, reverse=True):
                below = rest.removeprefix(f"{column}.")
                if below == rest:
                    continue
                keys = (
                    _figure_keys(below, self.classes)
                    if head == "gap"
                    else _group_keys(below, tuple(self.per_group[column]), self.classes)
                )
                return (head, column, *keys)
            raise KeyError(path)
        return _figure_keys(path, self.classes)

    def paths(self) -> tuple[str, ...]:
        """Every figure path of this evaluation."""
        own = [*MAIN, *(f"conformal.{name}" for name in CONFORMAL)]
        own += [f"per_class.{label}.{name}" for label in self.classes for name in PER_CLASS]
        groups = [f"per_group.{c}.{g}.{p}" for c, found in self.per_group.items() for g in found for p in own]
        gap = [f"gap.{column}.{path}" for column in self.gap for path in own]
        return (*own, *groups, *gap, *(f"per_patient.{path}" for path in own))

    def _standing_on(self, keys: tuple[str, ...]) -> int:
        counts: Mapping[str, Any] | None = self.patients
        if keys[0] == "per_patient":
            keys = keys[1:]
        elif keys[0] == "gap":
            counts, keys = self.patients["gap"][keys[1]], keys[2:]
        elif keys[0] == "per_group":
            counts, keys = self.patients["per_group"][keys[1]].get(keys[2]), keys[3:]
        if counts is None:
            return 0
        if keys[0] != "per_class":
            return int(counts["all"])
        if keys[2] == "precision" and "answered" in counts:
            return int(counts["answered"][keys[1]])
        found = int(counts["per_class"][keys[1]])
        return (
            min(found, int(counts["others"][keys[1]])) if keys[2] == "auc" and "others" in counts else found
        )


def _figure_keys(path: str, classes: Sequence[str]) -> tuple[str, ...]:
    if path in MAIN or path == "n":
        return (path,)
    head, _, rest = path.partition(".")
    if head == "conformal" and rest in CONFORMAL:
        return (head, rest)
    label, _, figure = rest.rpartition(".")
    if head == "per_class" and label in classes and figure in (*PER_CLASS, "n"):
        return (head, label, figure)
    raise KeyError(path)


def _group_keys(path: str, groups: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Group and figure; a group without rows is whatever stands before a figure."""
    parts = path.split(".")
    cuts = range(1, len(parts))
    for known in (True, False):
        for cut in cuts:
            group = ".".join(parts[:cut])
            if known and group not in groups:
                continue
            try:
                return (group, *_figure_keys(".".join(parts[cut:]), classes))
            except KeyError:
                continue
    raise KeyError(path)


def _descend(data: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(data, Mapping) or key not in data:
            return None
        data = data[key]
    return data


@dataclass(frozen=True, slots=True)
class _Measured:
    figures: dict[str, Any]
    intervals: dict[str, Any]
    point: Replicates
    draws: Replicates | None
    patients: dict[str, Any]


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


def judge(
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
        groups: column to the group of each row (see `fairness.group_labels`).
        judging: resamples and level of the intervals.
        seed: seed of the resamples; the same patients and seed give the same resamples.
        unknown: labels outside the classes, with their rows.
        rule: the decision rule, applied to a patient's mean probabilities; without it the answer
            that most rows of the patient have, ties to the more probable.
        min_patients: a group with fewer does not count in gaps.
    """
    names, unit_of, rows = np.unique(
        np.asarray(patients, dtype=np.str_), return_inverse=True, return_counts=True
    )
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
    by_patient = whole
    if len(names) < len(judged.labels):
        by_patient = bench.measure(aggregate_patients(judged, unit_of, rule), np.arange(len(names)))
    columns = {name: _measure_groups(bench, judged, unit_of, np.asarray(of)) for name, of in groups.items()}
    gap = {name: _measure_gap(bench, found, min_patients) for name, found in columns.items()}
    return Evaluation(
        classes=bench.classes,
        figures=whole.figures,
        per_group={column: {g: m.figures for g, m in found.items()} for column, found in columns.items()},
        gap={column: found for column, (found, _, _) in gap.items()},
        per_patient=by_patient.figures,
        intervals={
            **whole.intervals,
            "per_group": {
                column: {g: m.intervals for g, m in found.items()} for column, found in columns.items()
            },
            "gap": {column: found for column, (_, found, _) in gap.items()},
            "per_patient": by_patient.intervals,
        }
        if len(bench.weights)
        else {},
        patients={
            **whole.patients,
            "per_group": {
                column: {g: m.patients for g, m in found.items()} for column, found in columns.items()
            },
            "gap": {column: found for column, (_, _, found) in gap.items()},
        },
        confusion=_confusion(judged),
        reliability=_reliability(judged),
        plots=_plots(judged, bench.classes),
        unknown=dict(unknown or {}),
        rows=_digest(names, rows),
        resamples=len(bench.weights),
        confidence=judging.confidence,
    )


def aggregate_patients(
    judged: Judged, unit_of: NDArray[np.int64], rule: Callable[[Probabilities], Labels] | None
) -> Judged:
    """One row a patient; a class is in a patient's set where it is in at least half of the rows' sets."""
    units, k = int(unit_of.max()) + 1, judged.probabilities.shape[1]
    rows = np.bincount(unit_of, minlength=units)[:, None]
    means = _sum_by(judged.probabilities, unit_of, units) / rows
    votes = np.bincount(unit_of * (k + 1) + judged.labels + 1, minlength=units * (k + 1)).reshape(
        units, k + 1
    )
    overall = votes.sum(axis=0)
    preference = np.empty(k + 1, dtype=np.int64)
    preference[np.lexsort((np.arange(k + 1), -overall))] = np.arange(k + 1)
    preference[0] = -1
    labels = (votes * (k + 2) + preference).argmax(axis=1) - 1
    if rule is not None:
        answers = np.asarray(rule(means), dtype=np.int64)
    else:
        chosen = np.bincount(unit_of * k + judged.answers, minlength=units * k).reshape(units, k)
        answers = (chosen + means / 2).argmax(axis=1)
    sets = (
        None if judged.sets is None else _sum_by(judged.sets.astype(np.float64), unit_of, units) / rows >= 0.5
    )
    return Judged(labels.astype(np.int64), means, answers.astype(np.int64), sets)


def _sum_by(values: NDArray[np.float64], unit_of: NDArray[np.int64], units: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(unit_of, weights=column, minlength=units) for column in values.T], axis=1)


def _measure_groups(
    bench: _Bench, judged: Judged, unit_of: NDArray[np.int64], group_of: NDArray[Any]
) -> dict[str, _Measured]:
    masks = {str(name): group_of == name for name in np.unique(group_of)}
    return {name: bench.measure(judged.rows(mask), unit_of[mask]) for name, mask in masks.items()}


def _measure_gap(
    bench: _Bench, found: dict[str, _Measured], min_patients: int
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Gap, its intervals, and the patients it stands on."""
    counts = {name: m.patients["all"] for name, m in found.items()}
    of_class = {
        name: np.array([m.patients["per_class"][label] for label in bench.classes])
        for name, m in found.items()
    }
    standing = {
        "all": smallest(counts, min_patients),
        "per_class": {
            label: smallest({name: of_class[name][index] for name in found}, min_patients)
            for index, label in enumerate(bench.classes)
        },
    }
    if not found:
        return {}, {}, standing
    point = gaps({name: m.point for name, m in found.items()}, counts, of_class, min_patients)
    figures = nest({name: values[0] for name, values in point.items()}, bench.classes)
    draws = {name: m.draws for name, m in found.items() if m.draws is not None}
    if not draws:
        return figures, {}, standing
    drawn = gaps(draws, counts, of_class, min_patients)
    everywhere = np.full(len(bench.classes), standing["all"])
    return figures, intervals(drawn, bench.confidence, bench.classes, standing["all"], everywhere), standing


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


def _confusion(judged: Judged) -> dict[str, Any]:
    k = judged.probabilities.shape[1]
    where = np.where(judged.labels >= 0, judged.labels, k) * k + judged.answers
    counts = np.bincount(where, minlength=(k + 1) * k).reshape(k + 1, k)
    return {"counts": counts[:k].tolist(), "other": counts[k].tolist()}


def _reliability(judged: Judged) -> list[dict[str, Any]]:
    known = judged.rows(judged.labels >= 0)
    if not len(known.labels):
        return []
    top = known.probabilities.argmax(axis=1)
    confidence = known.probabilities.max(axis=1)
    bins = confidence_bin(confidence)
    found = []
    for index in np.unique(bins):
        inside = bins == index
        found.append(
            {
                "low": round(float(index / BINS), 4),
                "high": round(float((index + 1) / BINS), 4),
                "n": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "accuracy": float((top[inside] == known.labels[inside]).mean()),
            }
        )
    return found


def _plots(judged: Judged, classes: Sequence[str]) -> dict[str, Any]:
    known = judged.rows(judged.labels >= 0)
    roc, pr = {}, {}
    for index, name in enumerate(classes):
        positive = known.labels == index
        if positive.any() and not positive.all():
            roc[name], pr[name] = _curves(positive, known.probabilities[:, index])
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    right = judged.answers == judged.labels
    top = judged.probabilities[np.arange(len(judged.answers)), judged.answers]
    histogram = {
        name: np.histogram(top[mask], bins=edges)[0].tolist()
        for name, mask in (("right", right), ("wrong", ~right))
    }
    return {"roc": roc, "pr": pr, **histogram}


def _curves(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[list[Any], list[Any]]:
    """ROC as [false positive rate, recall] and PR as [recall, precision], thinned to some 60 points."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    rates = np.stack([(ends + 1 - hits[ends]) / (~positive).sum(), hits[ends] / positive.sum()])
    walked = np.cumsum(np.abs(np.diff(rates, axis=1, prepend=0)).sum(axis=0))
    kept = np.unique(
        np.searchsorted(walked, np.linspace(0, walked[-1], _CURVE_POINTS)).clip(0, len(ends) - 1)
    )
    recall, precision = rates[1, kept], hits[ends[kept]] / (ends[kept] + 1)
    roc = [[0.0, *np.round(rates[0, kept], 4).tolist()], [0.0, *np.round(recall, 4).tolist()]]
    return roc, [np.round(recall, 4).tolist(), np.round(precision, 4).tolist()]


def _digest(names: NDArray[np.str_], rows: NDArray[np.int64]) -> str:
    listed = "\n".join(f"{name}\t{count}" for name, count in zip(names.tolist(), rows.tolist(), strict=True))
    return hashlib.sha256(listed.encode()).hexdigest()
