"""The nouns that the rooms pass on: frozen, without input or output.

Arrays are NumPy: `float32` for feature matrices, `float64` for probabilities,
`int64` for class indices. Class indices follow the order of the study's classes.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatMatrix = NDArray[np.float32]
"""Features, shape (rows, columns)."""
Probabilities = NDArray[np.float64]
"""Rows sum to one, shape (rows, classes)."""
Labels = NDArray[np.int64]
"""Class indices, shape (rows,); -1 where the label is none of the classes."""

Part = Literal["train", "validation", "test"]

KEY = "_key"
"""Lake column: sha256-based key of a row's content; sorts rows independently of file order."""
PATIENT = "_patient"
"""Lake column: the patient a row belongs to (its own key where the study names no patient)."""
UNIT = "_unit"
"""Column of rows that are split: who stays on one side, a patient with all who share a file with him."""
TARGET = "_target"
"""Lake column: the class name; null where unknown."""
BATCH = "_batch"
"""Lake column: digest of the batch that a row came in with."""
ROW = "_row"
"""Lake column: 1-based data row number in its source."""
TIME = "_time"
"""Lake column: time of the encounter, where the study names one."""
SITE = "_site"
"""Lake column: site of the encounter, where the study names one."""


def owner_column(columns: Collection[str]) -> str:
    """The column that says who stays on one side of every split: UNIT where rows have it, else PATIENT."""
    return UNIT if UNIT in columns else PATIENT


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken in one column: how often, where, and what was done. Never the values."""

    check: str
    column: str
    count: int
    rows: tuple[int, ...]
    """First few 1-based data row numbers."""
    behaviour: str
    """refuse, quarantine, blank, convert, keep, or leave_out for patients from whom no model may learn."""


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What the contract found in one source."""

    source: str
    read: int
    good: int
    quarantined: int
    violations: tuple[Violation, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model family with a balancing strategy, hyperparameters and a view of the columns."""

    family: str
    balance: str
    params: Mapping[str, Any] = field(default_factory=dict)
    view: str = "all"
    """Which columns of the feature matrix it sees; the views are told in `features.assemble`."""

    @property
    def name(self) -> str:
        return self.family if self.balance == "none" else f"{self.family}+{self.balance}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the gate."""

    figure: str
    """Dotted path into the evaluation, e.g. `per_class.terminal.recall`."""
    bound: Literal["min", "max", "champion"]
    threshold: float | None
    value: float | None
    n: int
    """Patients that the figure stands on."""
    outcome: Literal["passed", "failed", "too_few"]
    reason: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """The gate's decision with every line that led to it."""

    passed: bool
    verdicts: tuple[Verdict, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankedCondition:
    """One condition of a diagnosis."""

    condition: str
    probability: float
    """Calibrated, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer to one record."""

    condition: str
    """First of the ranking."""
    ranking: tuple[RankedCondition, ...]
    """All conditions, ordered by the decision rule (probability times decision weight)."""
    not_ruled_out: tuple[str, ...]
    """Conformal set at the study's coverage."""
    needs_review: bool
    reasons: tuple[str, ...]
    """Why it needs review: low_confidence, several_not_ruled_out, none_not_ruled_out,
    out_of_range:COLUMN, bad_value:COLUMN, missing:MODALITY."""
    study: str
    package_sha256: str
    version: str | None = None
    """Registry version, where the model came from the registry."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did or tried to do. Codes and ids only, no clinical text."""

    action: str
    """An action of `governance.access`, such as `diagnoses.create`."""
    outcome: Literal["done", "denied", "failed"]
    time: str
    """ISO 8601 with microseconds, UTC."""
    actor: str
    role: str
    site: str = ""
    address: str = ""
    """Where the request came from."""
    face: str = ""
    """api, fhir, cds_hooks, pages or cli."""
    purpose: str = "treatment"
    """treatment, operations, or emergency for access that was broken open."""
    patient: str = ""
    """Pseudonym."""
    study: str = ""
    model: str = ""
    """Version and first digits of the package's hash."""
    subject: str = ""
    """Id of what was read or made."""
    input_hash: str = ""
    """Keyed hash of the input."""
    latency_ms: float | None = None
    detail: str = ""
    """Reason, as a code or a sentence of the caller's own for emergency access."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one input column did to the probability of one condition."""

    column: str
    value: str | float | bool | None
    """As the model read it; None where it was missing."""
    contribution: float
    """Added to the probability, -1 to 1."""


@dataclass(frozen=True, slots=True)
class ModalityShare:
    """What all columns of one modality did to the probability of one condition."""

    modality: str
    contribution: float
    """Added to the probability, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one condition has its probability: base + all contributions = probability."""

    condition: str
    base: float
    """Probability of the condition for the reference record."""
    probability: float
    contributions: tuple[Contribution, ...]
    """All input columns, the largest effect first."""
    method: str
    modalities: tuple[ModalityShare, ...] = ()
    """The same by modality, the largest effect first."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """One version in the registry."""

    study: str
    version: str
    package: str
    """Path or URI of the package."""
    package_sha256: str
    run: str
    created: str
    """ISO 8601, UTC."""
    aliases: tuple[str, ...]
    metrics: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "metrics": dict(self.metrics), "aliases": list(self.aliases)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RegisteredModel":
        """The version that `to_dict` wrote."""
        return cls(**{**data, "aliases": tuple(data["aliases"]), "metrics": dict(data["metrics"])})
