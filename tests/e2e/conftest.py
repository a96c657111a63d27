"""A run on the records that scikit-learn carries, done once by the installed command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from command_line import Outcome, installed

from galeno.ingest.bundled import read_bundled


@dataclass(frozen=True, slots=True)
class Story:
    """What a run left behind."""

    home: Path
    outcome: Outcome
    result: dict[str, Any]
    records: pl.DataFrame
    """The records that it learned from, with their conditions."""


@pytest.fixture(scope="session")
def cancer(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """`galeno run studies/breast_cancer/study.yaml` with two trials; other tests only add to its home."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    study = repository / "studies" / "breast_cancer" / "study.yaml"
    outcome = installed(
        "run",
        study,
        "--home",
        home,
        "--set",
        "learning.budget.trials=2",
        "--set",
        "evaluation.bootstrap=50",
        "--json",
    ).ended(0)
    return Story(home, outcome, outcome.object, read_bundled("breast_cancer"))
