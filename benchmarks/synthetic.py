"""A synthetic study of 30 columns and 5 classes, and a package whose one member is a booster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from galeno.features.assemble import Assembler
from galeno.ingest.contract import Contract
from galeno.learning.candidates import fit_candidate
from galeno.learning.export import build_member
from galeno.model.calibration import Calibration
from galeno.model.conformal import ConformalSet
from galeno.model.decision import DecisionRule
from galeno.model.ensemble import Ensemble, Link
from galeno.model.model import Model
from galeno.model.parts import ModelParts
from galeno.model.reference import Reference
from galeno.records import Candidate
from galeno.storage.packages import seal
from galeno.study import Family, Study

NUMBERS = [f"lab_{i}" for i in range(18)]
FLAGS = [f"symptom_{i}" for i in range(8)]
CATEGORIES = [f"history_{i}" for i in range(4)]
LEVELS = ["none", "past", "present", "unknown"]
CLASSES = 5
FIT_ROWS = 6000

STUDY = Study.model_validate(
    {
        "name": "benchmark",
        "records": {"source": "benchmark", "target": "condition"},
        "classes": [{"name": f"condition_{c}"} for c in range(CLASSES)],
        "columns": {
            **{name: {"type": "number", "min": -100, "max": 1000} for name in NUMBERS},
            **{name: {"type": "flag"} for name in FLAGS},
            **{name: {"type": "category", "options": LEVELS} for name in CATEGORIES},
        },
    }
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A package, and the estimator that it was made from."""

    model: Model
    estimator: Any
    columns: np.ndarray[Any, np.dtype[np.int64]]


def draw(rows: int, seed: int) -> tuple[pl.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
    """Records, 3 % of whose values are missing, and the class of each."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, rows, p=[0.5, 0.25, 0.15, 0.07, 0.03])
    columns: dict[str, Any] = {}
    for i, name in enumerate(NUMBERS):
        values = rng.gamma(3, 2, rows) + labels * (0.8 if i % 3 == 0 else 0.1)
        columns[name] = np.where(rng.random(rows) < 0.03, np.nan, np.round(values, 3))
    for name in FLAGS:
        columns[name] = rng.random(rows) < 0.1 + 0.1 * labels
    for name in CATEGORIES:
        columns[name] = np.array(LEVELS)[rng.integers(0, 4, rows)]
    return pl.DataFrame(columns).with_columns(pl.col(NUMBERS).fill_nan(None)), labels.astype(np.int64)


def fit_package(folder: Path, family: Family, trees: int = 200, depth: int = 6, threads: int = 1) -> Fitted:
    """Fit one booster, package it, and load the package."""
    raw, labels = draw(FIT_ROWS, 0)
    typed, _ = Contract(STUDY).answer(raw)
    cut = FIT_ROWS * 4 // 5
    assembler, matrix = Assembler.fit(STUDY, typed[:cut], labels[:cut], STUDY.seed, threads)
    held = assembler.transform(typed[cut:])
    columns = assembler.view("dense")
    params = {"n_estimators": trees, "max_depth": depth, "n_jobs": threads}
    seen = np.ascontiguousarray(matrix[:, columns])
    fitted = fit_candidate(Candidate(family, "none", params), seen, labels[:cut], n_classes=CLASSES, seed=0)
    member = build_member(
        fitted.estimator,
        family,
        held,
        name=family,
        columns=columns,
        classes_present=fitted.present.tolist(),
        n_classes=CLASSES,
        weight=1.0,
        link=Link(),
    )
    ensemble = Ensemble([member], CLASSES, len(assembler.names), threads=threads)
    mixed = ensemble.probabilities(held)
    calibration = Calibration.fit("temperature", mixed, labels[cut:])
    p = calibration.apply(mixed)
    parts = ModelParts(
        study=STUDY,
        assembler=assembler,
        ensemble=ensemble,
        calibration=calibration,
        decision=DecisionRule.plain(CLASSES),
        conformal=ConformalSet.fit("lac", 0.9, p, labels[cut:]),
        reference=Reference.fit(STUDY, typed[:cut], labels[:cut], p),
    )
    seal(folder, parts.save(folder), {"study": STUDY.name})
    return Fitted(Model.load(folder, threads=threads), fitted.estimator, columns)
