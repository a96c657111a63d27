"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real records; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("GALENO_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "thyroid").is_dir():
        pytest.skip(f"real records are not at {folder}; set GALENO_TEST_DATA")
    return folder
