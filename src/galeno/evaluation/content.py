"""What the report and the card are made of; the pipeline fills it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.examples import Example
from galeno.evaluation.importance import Importance
from galeno.records import Candidate, GateReport, ValidationReport
from galeno.study import Study

Figures = Mapping[str, float | None]
"""Figure name (macro_f1, accuracy, balanced_accuracy, log_loss, rare_recall, score ...) to value."""


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """One candidate of the search.

    Attributes:
        candidate: family, balance, parameters, view.
        cv: its cross-validated figures; empty where it failed.
        weight: its weight in the ensemble, 0 where it is no member.
        seconds: how long its folds took; only shown, never part of the package's identity.
        note: why it has no figures, such as `pruned`.
    """

    candidate: Candidate
    cv: Figures
    weight: float = 0.0
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contender:
    """A line of the comparison: the baselines, the best single candidate, the packaged model.

    Attributes:
        kind: majority (always the most frequent class), logistic (plain logistic regression),
            single (best single candidate), model (what is packaged), champion (the one to beat).
        name: candidate's name or champion's version, where there is one.
        cv: cross-validated figures, None where it was not cross-validated.
        test: its evaluation on the test part, None where it was not judged there.
    """

    kind: Literal["majority", "logistic", "single", "model", "champion"]
    name: str = ""
    cv: Figures | None = None
    test: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything that the report and the card say. No patient rows; sounds and images only as `examples`.

    Attributes:
        study: the resolved study.
        evaluation: the packaged model on the test part.
        gate: the gate's decision.
        split: evidence of `learning.split` (rows, patients, classes, folds, overlap, absent, shares, by).
        source: name of the records' source, without passwords.
        package_sha256: identity of the package.
        run: name of the run.
        created: when the run ended, ISO 8601 UTC.
        version: registry version, None before registration.
        lake_version: version of the lake table that was learned from.
        validation: what the contract found.
        candidates: every candidate that was tried, in order.
        contenders: lines of the comparison, baselines first.
        calibration: kind of calibration that was kept.
        conformal: {method, coverage, threshold} of the conformal sets, and out_of_fold: whether
            cross-validated predictions helped to set the threshold.
        decision_weights: class name to its weight in the decision rule.
        decision_offsets: class name to its offset; empty where the rule has none.
        importance: of the input columns; None where nobody asked for it.
        missing: input column to share of training rows without a value; empty if unknown.
        modalities: modality (table, text, phenotype, audio, image) to share of rows without any value of its
            columns, in that order; empty if unknown.
        examples: sounds and images of the test part, which only the report shows; none of real patients
            unless the study allows it.
        dates: first and last time of the records, ISO 8601, None where the study names no time.
        parity: greatest difference of packaged graphs from fitted estimators, in probability.
        libraries: library name to version, Python included.
    """

    study: Study
    evaluation: Evaluation
    gate: GateReport
    split: Mapping[str, Any]
    source: str
    package_sha256: str
    run: str
    created: str
    version: str | None = None
    lake_version: int | None = None
    validation: ValidationReport | None = None
    candidates: Sequence[CandidateLine] = ()
    contenders: Sequence[Contender] = ()
    calibration: str = ""
    conformal: Mapping[str, Any] = field(default_factory=dict)
    decision_weights: Mapping[str, float] = field(default_factory=dict)
    decision_offsets: Mapping[str, float] = field(default_factory=dict)
    importance: Importance | None = None
    missing: Mapping[str, float] = field(default_factory=dict)
    modalities: Mapping[str, float] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    dates: tuple[str, str] | None = None
    parity: float | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
