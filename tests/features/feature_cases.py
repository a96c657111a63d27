"""Studies and frames that the tests of the encoders share."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from galeno.study import Study

TYPES: dict[str, str] = {
    "age": "number",
    "lab": "number",
    "count": "number",
    "smoker": "flag",
    "sex": "category",
    "ward": "category",
    "seen": "date",
    "note": "text",
}
DTYPES: dict[str, Any] = {
    "number": pl.Float64,
    "flag": pl.Boolean,
    "category": pl.String,
    "date": pl.Datetime("us"),
    "text": pl.String,
}
CLASSES = ("sano", "leve", "grave")


def make_study(types: dict[str, str] = TYPES, **features: Any) -> Study:
    """A study of three classes with these columns."""
    return Study.model_validate(
        {
            "name": "cases",
            "records": {"source": "cases.csv", "target": "class"},
            "classes": [{"name": name} for name in CLASSES],
            "columns": {name: {"type": kind} for name, kind in types.items()},
            "features": features,
        }
    )


def make_frame(rows: list[dict[str, Any]], types: dict[str, str] = TYPES) -> pl.DataFrame:
    """Typed rows, as the contract hands them on."""
    schema = {name: DTYPES[kind] for name, kind in types.items()}
    return pl.DataFrame([{name: row.get(name) for name in types} for row in rows], schema=schema)


def random_rows(count: int, seed: int, missing: float = 0.15) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Rows with signal, and their class indices."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    words = [
        "dolor",
        "fiebre",
        "tos",
        "no",
        "niega",
        "rash",
        "itchy skin",
        "severe,",
        "cabeza.",
        "sin",
        "años",
    ]
    rows = []
    for label in labels:
        row: dict[str, Any] = {
            "age": float(rng.integers(0, 90) + 3 * label),
            "lab": float(rng.lognormal(label / 2)),
            "count": float(rng.poisson(1.0)),
            "smoker": bool(rng.random() < 0.3),
            "sex": str(rng.choice(["F", "M"])),
            "ward": f"w{rng.integers(0, 30)}",
            "seen": datetime(
                2020 + int(rng.integers(0, 4)), int(rng.integers(1, 13)), int(rng.integers(1, 29)), 7
            ),
            "note": " ".join(rng.choice(words, 12)),
        }
        rows.append({key: None if rng.random() < missing else value for key, value in row.items()})
    return rows, labels.astype(np.int64)


_NUMBERS = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(-5, 100))
_TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(
        st.sampled_from(["Niega", "fiebre,", "doesn't", "itch.", "AÑOS", "dolor", "no", "\u2019", "3.5"]),
        max_size=12,
    ).map(" ".join),
)

RECORDS = st.fixed_dictionaries(
    {
        "age": _NUMBERS,
        "lab": _NUMBERS,
        "count": _NUMBERS,
        "smoker": st.none() | st.booleans(),
        "sex": st.sampled_from([None, "F", "M", "X", ""]),
        "ward": st.one_of(st.none(), st.sampled_from([f"w{i}" for i in range(40)]), st.text(max_size=5)),
        "seen": st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
        "note": _TEXTS,
    }
)
"""Records as a hospital might send them after the contract: nulls, infinities, unseen levels, any text."""
