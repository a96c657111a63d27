from datetime import datetime

import numpy as np
from feature_cases import make_frame, make_study

from galeno.features.assemble import Assembler


def test_date_parts() -> None:
    dates = [datetime(2020, 2, 29, 6), datetime(2021, 12, 31), datetime(2022, 7, 2), None]
    types = {"seen": "date"}
    frame = make_frame([{"seen": value} for value in dates], types)
    study = make_study(types)
    assembler, matrix = Assembler.fit(study, frame, np.array([0, 1, 2, 0]), 1, 1)
    assert assembler.names == (
        "seen days",
        "seen year",
        "seen weekday",
        "seen day of year sine",
        "seen day of year cosine",
        "seen missing",
    )
    assert set(assembler.sources) == {"seen"}
    assert matrix[1, :2].tolist() == [0, 0]
    assert np.isclose(matrix[2, 0], 183 / 365.25)
    assert matrix[:3, 1].tolist() == [-1, 0, 1]
    assert matrix[3].tolist() == [0, 0, 0, *np.median(matrix[:3, 3:5], axis=0).tolist(), 1]


def test_columns_that_do_not_vary_are_left_out() -> None:
    rows = [{"age": float(i), "smoker": True, "sex": "F", "seen": datetime(2020, 1, 1)} for i in range(4)]
    assembler, _ = Assembler.fit(make_study(), make_frame(rows), np.array([0, 1, 2, 0]), 1, 1)
    assert assembler.names == ("age",)


def test_dropped_column_is_no_feature() -> None:
    study = make_study({"age": "number", "lab": "number"})
    study = study.model_copy(update={"records": study.records.model_copy(update={"drop": ("lab",)})})
    frame = make_frame([{"age": 1.0, "lab": 2.0}, {"age": 2.0, "lab": 3.0}])
    assembler, _ = Assembler.fit(study, frame, np.array([0, 1]), 1, 1)
    assert assembler.names == ("age",)
