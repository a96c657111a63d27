"""The example studies are found by name."""

import pytest

from galeno.errors import StudyError
from galeno.pipeline.example import example_study


@pytest.mark.parametrize("name", ["severity", "orphan", "breast_cancer"])
def test_an_example_is_found(name: str) -> None:
    assert example_study(name).name == name


@pytest.mark.parametrize("name", ["none", "../studies/severity", ""])
def test_another_name_is_told(name: str) -> None:
    with pytest.raises(StudyError, match="no example study"):
        example_study(name)
