"""On a terminal: progress, one bar on standard error or plain lines where it is none; tables and figures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from galeno.progress import Reporter, SearchProgress


class TerminalReporter:
    """Shows the step, the search with its best candidate, or rows done."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._task: TaskID | None = None

    def step(self, name: str) -> None:
        """A new step: a new line."""
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._task = self._progress.add_task(name, total=None, detail="")
        self._log(name)

    def search(self, progress: SearchProgress) -> None:
        """Move the bar by the budget spent."""
        best = "" if progress.score is None else f"best {progress.best} {progress.score:.3f}"
        detail = ", ".join(
            part for part in (f"trying {progress.trying}" if progress.trying else "", best) if part
        )
        if self._task is not None:
            self._progress.update(self._task, total=1.0, completed=progress.fraction, detail=detail)
        self._log(f"  {progress.tried} tried, {detail}")

    def rows(self, done: int) -> None:
        """Count rows."""
        if self._task is None:
            self._task = self._progress.add_task("records", total=None, detail="")
        self._progress.update(self._task, detail=f"{done:,}")

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, markup=False)

    def _log(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, highlight=False, markup=False)


@contextmanager
def terminal_reporter() -> Iterator[Reporter]:
    """A reporter for the length of one command."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield TerminalReporter(progress, console)


_OF_CLASS = ("n", "precision", "recall", "f1", "average_precision", "auc")


def print_figures(figures: Mapping[str, Any], noun: str) -> None:
    """Print what `galeno evaluate` found, of each record and, where patients have several, of each patient.

    Args:
        figures: as `evaluate_file` gives them.
        noun: what a record is called, such as `recording`.
    """
    intervals = figures["intervals"]
    views = [(f"per {noun}", figures, intervals)]
    pooling = figures["pooling"]
    if pooling is not None:
        views.append(("per patient", figures["per_patient"], intervals.get("per_patient", {})))
    own = ("resamples", "confidence", "pooling")
    names = [name for name, value in figures.items() if isinstance(value, int | float | None)]
    rows = [
        [name, *(_with_interval(view, found, name) for _, view, found in views)]
        for name in names
        if name not in own
    ]
    print_table(["figure", *(title for title, _, _ in views)] if pooling else ["figure", "value"], rows)
    for title, view, _ in views:
        typer.echo("")
        of_class = [
            [label, *(shown(row.get(name)) for name in _OF_CLASS)] for label, row in view["per_class"].items()
        ]
        print_table([f"class, {title}" if pooling else "class", *_OF_CLASS], of_class)
    _print_notes(figures, noun)


def _print_notes(figures: Mapping[str, Any], noun: str) -> None:
    """What a reader of the figures must know, on standard error."""
    pooling = figures["pooling"]
    if pooling is not None and pooling["mixed"]:
        told = f"patients have {noun}s of different conditions: left out of the figures per patient"
        typer.echo(f"{pooling['mixed']} {told}", err=True)
    for label, count in figures["unknown"].items():
        typer.echo(f"{count} rows are labelled {label!r}, which is no class of the package: misses", err=True)
    for reason, count in figures.get("faults", {}).items():
        typer.echo(f"{count} files could not be used ({reason}): their {noun}s are judged without", err=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print texts in columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def shown(value: Any) -> str:
    """A figure as a terminal shows it."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _with_interval(figures: Mapping[str, Any], intervals: Mapping[str, Any], name: str) -> str:
    if name not in figures:
        return ""
    found = intervals.get(name)
    return shown(figures[name]) + (f" ({shown(found[0])} to {shown(found[1])})" if found else "")
