"""Judging on the test part: the model, the baselines beside it, and the champion on the same rows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.fairness import group_labels
from galeno.evaluation.judge import judge
from galeno.features.describer import Describer
from galeno.features.encoder import DESCRIPTION
from galeno.learning.baselines import fit_logistic, majority_probabilities
from galeno.model.decision import DecisionRule
from galeno.model.model import Model
from galeno.pipeline.context import Rows, StepContext
from galeno.pipeline.describing import MODELS, describe_frame
from galeno.records import PATIENT, Probabilities, RegisteredModel
from galeno.study import Study


def judge_rows(model: Model, rows: Rows, study: Study) -> Evaluation:
    """A model on rows of the lake, by the classes, groups and intervals of `study`."""
    probabilities = model.probabilities(type_rows(model, rows.frame))
    sets = model.conformal.contains(probabilities, model.decision.answers(probabilities))
    return _judge(probabilities, model.decision, sets, rows, study)


def type_rows(model: Model, frame: pl.DataFrame) -> pl.DataFrame:
    """Described rows of the lake as the model's contract types them; digests are no values that it takes."""
    typed, _ = model.contract.answer(frame.drop(model.contract.files, strict=False))
    return typed.with_columns(frame.select(pl.col(f"^.*{DESCRIPTION}$")))


def judge_champion(champion: RegisteredModel, context: StepContext) -> Evaluation | str:
    """The champion on this run's test rows, or the reason why it cannot be asked."""
    study = context.study
    model = Model.load(Path(champion.package), threads=context.threads)
    rows = context.rows("test")
    if model.classes != study.class_names:
        return f"champion {champion.version} knows other classes than this study"
    absent = [name for name in model.study.features_columns if name not in rows.frame.columns]
    if absent:
        listed = ", ".join(absent[:5])
        return f"champion {champion.version} needs columns that this study no longer has: {listed}"
    own = Describer.load(context.made("ingest") / MODELS, study)
    if model.describer.digest != own.digest or model.describer.columns != own.columns:
        rows = replace(rows, frame=describe_frame(rows.frame, model.describer, context))
    return judge_rows(model, rows, study)


def judge_baselines(context: StepContext, rows: Rows) -> dict[str, Any]:
    """Majority class and plain logistic regression, learned from train and validation, on the test rows."""
    study = context.study
    teaching = context.rows("train", "validation")
    plain = DecisionRule.plain(len(study.classes))
    majority = majority_probabilities(teaching.labels, len(study.classes), rows.frame.height)
    with threadpool_limits(limits=1):
        logistic = fit_logistic(study, teaching.frame, teaching.labels).probabilities(rows.frame)
    return {
        name: _judge(probabilities, plain, None, rows, study).to_dict()
        for name, probabilities in (("majority", majority), ("logistic", logistic))
    }


def _judge(
    probabilities: Probabilities,
    decision: DecisionRule,
    sets: NDArray[np.bool_] | None,
    rows: Rows,
    study: Study,
) -> Evaluation:
    return judge(
        rows.labels,
        probabilities,
        decision.answers(probabilities),
        sets,
        study.class_names,
        patients=rows.frame[PATIENT].to_numpy().astype(np.str_),
        groups=group_labels(rows.frame, study),
        judging=study.evaluation,
        seed=study.seed,
        rule=decision.answers,
        min_patients=study.gate.min_patients,
    )
