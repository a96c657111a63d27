import numpy as np
import polars as pl

from galeno.features.crossfit import deal_patients
from galeno.features.encoder import Sample


def test_no_rows_have_no_folds() -> None:
    assert deal_patients(Sample.of(pl.DataFrame({"c": []}), np.zeros(0, np.int64), 2), seed=0).shape == (0,)
