"""What a model must beat: the most frequent class, and plain logistic regression."""

import numpy as np
import polars as pl

from galeno.learning.decision import macro_f1
from galeno.learning.fitting import Choice, FittedEnsemble, fit_ensemble
from galeno.learning.portfolio import BASELINE
from galeno.learning.score import log_loss
from galeno.model.ensemble import Link
from galeno.records import Labels, Probabilities
from galeno.study import Study


def majority_probabilities(labels: Labels, n_classes: int, rows: int) -> Probabilities:
    """The shares of the classes among `labels`, for each of so many rows, shape (rows, classes)."""
    counts = np.bincount(labels[labels >= 0], minlength=n_classes).astype(np.float64)
    return np.tile(counts / counts.sum(), (rows, 1))


def majority_figures(labels: Labels, study: Study) -> dict[str, float]:
    """Figures of always answering the most frequent class, on these rows."""
    probabilities = majority_probabilities(labels, len(study.classes), len(labels))
    answers = probabilities.argmax(axis=1)
    return {
        "macro_f1": macro_f1(labels, answers),
        "accuracy": float(np.mean(answers == labels)),
        "log_loss": log_loss(probabilities, labels),
    }


def fit_logistic(study: Study, frame: pl.DataFrame, labels: Labels) -> FittedEnsemble:
    """Plain logistic regression on the study's features: no balancing, no calibration, no decision rule."""
    return fit_ensemble([Choice(BASELINE, 1.0, Link())], study, frame, labels, threads=1)
