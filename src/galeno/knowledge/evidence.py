"""Evidence: what a patient's signs say for and against diseases.

The score of a sign is a likelihood ratio with back-off, as in naive Bayes: how often the disease shows it,
over how often diseases do. Where a disease does not list the sign, the most telling thing that it is a kind
of counts in its place, for less. Beside it stand one-sided and weighted similarities (Resnik, 1995; Pesquita
et al., BMC Bioinformatics 2008, simGIC) and what the disease would let expect and nobody has seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.dossiers import Dossiers, Numbers, Scale, log_age, to_unit
from galeno.knowledge.ontology import Indices
from galeno.knowledge.profiles import HIGHEST, Places, Profiles, Sparse, ranges

SHARE_POWER = 0.5
"""Frequencies are told roughly, and of few patients: their logarithm counts half."""
BACKGROUND_POWER = 0.85
LISTED_BONUS = 1.0
BACKED_OFF = 0.8
"""Part of a log-likelihood ratio that is left where something more general is listed."""
FLOOR = -3.0
LEAST_SHARE = 0.05
"""What a sign that a disease always shows still leaves, where a patient does not have it."""

SUMS = (
    "ratio", "ratio_for", "best_sign", "third_sign", "listed_signs", "listed_information",
    "listed_log_share", "listed_patients", "implied_signs", "implied_information", "general_signs",
    "general_information", "information_lost", "exact_part", "exact_information_part", "exact_share",
    "resnik", "covered", "jaccard", "expected_missing", "branches", "log_signs", "log_papers",
    "log_patients", "onset_apart", "too_young", "sex_fits", "kin_ratio", "kin_mean", "excluded", "retrieval",
)  # fmt: skip
SHARED_OUT = (
    "ratio", "kin_ratio", "retrieval", "expected_missing", "log_signs", "log_papers", "log_patients",
    "listed_patients",
)  # fmt: skip
"""Those that count in another way for a patient with few signs than for one with many."""
FEATURES = SUMS + tuple(f"{name}_a_sign" for name in SHARED_OUT)
"""What the learned parameters weigh, one number a candidate; `compare` says what each is."""


@dataclass(frozen=True, slots=True)
class Query:
    """A patient, in the ranker's terms.

    Attributes:
        observed: signs that were seen, at least one.
        excluded: signs that were looked for and not found.
        age: years.
        sex: MALE, FEMALE or None.
        onset: first and last year that the illness may have begun in; None where not told.
    """

    observed: tuple[int, ...]
    excluded: tuple[int, ...] = ()
    age: float | None = None
    sex: str | None = None
    onset: tuple[float, float] | None = None


class Block(NamedTuple):
    """Some diseases, at all that the patient's signs are a kind of; arrays of shape (terms, diseases)."""

    terms: Indices
    share: Numbers
    itself: NDArray[np.bool_]
    patients: Numbers


class Met(NamedTuple):
    """What each sign meets in each candidate, arrays of shape (signs, candidates)."""

    weight: Numbers
    matched: Indices
    share: Numbers
    itself: NDArray[np.bool_]
    patients: Numbers


@dataclass(frozen=True)
class Evidence:
    """What was found for some candidates.

    Attributes:
        features: in the order of `FEATURES`, shape (candidates, features), float32.
        weight: log-likelihood ratio of each observed sign, shape (signs, candidates), in nats.
        matched: the term that stands for it in the disease, the sign itself or something more general.
        share: the disease's share at `matched`.
    """

    features: Numbers
    weight: Numbers
    matched: Indices
    share: Numbers


def score_sign(term: int, shares: Sparse, scale: Scale, diseases: int) -> Numbers:
    """Log-likelihood ratio of one sign for every disease, shape (diseases,); 0 where it says nothing."""
    score = np.zeros(diseases, np.float32)
    above = scale.ontology.ancestors.row(term)
    for place in [*above[above != term].tolist(), term]:
        where = shares.of_term(place)
        ratio = weigh(shares.share[where], scale.information[place], listed=place == term)
        owners = shares.disease[where]
        score[owners] = ratio if place == term else np.maximum(score[owners], ratio)
    return np.maximum(score, FLOOR)


