"""A hospital that the tests of the service share."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hospital import Hospital, open_hospital

if TYPE_CHECKING:
    from galeno.pipeline.runner import RunResult


@pytest.fixture(scope="session")
def clinic_copy(done: "RunResult", clinic_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clinic's home with its champion; copy it again before it is written to."""
    home = tmp_path_factory.mktemp("hospital") / "home"
    shutil.copytree(clinic_home, home)
    home.chmod(0o700)
    return home


@pytest.fixture(scope="session")
def hospital(clinic_copy: Path) -> Iterator[Hospital]:
    """The service over the clinic's home, with a user of each role."""
    with open_hospital(clinic_copy) as opened:
        yield opened


@pytest.fixture(scope="session")
def chest_hospital(chest_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The service over that home."""
    home = tmp_path_factory.mktemp("chest-hospital") / "home"
    shutil.copytree(chest_home, home)
    home.chmod(0o700)
    with open_hospital(home) as opened:
        yield opened
