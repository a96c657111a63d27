"""A small fitted model over every type of column."""

import pytest
from synthetic_model import fit_parts

from galeno.model.model import Model
from galeno.model.parts import ModelParts


@pytest.fixture(scope="session")
def parts() -> ModelParts:
    return fit_parts()


@pytest.fixture(scope="session")
def model(parts: ModelParts) -> Model:
    return Model(parts)
