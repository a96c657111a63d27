"""The steps of a run, in order. Each takes its context and returns JSON that later steps read."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from galeno.errors import LearningError, RunError
from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.gate import decide
from galeno.evaluation.metrics import MAIN
from galeno.ingest.contract import Admission, Contract
from galeno.ingest.fhir_bulk import LineFault
from galeno.ingest.quarantine import write_quarantine
from galeno.ingest.source import read_records, source_name
from galeno.learning.baselines import majority_figures
from galeno.learning.network import NETWORK
from galeno.learning.search import search
from galeno.learning.selection import Selection, answer_out_of_fold, select
from galeno.learning.split import split
from galeno.model.model import Model
from galeno.pipeline.context import StepContext, digest_frame
from galeno.pipeline.describing import describe_good
from galeno.pipeline.gathering import gather_files, place_of
from galeno.pipeline.judging import judge_baselines, judge_champion, judge_rows
from galeno.pipeline.loading import open_registry
from galeno.pipeline.optout import digest_rest, leave_out
from galeno.pipeline.packaging import copy_folder, seal_package
from galeno.pipeline.training import fit_model
from galeno.records import BATCH, KEY, PATIENT, ROW, UNIT, GateReport, Verdict
from galeno.storage.atomic import write_json
from galeno.storage.contents import Contents
from galeno.storage.lake import Lake

Step = Callable[[StepContext], dict[str, Any]]


def ingest(context: StepContext) -> dict[str, Any]:
    """Read the source, hold it to the contract, put bad rows in quarantine and good ones in the lake.

    Rows of patients from whom no model may learn go nowhere.
    """
    study = context.study
    frame, unread = read_records(study)
    batch = digest_frame(frame)
    if batch != context.run.facts["data_sha256"]:
        raise RunError(
            f"{source_name(study.records.source)} changed after this run was made",
            where=context.run.name,
            remedy="Run the study again: changed records make another run",
        )
    contract = Contract(study)
    place = context.place("ingest")
    source = source_name(study.records.source)
    lake = Lake(context.home.lake)
    with (
        closing(place_of(study)) as files,
        gather_files(frame, contract, files, place / "files", context.reporter) as gathered,
    ):
        admitted = contract.admit(gathered.frame, source, files=gathered.files)
        admission = leave_out(admitted, contract, context.home)
        if admission is not admitted or gathered.files:
            # another batch than the one with all patients, or with other files behind the same names
            batch = digest_rest(batch, admission)
        _tell(admission, gathered.faulty, unread, context)
        if admission.good.height == 0:
            raise LearningError(
                "no row passed validation",
                where=source,
                remedy=f"{place / 'validation.json'} counts what was wrong",
            )
        table = f"{study.name}/{contract.digest[:16]}"
        good = admission.good.with_columns(pl.lit(batch).alias(BATCH))
        # No erasure comes between the two, nor after `leave_out`: it ends where a run is at work.
        with lake.hold_intake() if gathered.files else nullcontext():
            gathered.keep(good, Contents(lake))
            version = lake.append(table, good, batch)
    describe_good(admission.good, context)
    return {"table": table, "version": version, "batches": [batch], "report": admission.report.to_dict()}


def _tell(
    admission: Admission,
    faulty: Sequence[Mapping[str, Any]],
    unread: Sequence[LineFault],
    context: StepContext,
) -> None:
    """Write what was found: rules that rows broke, files by name and rule, lines of an export."""
    place = context.made("ingest")
    write_json(place / "validation.json", admission.report.to_dict())
    if unread:
        write_json(place / "unread.json", [asdict(fault) for fault in unread])
        first = f"{unread[0].file}, line {unread[0].line}: {unread[0].what}"
        context.reporter.note(f"{first} ({len(unread)} faults of the export: {place / 'unread.json'})")
    rows = {*admission.good[ROW], *admission.quarantine[ROW]}
    faulty = [each for each in faulty if each["row"] in rows]  # of patients who were left out nothing is told
    if faulty:
        write_json(place / "files.json", faulty)
        named = (f"{Path(each['file']).name or 'row ' + str(each['row'])}: {each['rule']}" for each in faulty)
        first = "; ".join(islice(named, 3)) + (", ..." if len(faulty) > 3 else "")
        context.reporter.note(f"{len(faulty)} files cannot be taken ({first}): {place / 'files.json'}")
    if admission.quarantine.height:
        write_quarantine(place / "quarantine.parquet", admission)


def divide(context: StepContext) -> dict[str, Any]:
    """Give every patient a side."""
    frame = context.records()
    if UNIT in frame.columns:
        _tell_shared(frame, context)
    sides = split(frame, context.study)
    place = context.place("split")
    pl.DataFrame({KEY: frame[KEY], "part": sides.parts, "fold": sides.folds}).write_parquet(
        place / "sides.parquet"
    )
    evidence = dict(sides.evidence)
    if UNIT in frame.columns:  # patients who share a file stay on one side
        evidence["joined"] = frame[PATIENT].n_unique() - frame[UNIT].n_unique()
    return {"evidence": evidence}


def _tell_shared(frame: pl.DataFrame, context: StepContext) -> None:
    """Say how many patients share a file, before the split fails of it."""
    sizes = frame.group_by(UNIT).agg(pl.col(PATIENT).n_unique())[PATIENT]
    shared = sizes.filter(sizes > 1).to_list()
    if shared:
        context.reporter.note(
            f"{sum(shared)} patients share a file with others and stay on one side with them "
            f"(at most {max(shared)} together); a placeholder's name belongs in records.missing"
        )


def learn(context: StepContext) -> dict[str, Any]:
    """Search candidates by cross-validation inside the training part, and choose."""
    study = context.study
    rows = context.rows("train")
    place = context.place("learn", keep=True)
    trials = search(
        study,
        rows.frame,
        rows.labels,
        [rows.folds],
        place,
        threads=context.threads,
        reporter=context.reporter,
    )
    for trial in trials:
        if trial.candidate.family == NETWORK and trial.outcome != "judged":
            context.reporter.note(f"a network of {trial.candidate.view} was given up: {trial.reason}")
    selection = select(trials, rows.labels, study)
    answers = answer_out_of_fold(selection, trials)
    pl.DataFrame(answers, schema=list(study.class_names)).write_parquet(place / "out-of-fold.parquet")
    return {
        "selection": selection.to_dict(),
        "majority": majority_figures(rows.labels, study),
        "trials": [
            {
                "number": trial.number,
                "name": trial.candidate.name,
                "candidate": asdict(trial.candidate),
                "outcome": trial.outcome,
                "reason": trial.reason,
                "figures": dict(trial.figures),
                "seconds": round(trial.seconds, 3),
            }
            for trial in trials
        ],
    }


def fit(context: StepContext) -> dict[str, Any]:
    """Fit the chosen members, set the conformal threshold, refit on more rows, and write the graphs."""
    selection = Selection.from_dict(context.result("learn")["selection"])
    return fit_model(selection, context)


def evaluate(context: StepContext) -> dict[str, Any]:
    """Judge the model, and the baselines beside it, on the test part."""
    rows = context.rows("test")
    model = Model.load(context.made("fit") / "package", threads=context.threads, verify=False)
    evaluation = judge_rows(model, rows, context.study)
    return {"test": evaluation.to_dict(), "baselines": judge_baselines(context, rows)}


def gate(context: StepContext) -> dict[str, Any]:
    """Hold the evaluation to the study's thresholds and to the champion on the same rows."""
    rules = context.study.gate
    evaluation = Evaluation.from_dict(context.result("evaluate")["test"])
    champion = open_registry(context.home.root, create=True).champion(context.study.name)
    if champion is None or rules.champion == "none" or champion.run == context.run.name:
        return decide(rules, evaluation, None).to_dict()
    opponent = judge_champion(champion, context)
    if isinstance(opponent, Evaluation):
        return decide(rules, evaluation, opponent).to_dict()
    unanswered = Verdict(
        figure=rules.champion,
        bound="champion",
        threshold=None,
        value=None,
        n=0,
        outcome="failed",
        reason=f"{opponent}; set gate.champion to none to replace it without a contest",
    )
    report = decide(rules, evaluation, None)
    return GateReport(passed=False, verdicts=(*report.verdicts, unanswered)).to_dict()


