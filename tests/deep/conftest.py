"""Tests of the room that knows torch: skipped where it is absent, unless it is required."""

import os
from importlib.util import find_spec

import pytest

REQUIRED = "GALENO_REQUIRE_DEEP"


@pytest.fixture(autouse=True)
def needs_deep(request: pytest.FixtureRequest) -> None:
    """Torch and transformers, but for tests marked to go without."""
    absent = [name for name in ("torch", "transformers", "tokenizers") if find_spec(name) is None]
    if not absent or "without_torch" in request.fixturenames:
        return
    told = f"{', '.join(absent)} not installed; no network was trained"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(told)
    pytest.skip(told)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing of the extra `deep` were installed."""
    import sys

    for name in ("torch", "transformers", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None)
