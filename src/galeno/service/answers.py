"""What the desk answers with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galeno.records import Diagnosis, Explanation, RankedCondition


@dataclass(frozen=True, slots=True)
class Answer:
    """A diagnosis that was made and is in the journal."""

    id: str
    study: str
    created: str
    patient: str
    """Pseudonym."""
    diagnosis: Diagnosis
    explanations: tuple[Explanation, ...] = ()
    captured: bool = True
    """Whether the input was kept as well."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a clinician said of a diagnosis."""

    id: str
    created: str
    actor: str
    agrees: bool
    condition: str | None
    rating: int | None
    reason: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A confirmed condition."""

    id: str
    created: str
    actor: str
    condition: str
    confirmed_on: str
    source: str


@dataclass(frozen=True, slots=True)
class StoredDiagnosis:
    """A diagnosis as the journal holds it."""

    id: str
    study: str
    created: str
    patient: str
    site: str
    actor: str
    face: str
    version: str
    package_sha256: str
    condition: str
    confidence: float
    needs_review: bool
    ranking: tuple[RankedCondition, ...]
    not_ruled_out: tuple[str, ...]
    reasons: tuple[str, ...]
    reviewed: str | None = None
    record: Mapping[str, Any] | None = None
    """The input; only when one diagnosis is read, by those who may, and when it was captured."""
    patient_id: str | None = None
    feedback: tuple[Feedback, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class OutcomeImport:
    """What became of a file of outcomes."""

    imported: int
    known: int
    """Rows that were there already."""
    faults: tuple[tuple[int, str, str], ...]
    """1-based data row, column, what is wrong."""