def package(context: StepContext) -> dict[str, Any]:
    """Write evidence, evaluation, card and provenance beside the graphs; seal; write the report."""
    return seal_package(context)


def register(context: StepContext) -> dict[str, Any]:
    """Put a package that passed the gate into the registry; the first of a study becomes champion."""
    packaged = context.result("package")
    if not context.result("gate")["passed"]:
        return {"version": None, "package": packaged["package"], "standing": "no: refused by the gate"}
    sha256 = packaged["package_sha256"]
    target = context.home.packages / context.study.name / sha256[:16]
    if not target.exists():
        copy_folder(Path(packaged["package"]), target)
    registry = open_registry(context.home.root, create=True)
    figures = context.result("evaluate")["test"]
    metrics = {key: figures[key] for key in MAIN if figures[key] is not None}
    entry = registry.register(context.study.name, str(target), sha256, context.run.name, metrics)
    champion = registry.champion(context.study.name)
    if champion is None:
        champion = registry.promote(context.study.name, entry.version)
    if champion.version == entry.version:
        standing = f"{entry.study} version {entry.version}, champion"
    else:
        standing = (
            f"{entry.study} version {entry.version}, challenger of champion {champion.version}; "
            f"to let it answer: galeno models promote {entry.study} {entry.version}"
        )
    return {"version": entry.version, "package": str(target), "standing": standing}


STEPS: Mapping[str, Step] = {
    "ingest": ingest,
    "split": divide,
    "learn": learn,
    "fit": fit,
    "evaluate": evaluate,
    "gate": gate,
    "package": package,
    "register": register,
}
"""In the order in which they run."""
