"""What a judge found: figures, intervals, groups, patients; looked up by dotted path."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the judge found. Holds counts and figures, no patient rows.

    Attributes:
        classes: names of the package's classes.
        figures: n, main figures, `conformal`, `per_class` (see `metrics`).
        per_group: column to group to figures.
        gap: column to figures: greatest minus smallest over the groups with enough patients.
        per_patient: the figures with the rows of a patient taken together: mean probability, the label
            that his rows have, the answer of the decision rule. Patients whose rows have different
            labels are left out.
        intervals: [low, high] or None under the same paths as the figures (also below
            `per_group`, `gap` and `per_patient`); empty without bootstrap.
        patients: {all, per_class, answered, per_group {column: {group: {all, per_class, answered}}},
            gap {column: {all, per_class}}, per_patient {all, per_class, answered} where `pooling` is}.
        confusion: {counts: rows by true class and answer, other: answers of labels outside the classes}.
        reliability: bins {low, high, n, confidence, accuracy} of the most probable class.
        plots: {roc, pr: class to [x, y]; right, wrong: histogram of the answers' top probability}.
        unknown: labels outside the classes, with their rows.
        rows: digest of the judged patients; equal where the same rows were judged.
        resamples: bootstrap resamples.
        confidence: level of the intervals.
        pooling: {rows_per_patient: mean, several: patients with several rows, mixed: patients whose rows
            have different labels}; None where every patient has one row, and in evaluations of older
            packages, which held a patient's most frequent label for true.
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
    pooling: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the figures stand at the top level. `from_dict` reads it back."""
        data = asdict(self)
        data["classes"] = list(self.classes)
        found = data.pop("figures")
        return {**found, **data}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Evaluation":
        """The evaluation that `to_dict` wrote."""
        parts = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        parts.pop("classes")
        figures = {name: data[name] for name in ("n", *MAIN, "conformal", "per_class")}
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
        scopes = {"per_group": self.per_group, "gap": self.gap, "per_patient": self.per_patient}
        return _descend({**self.figures, **scopes}, keys), self._standing_on(keys)

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
            return (head, *figure_keys(rest, self.classes))
        if head in ("gap", "per_group"):
            for column in sorted(self.per_group, key=len, reverse=True):
                below = rest.removeprefix(f"{column}.")
                if below == rest:
                    continue
                keys = (
                    figure_keys(below, self.classes)
                    if head == "gap"
                    else split_group(below, tuple(self.per_group[column]), self.classes)
                )
                return (head, column, *keys)
            raise KeyError(path)
        return figure_keys(path, self.classes)

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
            counts, keys = self.patients.get("per_patient", self.patients), keys[1:]
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


def figure_keys(path: str, classes: Sequence[str]) -> tuple[str, ...]:
    """The keys of a figure of one set of rows, such as `per_class.NAME.recall`.

    Raises:
        KeyError: no such figure.
    """
    if path in MAIN or path == "n":
        return (path,)
    head, _, rest = path.partition(".")
    if head == "conformal" and rest in CONFORMAL:
        return (head, rest)
    label, _, figure = rest.rpartition(".")
    if head == "per_class" and label in classes and figure in (*PER_CLASS, "n"):
        return (head, label, figure)
    raise KeyError(path)


def split_group(path: str, groups: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Group and figure; a group that is not among `groups` is whatever stands before a figure.

    Raises:
        KeyError: there is no figure at the end.
    """
    parts = path.split(".")
    cuts = range(1, len(parts))
    for known in (True, False):
        for cut in cuts:
            group = ".".join(parts[:cut])
            if known and group not in groups:
                continue
            try:
                return (group, *figure_keys(".".join(parts[cut:]), classes))
            except KeyError:
                continue
    raise KeyError(path)


def _descend(data: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(data, Mapping) or key not in data:
            return None
        data = data[key]
    return data
