"""The fit step: members fitted, conformal threshold set, members refitted on more rows, graphs written.

Calibration and decision rule come from out-of-fold predictions on the training
part. The conformal threshold and the importance of the input columns come from
the validation part, as members fitted on the training part answer it; where that
part is small, the threshold also takes the out-of-fold predictions in. Then the
members learn from both parts, since rare conditions need every patient; the test
part has taught nothing.
"""

from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from galeno.evaluation.importance import Importance, measure_importance
from galeno.features.describer import Describer
from galeno.learning.export import build_member
from galeno.learning.fitting import FittedMember, fit_ensemble
from galeno.learning.selection import Selection
from galeno.model.conformal import ConformalSet
from galeno.model.ensemble import Ensemble, Member
from galeno.model.model import Model
from galeno.model.parts import ModelParts
from galeno.model.reference import Reference
from galeno.pipeline.context import Rows, StepContext
from galeno.pipeline.describing import MODELS
from galeno.records import FloatMatrix, Probabilities

FEW_PATIENTS = 100
"""Validation patients below which out-of-fold predictions help to set the conformal threshold."""


def fit_model(selection: Selection, context: StepContext) -> dict[str, Any]:
    """Fit what was selected and write its files to the run's `fit/package`.

    Returns:
        files: names that make the package's identity; parity: greatest difference between a graph and
        its estimator on the validation rows; missing: share of values missing, by input column;
        importance: of the input columns, or why it was not measured; conformal: the threshold, and
        whether out-of-fold predictions helped to set it.
    """
    study = context.study
    validation = context.rows("validation")
    teaching = context.rows("train", "validation")
    with threadpool_limits(limits=1):
        conformal, few, importance, held_out = _hold_out(selection, context, validation)
        ensemble = fit_ensemble(
            selection.choices, study, teaching.frame, teaching.labels, threads=context.threads
        )
        matrix = ensemble.assembler.transform(validation.frame)
        members = [_build(member, matrix, len(study.classes)) for member in ensemble.members]
    model = Model(
        ModelParts(
            study=study,
            assembler=ensemble.assembler,
            describer=Describer.load(context.made("ingest") / MODELS, study),
            ensemble=Ensemble(
                members, len(study.classes), len(ensemble.assembler.names), threads=context.threads
            ),
            calibration=selection.calibration,
            decision=selection.decision,
            conformal=conformal,
            reference=Reference.fit(study, teaching.frame, teaching.labels, held_out),
        )
    )
    files = model.save_parts(context.place("fit") / "package")
    return {
        "files": sorted(files),
        "parity": max((member.parity or 0.0) for member in members),
        "conformal": {**conformal.to_dict(), "out_of_fold": few},
        "importance": importance.to_dict(),
        "features": len(ensemble.assembler.names),
        "missing": {
            name: teaching.frame[name].null_count() / max(teaching.frame.height, 1)
            for name in study.features_columns
        },
    }


def _hold_out(
    selection: Selection, context: StepContext, validation: Rows
) -> tuple[ConformalSet, bool, Importance, Probabilities]:
    """What members that learned from the training part alone show on the validation part."""
    study, training = context.study, context.rows("train")
    fitted = fit_ensemble(selection.choices, study, training.frame, training.labels, threads=context.threads)

    def answer(frame: pl.DataFrame) -> Probabilities:
        return selection.calibration.apply(fitted.probabilities(frame))

    held_out = answer(validation.frame)
    conformal, few = _conform(held_out, validation, training, context)
    importance = measure_importance(
        answer,
        validation.frame,
        validation.labels,
        list(study.features_columns),
        seed=study.seed,
        members=len(fitted.members),
        threads=context.threads,
    )
    return conformal, few, importance, held_out


def _conform(
    held_out: Probabilities, validation: Rows, training: Rows, context: StepContext
) -> tuple[ConformalSet, bool]:
    """The threshold of conformal sets, and whether out-of-fold predictions helped to set it.

    A handful of patients would rule nothing out. Below FEW_PATIENTS the out-of-fold predictions count too
    (cross-conformal prediction: Vovk, Annals of Mathematics and Artificial Intelligence 2015), without rows
    whose class the fold had no other patient of.
    """
    probabilities, labels, patients = held_out, validation.labels, validation.patients
    few = len(np.unique(patients)) < FEW_PATIENTS
    if few:
        inside = pl.read_parquet(context.made("learn") / "out-of-fold.parquet").to_numpy()
        known = inside[np.arange(len(inside)), training.labels] > 0
        probabilities = np.concatenate([held_out, inside[known]])
        labels = np.concatenate([labels, training.labels[known]])
        patients = np.concatenate([patients, training.patients[known]])
    wanted = context.study.learning.conformal
    return ConformalSet.fit(wanted.method, wanted.coverage, probabilities, labels, patients), few


def _build(member: FittedMember, matrix: FloatMatrix, n_classes: int) -> Member:
    fitted = member.fitted
    return build_member(
        fitted.estimator,
        fitted.family,
        matrix,
        name=fitted.candidate.name,
        columns=member.columns,
        classes_present=fitted.present.tolist(),
        n_classes=n_classes,
        weight=member.choice.weight,
        link=fitted.narrow(member.choice.link),
    )
