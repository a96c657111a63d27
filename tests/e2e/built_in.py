"""What the shared run on built-in records left behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from command_line import Outcome


@dataclass(frozen=True, slots=True)
class Story:
    """A run by the installed command."""

    home: Path
    outcome: Outcome
    result: dict[str, Any]
    records: pl.DataFrame
    """The records that it learned from, with their conditions."""
