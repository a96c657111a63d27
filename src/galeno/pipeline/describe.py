"""From the results of the steps to what the report and the card say."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from galeno.evaluation.content import CandidateLine, Contender, ReportContent
from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.gate import gate_from_dict
from galeno.evaluation.importance import Importance
from galeno.features.assemble import MODALITIES
from galeno.learning.selection import Selection
from galeno.pipeline.context import StepContext
from galeno.pipeline.examples import make_examples
from galeno.records import TIME, Candidate, ValidationReport, Violation
from galeno.study import Study


def describe(
    context: StepContext, *, package_sha256: str, created: str, libraries: Mapping[str, str]
) -> ReportContent:
    """Everything that the report and the card say of a run."""
    study = context.study
    ingested, learned, fitted, evaluated = (
        context.result(step) for step in ("ingest", "learn", "fit", "evaluate")
    )
    evaluation = Evaluation.from_dict(evaluated["test"])
    selection = Selection.from_dict(learned["selection"])
    records = context.records()
    return ReportContent(
        study=study,
        evaluation=evaluation,
        gate=gate_from_dict(context.result("gate")),
        split=context.result("split")["evidence"],
        source=context.run.facts["source"],
        package_sha256=package_sha256,
        run=context.run.name,
        created=created,
        lake_version=ingested["version"],
        validation=_validation(ingested["report"]),
        candidates=_candidates(learned["trials"], selection),
        contenders=_contenders(learned, evaluated, selection, evaluation),
        calibration=selection.calibration.kind,
        conformal=fitted["conformal"],
        decision_weights=dict(zip(study.class_names, selection.decision.weights, strict=True)),
        decision_offsets=dict(zip(study.class_names, selection.decision.offsets, strict=False)),
        importance=Importance(**fitted["importance"]),
        missing=fitted["missing"],
        modalities=_modalities(records, context.study),
        examples=make_examples(context),
        dates=_dates(records),
        parity=fitted["parity"],
        libraries=libraries,
    )


def _validation(report: Mapping[str, Any]) -> ValidationReport:
    violations = tuple(Violation(**{**line, "rows": tuple(line["rows"])}) for line in report["violations"])
    return ValidationReport(**{**report, "violations": violations})


def _candidates(trials: Sequence[Mapping[str, Any]], selection: Selection) -> list[CandidateLine]:
    members = [(choice.candidate, choice.weight) for choice in selection.choices]
    lines = []
    for trial in trials:
        candidate = Candidate(**trial["candidate"])
        weight = sum(share for member, share in members if member == candidate)
        note = "" if trial["outcome"] == "judged" else f"{trial['outcome']}: {trial['reason']}"
        lines.append(CandidateLine(candidate, trial["figures"], weight, trial["seconds"], note))
    return lines


def _contenders(
    learned: Mapping[str, Any], evaluated: Mapping[str, Any], selection: Selection, evaluation: Evaluation
) -> list[Contender]:
    tests = {name: Evaluation.from_dict(found) for name, found in evaluated["baselines"].items()}
    trials = learned["trials"]
    best = trials[selection.best]
    alone = [choice.candidate for choice in selection.choices] == [Candidate(**best["candidate"])]
    return [
        Contender("majority", cv=learned["majority"], test=tests["majority"]),
        Contender("logistic", cv=trials[0]["figures"] or None, test=tests["logistic"]),
        Contender("single", best["name"], best["figures"], evaluation if alone else None),
        Contender("model", cv=selection.figures, test=evaluation),
    ]


def _modalities(frame: pl.DataFrame, study: Study) -> dict[str, float]:
    """Modalities that the study has, each with the share of the records that have none of its columns."""
    found = {}
    for name, modality in MODALITIES.items():
        columns = [key for key, column in study.features_columns.items() if column.type in modality.types]
        if columns:
            lacking = frame.select(pl.all_horizontal(pl.col(columns).is_null()).sum()).item()
            found[name] = lacking / max(frame.height, 1)
    return found


def _dates(frame: pl.DataFrame) -> tuple[str, str] | None:
    """First and last day of the records that the run learned from."""
    if TIME not in frame.columns or frame[TIME].null_count() == frame.height:
        return None
    first, last = frame[TIME].min(), frame[TIME].max()
    return str(first)[:10], str(last)[:10]
