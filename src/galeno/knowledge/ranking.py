"""The answer of a ranker, as plain records."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Match = Literal["exact", "broader", "narrower", "related", "none"]
"""How a sign of the patient meets the disease.

`broader`: the disease is annotated with something more general than what was seen; `narrower`: with something
more special; `related`: both are kinds of one thing.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sign of the patient, beside the annotation that it meets best."""

    id: str
    name: str
    state: Literal["observed", "excluded"]
    match: Match
    matched_id: str | None
    matched_name: str | None
    frequency: str
    """As annotated, for example 3/8; empty where none is given."""
    share: float | None
    """The share of patients that the ranker takes for it."""
    weight: float
    """Natural logarithm of the likelihood ratio; above 0 speaks for the disease."""
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MissingSign:
    """A sign of the disease that nobody has looked for yet."""

    id: str
    name: str
    frequency: str
    share: float | None
    weight: float
    """What seeing it would add, as a log-likelihood ratio."""
    against: float
    """What its absence would take, below 0."""


@dataclass(frozen=True, slots=True)
class RankedDisease:
    """One disease of a ranking."""

    rank: int
    id: str
    name: str
    members: tuple[str, ...]
    """All database entries that are this disease."""
    probability: float
    """Calibrated, 0 to 1, given that the disease is one of those known."""
    score: float
    findings: tuple[Finding, ...]
    missing: tuple[MissingSign, ...]
    inheritance: tuple[str, ...]
    onset: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Diseases for one patient, most likely first."""

    diseases: tuple[RankedDisease, ...]
    absent: float
    """Probability that the disease is none of the knowledge base."""
    observed: tuple[str, ...]
    """Ids of the signs that were used."""
    excluded: tuple[str, ...]
    notices: tuple[str, ...]
    """What was replaced or left out on the way in."""
    candidates: int
    """Diseases that were ranked."""
    provenance: Mapping[str, Any]
    """Versions and sha256 of the files, and of the learned parameters."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