def weigh(share: Numbers, information: Numbers | float, *, listed: bool) -> Numbers:
    """Log-likelihood ratio of a sign, from its share in a disease and its information over all.

    Args:
        share: of the disease's patients, above 0.
        information: minus the logarithm of the background, in nats.
        listed: the sign itself; otherwise something that it is a kind of.
    """
    ratio = SHARE_POWER * np.log(share) + BACKGROUND_POWER * information
    return np.asarray(ratio + LISTED_BONUS if listed else BACKED_OFF * ratio, np.float32)


def compare(query: Query, dossiers: Dossiers, candidates: Places, retrieval: Numbers) -> Evidence:
    """Hold a patient against candidates.

    Args:
        query: the patient.
        dossiers: of all diseases.
        candidates: which of them, ascending.
        retrieval: the score by which they became candidates, shape (candidates,).
    """
    ontology = dossiers.scale.ontology
    terms = np.unique(np.concatenate([ontology.ancestors.row(term) for term in query.observed]))
    block = _gather(dossiers.profiles, terms, candidates, dossiers.count)
    weight, place = _match(query, block.terms, block.share, dossiers.scale)
    every = np.arange(candidates.size)
    met = Met(
        weight,
        terms[place],
        block.share[place, every],
        block.itself[place, every],
        block.patients[place, every],
    )
    with_kin, kin_alone = _ask_kin(query, block, dossiers, candidates)
    found = {
        **_weigh_signs(query, met, dossiers.scale),
        **_overlap(query, block, dossiers, candidates),
        "log_papers": np.log1p(dossiers.papers[candidates]),
        **_live(query, dossiers, candidates),
        "kin_ratio": with_kin.sum(0),
        "kin_mean": kin_alone.mean(0),
        "excluded": weigh_excluded(query.excluded, dossiers.profiles, candidates, dossiers.count).sum(0),
        "retrieval": retrieval,
    }
    sums = np.stack([np.asarray(found[name], np.float32) for name in SUMS], axis=1)
    shared_out = sums[:, [SUMS.index(name) for name in SHARED_OUT]] / len(query.observed)
    features = np.hstack([sums, shared_out])
    return Evidence(features, met.weight, met.matched, met.share)


def weigh_excluded(excluded: Sequence[int], profiles: Profiles, candidates: Places, diseases: int) -> Numbers:
    """Log-likelihood ratio of signs that a patient does not have, at face value, shape (signs, candidates).

    0 where the disease does not know the sign, never above: what is absent speaks for no disease.
    """
    block = _gather(profiles, np.array(excluded, np.int32), candidates, diseases)
    return np.asarray(np.log(np.maximum(1 - block.share, LEAST_SHARE)), np.float32)


def _gather(profiles: Profiles, terms: Indices, candidates: Places, diseases: int) -> Block:
    """The candidates' part of the profiles at some terms."""
    column = np.full(diseases, -1, np.int64)
    column[candidates] = np.arange(candidates.size)
    counts = profiles.offsets[terms + 1] - profiles.offsets[terms]
    entries = ranges(profiles.offsets[terms], counts)
    row, at = np.repeat(np.arange(terms.size), counts), column[profiles.disease[entries]]
    kept = at >= 0
    row, at, entries = row[kept], at[kept], entries[kept]
    shape = (terms.size, candidates.size)
    share, itself, patients = np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape, np.float32)
    share[row, at] = profiles.share[entries]
    itself[row, at] = profiles.itself[entries]
    patients[row, at] = profiles.patients[entries]
    return Block(terms, share, itself, patients)


def _match(query: Query, terms: Indices, shares: Numbers, scale: Scale) -> tuple[Numbers, Places]:
    """For each sign and candidate the log-likelihood ratio, and the row of `shares` that it comes from."""
    shape = (len(query.observed), shares.shape[1])
    weight, place = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    every = np.arange(shares.shape[1])
    with np.errstate(divide="ignore"):
        general = weigh(shares, scale.information[terms][:, None], listed=False)
        for number, term in enumerate(query.observed):
            rows = np.searchsorted(terms, scale.ontology.ancestors.row(term))
            best = rows[general[rows].argmax(0)]
            own = int(np.searchsorted(terms, term))
            has = shares[own] > 0
            exact = weigh(shares[own], float(scale.information[term]), listed=True)
            place[number] = np.where(has, own, best)
            weight[number] = np.maximum(np.where(has, exact, np.maximum(general[best, every], 0.0)), FLOOR)
    return weight, place


