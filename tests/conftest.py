"""Fixtures that all tests share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chest import open_chest
from clinic import clinic_study
from postgres import fresh_journal_url, fresh_postgres_url, postgres, postgres_url

from galeno.study import Study
from galeno.study_file import load_study

if TYPE_CHECKING:
    from galeno.pipeline.runner import RunResult

__all__ = ["fresh_journal_url", "fresh_postgres_url", "postgres", "postgres_url"]
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real records; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("GALENO_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    folder = folder.resolve()
    if not (folder / "thyroid").is_dir():
        pytest.skip(f"real records are not at {folder}; set GALENO_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes empty homes, each with a registry that is set up already: MLflow takes seconds for that."""
    from galeno.pipeline.loading import open_registry

    template = tmp_path_factory.mktemp("template")
    open_registry(template).versions()

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        shutil.copy(template / "registry.db", home)
        return home

    return make


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study of the small clinic."""
    return clinic_study(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="session")
def clinic_home(make_home: Callable[[], Path]) -> Path:
    """The home in which the clinic's run was done; leave it as it is."""
    return make_home()


@pytest.fixture(scope="session")
def done(clinic: Study, clinic_home: Path) -> "RunResult":
    """The clinic's run, done; its package is champion."""
    from galeno.pipeline.runner import run_study

    return run_study(clinic, clinic_home, threads=2)


@pytest.fixture(scope="session")
def chest_home(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose champion reads sounds and images; copy it before it is written to."""
    from galeno.pipeline.runner import run_study

    home = make_home()
    run_study(load_study(open_chest(tmp_path_factory.mktemp("chest"))), home, threads=1)
    home.chmod(0o700)
    return home
