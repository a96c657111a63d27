"""What end-to-end tests begin with: a run on the records that scikit-learn carries, and a home with users."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from built_in import Story
from command_line import installed
from hospital import ROLES, add_user
from second_version import copy_home
from staffed import Staffed

from galeno.ingest.bundled import read_bundled

if TYPE_CHECKING:
    from galeno.pipeline.runner import RunResult


@pytest.fixture(scope="session")
def cancer(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """`galeno run studies/breast_cancer/study.yaml` with two trials; other tests only add to its home."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    study = repository / "studies" / "breast_cancer" / "study.yaml"
    quick = ["--set", "learning.budget.trials=2", "--set", "evaluation.bootstrap=50"]
    outcome = installed("run", study, "--home", home, *quick, "--json").ended(0)
    return Story(home, outcome, outcome.object, read_bundled("breast_cancer"))


@pytest.fixture(scope="session")
def staffed(done: "RunResult", clinic_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Staffed:
    """The clinic's home with a user of each role."""
    home = copy_home(clinic_home, tmp_path_factory.mktemp("staffed") / "home")
    return Staffed(home, {role: add_user(home, f"{role}.one", role) for role in ROLES})
