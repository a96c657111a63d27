"""Fixtures that tests of the pipeline share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from striped_cells import Cells, learn_cells


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory, make_home: Callable[[], Path]) -> Cells:
    """A learned study of pictures; leave its folder and its home as they are."""
    return learn_cells(tmp_path_factory.mktemp("cells"), make_home())
