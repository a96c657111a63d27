"""Studies, records and trials that the tests of the learning room share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from galeno.learning.candidates import FittedCandidate, fit_candidate, quietly
from galeno.learning.folds import Fold, prepare_folds
from galeno.learning.score import score_candidate
from galeno.learning.search import search
from galeno.learning.trials import Trial
from galeno.model.ensemble import Link
from galeno.progress import Silent
from galeno.records import KEY, PATIENT, Candidate, FloatMatrix, Labels, Probabilities
from galeno.study import Study

QUICK: dict[str, dict[str, Any]] = {
    "logistic": {},
    "tree": {"max_depth": 5},
    "forest": {"n_estimators": 10},
    "extra_trees": {"n_estimators": 10},
    "xgboost": {"n_estimators": 8, "max_depth": 3},
    "lightgbm": {"n_estimators": 8, "num_leaves": 7},
    "svm": {"C": 1.0},
    "mlp": {"hidden_layer_sizes": [8], "max_iter": 30},
}
"""Parameters with which each family is fitted in a moment."""


def make_study(
    *, classes: int = 3, rare: Sequence[int] = (), columns: dict[str, str] | None = None, **learning: Any
) -> Study:
    """A study of so many classes `c0`, `c1`, ... and, unless told otherwise, three numbers and a flag."""
    types = columns or {"x0": "number", "x1": "number", "x2": "number", "flag": "flag"}
    return Study.model_validate(
        {
            "name": "cases",
            "seed": learning.pop("seed", 7),
            "records": {"source": "cases.csv", "target": "class", "patient": "who"},
            "classes": [{"name": f"c{index}", "rare": index in rare} for index in range(classes)],
            "columns": {name: {"type": kind} for name, kind in types.items()},
            "features": {"table": {"quantile_copies": False}},
            "learning": learning,
        }
    )


def draw_records(
    rows: int, *, classes: int = 3, seed: int = 0, noise: float = 1.0
) -> tuple[pl.DataFrame, Labels]:
    """Typed records whose class shows in `x0` and, less, in the others; classes of unlike size."""
    rng = np.random.default_rng(seed)
    shares = 0.5 ** np.arange(classes)
    labels = rng.choice(classes, rows, p=shares / shares.sum())
    labels[:classes] = np.arange(classes)
    frame = pl.DataFrame(
        {
            KEY: [f"k{row:05d}" for row in range(rows)],
            PATIENT: [f"p{row:05d}" for row in range(rows)],
            "x0": labels + noise * rng.normal(size=rows),
            "x1": (labels == classes - 1) * 2 + noise * rng.normal(size=rows),
            "x2": rng.normal(size=rows),
            "flag": (labels == 0) ^ (rng.random(rows) < 0.2),
        }
    )
    return frame, labels.astype(np.int64)


def draw_matrix(rows: int, *, classes: int = 3, seed: int = 0) -> tuple[FloatMatrix, Labels]:
    """The same as a matrix: three numbers and a flag."""
    frame, labels = draw_records(rows, classes=classes, seed=seed)
    matrix = frame.select(pl.col("x0", "x1", "x2", "flag").cast(pl.Float32)).to_numpy()
    return np.ascontiguousarray(matrix, np.float32), labels


def deal(rows: int, folds: int = 3) -> Labels:
    """Folds in turn."""
    return (np.arange(rows) % folds).astype(np.int64)


def learn(study: Study, rows: int, folder: Path, *, threads: int = 1, reporter: Any = None) -> list[Trial]:
    """A search on so many drawn records, in three folds."""
    folder.mkdir(exist_ok=True)
    frame, labels = draw_records(rows, classes=len(study.classes))
    return search(study, frame, labels, [deal(rows)], folder, threads=threads, reporter=reporter or Silent())


def fold_up(study: Study, frame: pl.DataFrame, labels: Labels, folder: Path) -> list[Fold]:
    """Three folds with their matrices."""
    return prepare_folds(study, frame, labels, [deal(len(labels))], folder, threads=1)


def fit_quickly(
    family: str, matrix: FloatMatrix, labels: Labels, n_classes: int, balance: str = "none"
) -> FittedCandidate:
    """A family with parameters that make it quick."""
    candidate = Candidate(family, balance, QUICK[family], "all")
    with quietly():
        return fit_candidate(candidate, matrix, labels, n_classes=n_classes, seed=3)


@st.composite
def judged_rows(draw: st.DrawFn, most_classes: int = 5) -> tuple[Probabilities, Labels]:
    """Probabilities with labels that follow them more or less; classes may be absent, rows few."""
    classes = draw(st.integers(2, most_classes))
    rows = draw(st.integers(classes, 200))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    sharpness = draw(st.sampled_from([0.1, 0.5, 2.0]))
    concentration = sharpness * rng.uniform(0.05, 3, classes)
    probabilities = rng.dirichlet(concentration + 1e-3, size=rows)
    wrong = draw(st.floats(0, 1))
    labels = np.array([rng.choice(classes, p=row) for row in probabilities])
    labels = np.where(rng.random(rows) < wrong, rng.integers(0, classes, rows), labels)
    return probabilities, labels.astype(np.int64)


def make_trial(
    number: int,
    probabilities: Probabilities,
    labels: Labels,
    study: Study,
    *,
    family: str = "tree",
    balance: str = "none",
) -> Trial:
    """A trial as the search would have judged it; probabilities are kept as they will be read from a file."""
    kept = probabilities.astype(np.float32).astype(np.float64)
    figures = score_candidate(kept, labels, study)
    candidate = Candidate(family, balance, {"max_depth": number + 1}, "dense")
    return Trial(number, candidate, "judged", figures["score"], figures, Link(), 0.1, probabilities=kept)
