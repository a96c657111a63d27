"""The gate: thresholds that a challenger must reach, and the champion that it must beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from galeno.errors import LearningError, StudyError
from galeno.evaluation.evaluation import Evaluation, figure_keys, split_group
from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS
from galeno.records import GateReport, Verdict
from galeno.study import LOWER_IS_BETTER, Gate

_TOLERANCE = 1e-12
"""Sums of floats in another order must not decide."""


def check_gate(gate: Gate, classes: Sequence[str], groups: Sequence[str]) -> None:
    """Check before learning that each figure of the gate can exist.

    A group's name is not checked: only the records tell which groups there are.

    Args:
        gate: the study's gate.
        classes: the study's class names.
        groups: the columns of evaluation.groups.

    Raises:
        StudyError: naming the figure that is not known and the known ones.
    """
    for path in gate.bounds:
        if not _is_known(path, classes, groups):
            raise _unknown(path, classes, groups)


def decide(gate: Gate, evaluation: Evaluation, champion: Evaluation | None) -> GateReport:
    """Hold a challenger against the gate.

    Each threshold gives one verdict. It is `too_few` where fewer than `gate.min_patients` patients
    stand under the figure, or where the figure is not defined; `gate.too_few` says what that means.
    The champion is compared in one figure, on the same test rows; `gate.margin` is how much worse
    the challenger may be, and an equal value passes.

    Args:
        gate: the study's gate.
        evaluation: the challenger, on the test part.
        champion: the champion on the same rows, or None where there is none.

    Raises:
        StudyError: a figure of the gate is none of the evaluation's.
        LearningError: the champion was judged on other rows.
    """
    check_gate(gate, evaluation.classes, tuple(evaluation.per_group))
    verdicts = []
    for path, bound in gate.bounds.items():
        value, n = evaluation.value(path)
        if bound.min is not None:
            verdicts.append(_against("min", bound.min, _Standing(path, value, n, gate.min_patients)))
        if bound.max is not None:
            verdicts.append(_against("max", bound.max, _Standing(path, value, n, gate.min_patients)))
    if champion is not None and gate.champion != "none":
        verdicts.append(_against_champion(gate, evaluation, champion))
    refusing = ("failed", "too_few") if gate.too_few == "refuse" else ("failed",)
    return GateReport(
        passed=not any(verdict.outcome in refusing for verdict in verdicts), verdicts=tuple(verdicts)
    )


def gate_from_dict(data: Mapping[str, object]) -> GateReport:
    """The report that `GateReport.to_dict` wrote."""
    lines = data["verdicts"]
    verdicts = tuple(Verdict(**line) for line in lines) if isinstance(lines, list | tuple) else ()
    return GateReport(passed=bool(data["passed"]), verdicts=verdicts)


@dataclass(frozen=True, slots=True)
class _Standing:
    """A figure, its value, the patients under it and how many are enough."""

    path: str
    value: float | None
    n: int
    least: int

    @property
    def cannot_tell(self) -> str:
        if self.n < self.least:
            return f"{self.n} patients stand under this figure; {self.least} are needed to tell"
        return "the figure is not defined on these rows" if self.value is None else ""


def _against(kind: Literal["min", "max"], threshold: float, at: _Standing) -> Verdict:
    if at.value is None or at.cannot_tell:
        return Verdict(at.path, kind, threshold, at.value, at.n, "too_few", at.cannot_tell)
    above = at.value >= threshold - _TOLERANCE
    passed = above if kind == "min" else at.value <= threshold + _TOLERANCE
    relation = "at least" if kind == "min" else "at most"
    reason = f"{at.value:.4f} {'is' if passed else 'is not'} {relation} {threshold:g}"
    return Verdict(at.path, kind, threshold, at.value, at.n, "passed" if passed else "failed", reason)


def _against_champion(gate: Gate, evaluation: Evaluation, champion: Evaluation) -> Verdict:
    if evaluation.rows != champion.rows:
        raise LearningError(
            "the champion was judged on other rows than the challenger",
            where="gate",
            remedy="Judge both on the test part of this run",
        )
    path = gate.champion
    value, n = evaluation.value(path)
    held, _ = champion.value(path)
    unsure = _Standing(path, None if held is None else value, n, gate.min_patients).cannot_tell
    if value is None or held is None or unsure:
        return Verdict(path, "champion", held, value, n, "too_few", unsure)
    worse = value - held if path in LOWER_IS_BETTER else held - value
    passed = worse <= gate.margin + _TOLERANCE
    reason = f"{value:.4f} against the champion's {held:.4f} on the same rows"
    if gate.margin:
        reason += f", {gate.margin:g} worse is let through"
    return Verdict(path, "champion", held, value, n, "passed" if passed else "failed", reason)


def _is_known(path: str, classes: Sequence[str], groups: Sequence[str]) -> bool:
    head, _, rest = path.partition(".")
    try:
        if head == "per_patient":
            figure_keys(rest, classes)
        elif head in ("gap", "per_group"):
            return any(_is_group_figure(head, rest, column, classes) for column in groups)
        else:
            figure_keys(path, classes)
    except KeyError:
        return False
    return True


def _is_group_figure(head: str, rest: str, column: str, classes: Sequence[str]) -> bool:
    if not rest.startswith(f"{column}."):
        return False
    below = rest.removeprefix(f"{column}.")
    try:
        if head == "gap":
            figure_keys(below, classes)
        else:
            split_group(below, (), classes)
    except KeyError:
        return False
    return True


def _unknown(path: str, classes: Sequence[str], groups: Sequence[str]) -> StudyError:
    own = [*MAIN, *(f"conformal.{name}" for name in CONFORMAL)]
    of_class = [f"per_class.{label}.{name}" for label in classes for name in PER_CLASS]
    of_gap = [f"gap.{column}.{name}" for column in groups for name in (*own, *of_class)]
    of_patient = [f"per_patient.{name}" for name in own]
    close = get_close_matches(path, [*own, *of_class, *of_gap, *of_patient], n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    more = "per_class.CLASS.recall, per_patient.macro_f1"
    if groups:
        more += ", per_group.COLUMN.GROUP.accuracy, gap.COLUMN.accuracy"
    remedy = f"{hint}Known figures: {', '.join(own)}, {more}; classes: {', '.join(classes)}"
    if groups:
        remedy += f"; group columns: {', '.join(groups)}"
    elif path.startswith(("gap", "per_group")):
        remedy += "; evaluation.groups names no column"
    return StudyError("is no figure of an evaluation", where=f"gate.{path}", remedy=remedy)