def _ask_kin(query: Query, block: Block, dossiers: Dossiers, candidates: Places) -> tuple[Numbers, Numbers]:
    """The signs' ratios with what kin let expect, and those of kin alone."""
    kin = dossiers.kin
    alone = Profiles(kin.offsets, kin.disease, kin.share, np.zeros(kin.share.size, bool), kin.share)
    expected = _gather(alone, block.terms, candidates, dossiers.count).share
    both, _ = _match(query, block.terms, np.maximum(block.share, expected), dossiers.scale)
    only, _ = _match(query, block.terms, expected, dossiers.scale)
    return both, only


def _weigh_signs(query: Query, met: Met, scale: Scale) -> Mapping[str, Numbers]:
    """Sums over the patient's signs, by how they meet the disease."""
    weight, matched, share, itself, patients = met
    observed = np.array(query.observed)
    information = scale.information[observed][:, None]
    exact = (matched == observed[:, None]) & (share > 0)
    listed, implied, general = exact & itself, exact & ~itself, ~exact
    found = np.where(share > 0, scale.information[matched], 0.0)
    ordered = np.sort(weight, axis=0)[::-1]
    total = max(float(information.sum()), 1e-6)
    log_share = np.log(np.maximum(share, 0.01))
    return {
        "ratio": weight.sum(0),
        "ratio_for": np.maximum(weight - 1, 0).sum(0),
        "best_sign": ordered[0],
        "third_sign": ordered[min(2, len(ordered) - 1)],
        "listed_signs": listed.sum(0),
        "listed_information": (listed * information).sum(0),
        "listed_log_share": (listed * log_share).sum(0),
        "listed_patients": (listed * np.log1p(patients)).sum(0) / np.maximum(listed.sum(0), 1),
        "implied_signs": implied.sum(0),
        "implied_information": (implied * information).sum(0),
        "general_signs": general.sum(0),
        "general_information": (general * found).sum(0),
        "information_lost": (general * (information - found)).sum(0),
        "exact_part": exact.mean(0),
        "exact_information_part": (exact * information).sum(0) / total,
        "exact_share": (exact * share).mean(0),
        "resnik": found.sum(0) / total,
    }


def _overlap(query: Query, block: Block, dossiers: Dossiers, candidates: Places) -> Mapping[str, Numbers]:
    """How the patient and the disease lie over each other, with all that signs imply."""
    scale = dossiers.scale
    information = scale.information[block.terms]
    total = float(information.sum())
    common, shared = (block.share > 0).T @ information, block.share.T @ information
    counts = dossiers.first[candidates + 1] - dossiers.first[candidates]
    entries = ranges(dossiers.first[candidates], counts)
    owner = np.repeat(np.arange(candidates.size), counts)
    seen = np.isin(dossiers.listed.term[entries], block.terms)
    unseen = -np.log1p(-np.minimum(dossiers.listed.share[entries], HIGHEST)) * ~seen
    most = np.zeros(candidates.size)
    np.maximum.at(most, owner, dossiers.listed.patients[entries])
    observed = np.array(query.observed)
    own = to_unit(np.sqrt((scale.branches[observed] * scale.information[observed][:, None]).sum(0)))
    return {
        "covered": common / max(total, 1e-6),
        "jaccard": shared / np.maximum(total + dossiers.shared[candidates] - shared, 1e-6),
        "expected_missing": np.log1p(np.bincount(owner, unseen, candidates.size)),
        "branches": dossiers.branches[candidates] @ own,
        "log_signs": np.log1p(counts),
        "log_patients": np.log1p(most),
    }


def _live(query: Query, dossiers: Dossiers, candidates: Places) -> Mapping[str, Numbers]:
    """How age, onset and sex fit; 0 where they are not told."""
    low, high = dossiers.onset_low[candidates], dossiers.onset_high[candidates]
    nothing = np.zeros(candidates.size, np.float32)
    apart, young, fits = nothing, nothing, nothing
    if query.onset is not None:
        start, end = log_age(query.onset[0]), log_age(query.onset[1])
        apart = np.nan_to_num(np.maximum(0, np.maximum(low - end, start - high)))
    if query.age is not None:
        young = np.nan_to_num(np.maximum(0, low - log_age(query.age)))
    if query.sex in {"MALE", "FEMALE"}:
        linked, recessive = dossiers.traits.x_linked[candidates], dossiers.traits.x_recessive[candidates]
        fits = np.where(linked, 1.0 if query.sex == "MALE" else -1.0 * recessive, 0.0)
    return {"onset_apart": apart, "too_young": young, "sex_fits": fits}
