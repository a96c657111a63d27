"""Studies and frames that the tests of the encoders share."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from galeno.knowledge.signs import Signs
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
    "signs": "terms",
}
DTYPES: dict[str, Any] = {
    "number": pl.Float64,
    "flag": pl.Boolean,
    "category": pl.String,
    "date": pl.Datetime("us"),
    "text": pl.String,
    "terms": pl.String,
}
CLASSES = ("sano", "leve", "grave")


def make_study(types: dict[str, str] = TYPES, **features: Any) -> Study:
    """A study of three classes with these columns; terms are taken as they are unless it says otherwise."""
    features = {"phenotype": {"knowledge": "none"}, **features}
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
    rng, chance = np.random.default_rng(seed), np.random.default_rng([seed, 1])
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
        row = {key: None if rng.random() < missing else value for key, value in row.items()}
        rows.append({**row, "signs": None if chance.random() < missing else random_signs(int(label), chance)})
    return rows, labels.astype(np.int64)


SIGNS = (
    ("HP:0001250", "HP:0007359", "HP:0001263", "HP:0001252"),
    ("HP:0001251", "HP:0000518", "HP:0000407", "HP:0001270"),
    ("HP:0001166", "HP:0002650", "HP:0001639", "HP:0000518"),
)
"""Signs of each class, of the small knowledge base."""


def random_signs(label: int, rng: np.random.Generator) -> str:
    """A cell of terms as the contract hands it on, most of them of the class."""
    observed = {str(rng.choice(SIGNS[label])) for _ in range(3)} | {str(rng.choice(SIGNS[rng.integers(3)]))}
    excluded = {str(rng.choice(SIGNS[rng.integers(3)]))} if rng.random() < 0.4 else set()
    return Signs.of(observed, excluded).write()


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
        "signs": st.one_of(
            st.none(),
            st.just("HP:9999999;-HP:0001250"),
            st.lists(
                st.sampled_from([f"{sign}{term}" for own in SIGNS for term in own for sign in ("", "-")])
            ).map(";".join),
            st.text(max_size=12),
        ),
    }
)
"""Records as a hospital might send them after the contract: nulls, infinities, unseen levels, any text."""
