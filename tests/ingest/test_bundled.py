"""The sets that scikit-learn carries."""

import polars as pl
import pytest

from galeno.errors import SourceError
from galeno.ingest.bundled import BUNDLED, read_bundled


@pytest.mark.parametrize("name", BUNDLED)
def test_targets_are_names(name: str) -> None:
    frame = read_bundled(name)
    assert frame.schema["target"] == pl.String
    assert frame.null_count().sum_horizontal().item() == 0
    assert all(dtype == pl.Float64 for column, dtype in frame.schema.items() if column != "target")


def test_breast_cancer() -> None:
    frame = read_bundled("breast_cancer")
    assert frame.shape == (569, 31)
    assert frame["target"].value_counts().sort("count").rows() == [("malignant", 212), ("benign", 357)]


def test_another_name() -> None:
    with pytest.raises(SourceError, match="Known: breast_cancer, digits, iris, wine"):
        read_bundled("titanic")
