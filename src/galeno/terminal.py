"""Progress on a terminal: one bar on standard error, plain lines where it is not a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

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
