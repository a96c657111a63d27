"""What long work tells whoever watches it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """Where a search stands."""

    tried: int
    """Candidates judged so far."""
    fraction: float
    """Share of the budget that is spent, 0 to 1."""
    trying: str
    """Candidate being fitted now; empty when the search is over."""
    best: str
    """Best candidate so far; empty before the first."""
    score: float | None
    """Its selection score."""


class Reporter(Protocol):
    """A watcher: a terminal, a log, or nobody."""

    def step(self, name: str) -> None:
        """A step of the run begins."""

    def search(self, progress: SearchProgress) -> None:
        """The search tries its next candidate."""

    def rows(self, done: int) -> None:
        """So many rows of a file are done."""

    def note(self, text: str) -> None:
        """Something that the watcher should know, one sentence."""


class Silent:
    """Nobody watches."""

    def step(self, name: str) -> None:
        """Say nothing."""

    def search(self, progress: SearchProgress) -> None:
        """Say nothing."""

    def rows(self, done: int) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
