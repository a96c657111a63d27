"""A small fitted model over every type of column."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from galeno.features.assemble import Assembler
from galeno.features.describer import Describer
from galeno.ingest.contract import Contract
from galeno.learning.candidates import fit_candidate
from galeno.learning.export import build_member
from galeno.model.calibration import Calibration
from galeno.model.conformal import ConformalSet
from galeno.model.decision import DecisionRule
from galeno.model.ensemble import Ensemble, Link
from galeno.model.parts import ModelParts
from galeno.model.reference import Reference
from galeno.records import Candidate
from galeno.study import Study

CLASSES = ("healthy", "mild", "acute")

STUDY = {
    "name": "synthetic",
    "records": {"source": "/hospital/secret/records.csv", "target": "condition", "patient": "patient"},
    "classes": [{"name": name} for name in CLASSES],
    "columns": {
        "age": {"type": "number", "min": 0, "max": 120},
        "temperature": {
            "type": "number",
            "min": 30,
            "max": 45,
            "convert": [{"unit": "degF", "scale": 0.5555555556, "offset": -17.777777778}],
            "rules": {"range": "convert"},
        },
        "fever": {"type": "flag"},
        "colour": {"type": "category", "options": ["red", "green", "blue"]},
        "seen": {"type": "date"},
        "note": {"type": "text"},
    },
    "features": {"text": {"words": 1, "characters": 0, "svd": 4}},
    "evaluation": {"review_below": 0.6},
    "learning": {"conformal": {"coverage": 0.8}},
}


def draw_records(rows: int, seed: int) -> tuple[pl.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
    """Raw records as a hospital sends them, all texts, and the class of each."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    words = np.array(["feels well today", "some cough and pain", "severe pain, shock"])
    start = datetime(2024, 1, 1)
    columns = {
        "patient": [f"p{i}" for i in range(rows)],
        "age": [f"{v:.0f}" for v in rng.normal(40 + 15 * labels, 12, rows).clip(1, 99)],
        "temperature": [f"{v:.1f}" for v in 36.5 + labels * 0.8 + rng.normal(0, 0.5, rows)],
        "fever": np.where(rng.random(rows) < 0.2 + 0.3 * labels, "yes", "no").tolist(),
        "colour": rng.choice(["red", "green", "blue"], rows).tolist(),
        "seen": [(start + timedelta(days=int(d))).date().isoformat() for d in rng.integers(0, 300, rows)],
        "note": words[np.where(rng.random(rows) < 0.7, labels, rng.integers(0, 3, rows))].tolist(),
    }
    frame = pl.DataFrame(columns)
    gone = rng.random((rows, len(columns))) < 0.05
    for place, name in enumerate(columns):
        if name != "patient":
            frame = frame.with_columns(
                pl.when(pl.lit(pl.Series(gone[:, place]))).then(None).otherwise(name).alias(name)
            )
    return frame, labels.astype(np.int64)


def fit_parts(families: tuple[str, ...] = ("xgboost", "logistic", "svm"), threads: int = 1) -> ModelParts:
    """Fit, without a search, what the pipeline fits."""
    study = Study.model_validate(STUDY)
    raw, labels = draw_records(600, 0)
    typed, _ = Contract(study).answer(raw)
    assembler, matrix = Assembler.fit(study, typed[:400], labels[:400], study.seed, threads)
    held = assembler.transform(typed[400:])
    members = []
    for family in families:
        params = {"n_estimators": 20} if family in ("xgboost", "lightgbm", "forest", "extra_trees") else {}
        fitted = fit_candidate(Candidate(family, "none", params), matrix, labels[:400], n_classes=3, seed=0)
        link = Link("softmax", (2.0,) * 3, (0.0,) * 3) if family == "svm" else Link()
        members.append(
            build_member(
                fitted.estimator,
                fitted.family,
                held,
                name=family,
                columns=assembler.view("all"),
                classes_present=fitted.present.tolist(),
                n_classes=3,
                weight=1.0,
                link=link,
            )
        )
    ensemble = Ensemble(members, 3, len(assembler.names), threads=threads)
    raw_p = ensemble.probabilities(held)
    calibration = Calibration.fit("temperature", raw_p, labels[400:])
    p = calibration.apply(raw_p)
    return ModelParts(
        study=study,
        describer=Describer.of(study),
        assembler=assembler,
        ensemble=ensemble,
        calibration=calibration,
        decision=DecisionRule((1.0, 1.1, 1.7)),
        conformal=ConformalSet.fit("lac", study.learning.conformal.coverage, p, labels[400:]),
        reference=Reference.fit(study, typed[:400], labels[:400], p),
    )
