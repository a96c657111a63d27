"""A run on the records that scikit-learn carries, done once by the installed command."""

from pathlib import Path

import pytest
from built_in import Story
from command_line import installed

from galeno.ingest.bundled import read_bundled


@pytest.fixture(scope="session")
def cancer(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """`galeno run studies/breast_cancer/study.yaml` with two trials; other tests only add to its home."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    study = repository / "studies" / "breast_cancer" / "study.yaml"
    quick = ["--set", "learning.budget.trials=2", "--set", "evaluation.bootstrap=50"]
    outcome = installed("run", study, "--home", home, *quick, "--json").ended(0)
    return Story(home, outcome, outcome.object, read_bundled("breast_cancer"))
