"""Dossiers: all that is known of diseases, as arrays that a patient can be held against."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.durations import STAGES
from galeno.knowledge.kin import ask_kin
from galeno.knowledge.ontology import INHERITANCE, Ontology
from galeno.knowledge.profiles import (
    Listed,
    Places,
    Profiles,
    Rows,
    Sparse,
    by_sign,
    find_branches,
    imply,
    measure_background,
    pool,
)

X_LINKED = ("HP:0001417", "HP:0001419", "HP:0001423")
X_RECESSIVE = "HP:0001419"

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Traits:
    """What is known of diseases beside their signs, arrays of shape (diseases,).

    Attributes:
        x_linked: inherited with the X chromosome.
        x_recessive: so that mostly men fall ill.
    """

    x_linked: NDArray[np.bool_]
    x_recessive: NDArray[np.bool_]

    def take(self, disease: int) -> "Traits":
        """Those of one disease."""
        each = slice(disease, disease + 1)
        return Traits(self.x_linked[each], self.x_recessive[each])


@dataclass(frozen=True)
class Scale:
    """How much each sign tells.

    Attributes:
        ontology: the signs.
        background: mean share of each sign over all diseases, shape (terms,), float32.
        information: minus its logarithm, in nats.
        branches: see `profiles.find_branches`.
    """

    ontology: Ontology
    background: Numbers
    information: Numbers
    branches: Numbers


@dataclass(frozen=True)
class Dossiers:
    """Diseases as a patient is held against them.

    Attributes:
        profiles: shares of signs.
        kin: what other diseases of the family let expect.
        listed: annotated signs; those of disease d are entries first[d] to first[d + 1].
        first: shape (diseases + 1,).
        weight: information of all signs of a disease, in nats.
        shared: the same, each sign times its share.
        branches: how a disease spreads over organ systems, rows of length 1, shape (diseases, systems).
        papers: how many sources tell of it.
        onset_low, onset_high: logarithm of the ages, in years and a tenth, when it begins; NaN: not told.
        traits: the rest.
        scale: weighs the signs.
    """

    profiles: Profiles
    kin: Sparse
    listed: Listed
    first: Places
    weight: Numbers
    shared: Numbers
    branches: Numbers
    papers: Numbers
    onset_low: Numbers
    onset_high: Numbers
    traits: Traits
    scale: Scale

    @property
    def count(self) -> int:
        """Diseases."""
        return self.first.size - 1


def measure_scale(profiles: Sparse, diseases: int, ontology: Ontology) -> Scale:
    """Weigh the signs by how rare they are over all diseases."""
    background = measure_background(profiles, diseases)
    return Scale(ontology, background, -np.log(background), find_branches(ontology))


def open_dossiers(base: KnowledgeBase, rows: Rows) -> Dossiers:
    """The dossiers of all diseases of a knowledge base.

    Args:
        base: gives names and traits; its diseases are the candidates.
        rows: what is known of them.
    """
    ontology, diseases = base.ontology, len(base.diseases)
    listed = pool(rows, ontology)
    implied = imply(listed, ontology)
    profiles = by_sign(implied, len(ontology.ids))
    scale = measure_scale(profiles, diseases, ontology)
    kin = ask_kin(implied, [disease.name for disease in base.diseases], len(ontology.ids))
    return _file(rows, (listed, profiles, kin), _traits(base), scale)


def open_one(rows: Rows, disease: int, others: Dossiers) -> Dossiers:
    """The dossier of one disease, told by other rows than its own.

    Args:
        rows: what is known of it; whatever disease they name.
        disease: which of `others` it is; its kin and traits stay.
        others: the dossiers of all.
    """
    ontology = others.scale.ontology
    rows = rows._replace(disease=np.zeros_like(rows.disease))
    listed = pool(rows, ontology)
    implied = imply(listed, ontology)
    theirs = np.flatnonzero(others.kin.disease == disease)
    at = np.searchsorted(theirs, others.kin.offsets)
    kin = Sparse(at, np.zeros(theirs.size, np.int32), others.kin.share[theirs])
    profiles = by_sign(implied, len(ontology.ids))
    return _file(rows, (listed, profiles, kin), others.traits.take(disease), others.scale)


def _file(rows: Rows, signs: tuple[Listed, Profiles, Sparse], traits: Traits, scale: Scale) -> Dossiers:
    listed, profiles, kin = signs
    diseases = traits.x_linked.size
    information = np.repeat(scale.information, np.diff(profiles.offsets))
    spread = np.zeros((diseases, scale.branches.shape[1]), np.float32)
    told = (listed.share * scale.information[listed.term]).astype(np.float32)
    np.add.at(spread, listed.disease, scale.branches[listed.term] * told[:, None])
    low, high = _onsets(rows, diseases, scale.ontology)
    sources = np.unique(np.stack([rows.disease, rows.reference]), axis=1)[0]
    return Dossiers(
        profiles,
        kin,
        listed,
        np.searchsorted(listed.disease, np.arange(diseases + 1)).astype(np.int64),
        np.bincount(profiles.disease, information, diseases).astype(np.float32),
        np.bincount(profiles.disease, information * profiles.share, diseases).astype(np.float32),
        to_unit(np.sqrt(spread)),
        np.bincount(sources, minlength=diseases).astype(np.float32),
        low,
        high,
        traits,
        scale,
    )


def to_unit(rows: Numbers) -> Numbers:
    """Rows of length 1; rows of zeros stay."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-6), np.float32)


def log_age(years: float) -> float:
    """Ages as they are compared: a month matters at birth, and not at sixty."""
    return float(np.log(max(years, 0.0) + 0.1))


def _onsets(rows: Rows, diseases: int, ontology: Ontology) -> tuple[Numbers, Numbers]:
    low, high = np.full(diseases, np.inf), np.full(diseases, -np.inf)
    for name, (start, end) in STAGES.items():
        if name not in ontology.index:
            continue
        told = rows.disease[(rows.term == ontology.index[name]) & (rows.share > 0)]
        low[told] = np.minimum(low[told], log_age(start))
        high[told] = np.maximum(high[told], log_age(end))
    unknown = np.isinf(low)
    low[unknown], high[unknown] = np.nan, np.nan
    return low.astype(np.float32), high.astype(np.float32)


def _traits(base: KnowledgeBase) -> Traits:
    modes = {INHERITANCE, *X_LINKED}
    of_term = {base.ontology.index[mode]: mode for mode in modes if mode in base.ontology.index}
    rows = base.annotations
    inherited: dict[str, set[int]] = {mode: set() for mode in modes}
    kept = (rows.aspect == ord("I")) & np.isin(rows.term, list(of_term))
    for entry, term in zip(rows.disease[kept].tolist(), rows.term[kept].tolist(), strict=True):
        inherited[of_term[term]].add(int(base.group_of[entry]))
    numbers = range(len(base.diseases))
    linked = set().union(*(inherited[mode] for mode in X_LINKED))
    return Traits(
        np.array([n in linked for n in numbers], bool),
        np.array([n in inherited[X_RECESSIVE] for n in numbers], bool),
    )
