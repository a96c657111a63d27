"""Profiles: how often each sign is seen in each disease, with everything that a sign implies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.annotations import Said
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ontology import ONSET, PHENOTYPE, Ontology

BAND_PATIENTS = 8.0
"""Patients that a frequency term such as Frequent counts for, and a percentage."""
UNSAID_SHARE = 0.55
"""Share of a sign that is listed without a frequency."""
UNSAID_PATIENTS = 2.0
HIGHEST = 0.98
"""No sign is taken to be seen in every patient."""

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class Rows(NamedTuple):
    """How often signs are seen: an entry for each disease, sign and source, arrays of one length."""

    disease: Places
    term: Places
    share: Floats
    patients: Floats
    """Patients that the share stands on; a guess where none are given."""
    reference: Places
    """Index of the paper; -1 for what was learned from cases."""

    def take(self, where: NDArray[np.bool_] | NDArray[np.int64]) -> "Rows":
        """Some of the rows."""
        kept: list[NDArray[Any]] = [column[where] for column in self]
        return Rows(*kept)

    @classmethod
    def join(cls, parts: Sequence["Rows"]) -> "Rows":
        """Rows of several sources."""
        joined: list[NDArray[Any]] = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        return cls(*joined)


class RowsByDisease:
    """Rows that are asked for by disease.

    Args:
        rows: in any order; those of a disease keep theirs.
        diseases: how many there are.
    """

    def __init__(self, rows: Rows, diseases: int) -> None:
        self._rows = rows.take(np.argsort(rows.disease, kind="stable"))
        self._first = np.searchsorted(self._rows.disease, np.arange(diseases + 1))

    def of(self, *diseases: int) -> Rows:
        """The rows of some diseases, one after another."""
        places = np.array(diseases, np.int64)
        return self._rows.take(ranges(self._first[places], self._first[places + 1] - self._first[places]))


class Listed(NamedTuple):
    """The signs that a disease is annotated with, its sources put together; sorted by disease and sign."""

    disease: Places
    term: Places
    share: Floats
    patients: Floats


class Implied(NamedTuple):
    """Signs with all that they imply, sorted by disease and sign."""

    disease: Places
    term: Places
    share: Floats
    """The highest share of the signs that imply this one."""
    listed: NDArray[np.bool_]
    """Whether it is annotated itself."""
    patients: Floats
    """Patients that all these signs stand on."""


@dataclass(frozen=True)
class Sparse:
    """Numbers of diseases by sign; those of a sign are entries offsets[sign] to offsets[sign + 1]."""

    offsets: Places
    disease: NDArray[np.int32]
    share: NDArray[np.float32]

    def of_term(self, term: int) -> slice:
        """Where the entries of a sign are."""
        return slice(int(self.offsets[term]), int(self.offsets[term + 1]))


@dataclass(frozen=True)
class Profiles(Sparse):
    """Signs of diseases, by sign.

    Attributes:
        share: share of the disease's patients who have the sign or one that is a kind of it.
        itself: whether the sign itself is annotated, not only one that implies it.
        patients: patients that it stands on.
    """

    itself: NDArray[np.bool_]
    patients: NDArray[np.float32]


def collect_rows(base: KnowledgeBase) -> Rows:
    """The signs and onsets of all diseases, as annotated; what is denied counts as a share of 0."""
    rows = base.annotations
    signs = (rows.aspect == ord("P")) & base.ontology.is_phenotype[rows.term]
    kept = np.flatnonzero(signs | base.ontology.under(ONSET)[rows.term])
    said = rows.said[kept]
    share = np.where(said == Said.NOTHING, UNSAID_SHARE, np.nan_to_num(rows.share[kept]))
    guessed = np.where(said == Said.NOTHING, UNSAID_PATIENTS, BAND_PATIENTS)
    return Rows(
        base.group_of[rows.disease[kept]].astype(np.int64),
        rows.term[kept].astype(np.int64),
        np.where(rows.negated[kept], 0.0, share),
        np.where(said == Said.COUNT, rows.patients[kept], guessed).astype(np.float64),
        rows.reference[kept].astype(np.int64),
    )


def pool(rows: Rows, ontology: Ontology) -> Listed:
    """Put the sources of each sign together: counts are added, with half a patient more who has the sign.

    Signs that were seen in nobody are left out, and so are onsets.
    """
    rows, terms = rows.take(ontology.is_phenotype[rows.term]), len(ontology.ids)
    key = rows.disease * terms + rows.term
    keys, place = np.unique(key, return_inverse=True)
    seen = np.bincount(place, rows.share * rows.patients, keys.size)
    patients = np.bincount(place, rows.patients, keys.size).astype(np.float64)
    share = np.minimum((seen + 0.5) / (patients + 1.0), HIGHEST)
    kept = seen > 0
    return Listed(keys[kept] // terms, keys[kept] % terms, share[kept], patients[kept])


def imply(listed: Listed, ontology: Ontology) -> Implied:
    """Add what signs imply: a patient with a sign has all that it is a kind of."""
    offsets = ontology.ancestors.offsets
    counts = offsets[listed.term + 1] - offsets[listed.term]
    implied = ontology.ancestors.values[ranges(offsets[listed.term], counts)].astype(np.int64)
    key = np.repeat(listed.disease, counts) * len(ontology.ids) + implied
    order = np.argsort(key, kind="stable")
    key = key[order]
    if not key.size:
        none = np.zeros(0)
        return Implied(none.astype(np.int64), none.astype(np.int64), none, none.astype(bool), none)
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    own = np.repeat(listed.term, counts)[order] == implied[order]
    return Implied(
        key[starts] // len(ontology.ids),
        key[starts] % len(ontology.ids),
        np.maximum.reduceat(np.repeat(listed.share, counts)[order], starts),
        np.logical_or.reduceat(own, starts),
        np.add.reduceat(np.repeat(listed.patients, counts)[order], starts),
    )


def by_sign(implied: Implied, terms: int) -> Profiles:
    """The same, sorted by sign."""
    order = np.argsort(implied.term, kind="stable")
    return Profiles(
        np.searchsorted(implied.term[order], np.arange(terms + 1)).astype(np.int64),
        implied.disease[order].astype(np.int32),
        implied.share[order].astype(np.float32),
        implied.listed[order],
        implied.patients[order].astype(np.float32),
    )


def build_profiles(rows: Rows, ontology: Ontology) -> Profiles:
    """The profiles of all diseases in the rows."""
    return by_sign(imply(pool(rows, ontology), ontology), len(ontology.ids))


def measure_background(profiles: Sparse, diseases: int) -> NDArray[np.float32]:
    """Mean share of each sign over all diseases, never below that of a sign of a third of one disease."""
    of_term = np.repeat(np.arange(profiles.offsets.size - 1), np.diff(profiles.offsets))
    mean = np.bincount(of_term, profiles.share, profiles.offsets.size - 1) / diseases
    return np.maximum(mean, 0.3 / diseases).astype(np.float32)


def find_branches(ontology: Ontology) -> NDArray[np.float32]:
    """Which of the ontology's organ systems each term belongs to, ones and zeros, shape (terms, systems)."""
    root = ontology.index[PHENOTYPE]
    systems = [t for t in range(len(ontology.ids)) if root in ontology.parents.row(t)]
    return np.stack([ontology.under(ontology.ids[t]) for t in systems], axis=1).astype(np.float32)


def ranges(starts: Places, counts: Places) -> Places:
    """Indices of several ranges, one after another."""
    first = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return first + np.arange(int(counts.sum()))
