"""Rank diseases by how well they explain a patient's signs."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.errors import InputError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Patient
from galeno.knowledge.counts import LearnedRows
from galeno.knowledge.dossier_file import load_dossiers
from galeno.knowledge.dossiers import Dossiers, Numbers, open_one
from galeno.knowledge.durations import STAGES
from galeno.knowledge.evidence import FEATURES, Evidence, Query, compare, score_sign
from galeno.knowledge.explanation import Explainer
from galeno.knowledge.opened import open_knowledge
from galeno.knowledge.parameters import Parameters, shipped_parameters
from galeno.knowledge.profiles import Rows, Sparse, collect_rows
from galeno.knowledge.prototypes import Prototypes
from galeno.knowledge.ranking import RankedDisease, Ranking
from galeno.settings import KnowledgeSettings

CANDIDATES = 120
"""Diseases that are looked at closely, because their own signs fit best."""
KIN_CANDIDATES = 50
"""More of them, because signs of their kin fit."""
SIZE_PENALTY = 0.5
"""A disease with many signs meets more of anyone's by chance."""
REMEMBERED = 512
"""Signs whose scores are kept, some 85 kB each."""


class Chances(NamedTuple):
    """What a ranker gives each disease."""

    probability: NDArray[np.float64]
    """Calibrated, of each disease, given that it is one of those known, shape (diseases,); they sum to 1."""
    absent: float
    """Probability that the disease is none of those known, if one patient in ten has such a disease."""
    score: NDArray[np.float64]
    """What they are ordered by, shape (diseases,)."""


class Close(NamedTuple):
    """The candidates that were looked at closely."""

    diseases: NDArray[np.int64]
    evidence: Evidence
    retrieval: Numbers
    """Score of every disease by which they were chosen, shape (diseases,)."""


class Ranker:
    """Ranks every disease of a knowledge base.

    Args:
        base: ontology, annotations and diseases.
        parameters: learned weights; None takes those that are shipped.
        learned: what confirmed cases of this home have taught; their new diseases are candidates too.
        prior: index of a disease to a number in proportion to how common it is; the others take the median.
        cache: folder for what takes a second to work out; None keeps nothing.
        sources: what else to name in the provenance, such as the sha256 of what was learned.

    Attributes:
        base: with the new diseases.
        rows: what is known of the diseases.
        provenance: versions and sha256 of the files, and of what was learned.
    """

    def __init__(
        self,
        base: KnowledgeBase,
        *,
        parameters: Parameters | None = None,
        learned: LearnedRows | None = None,
        prior: Mapping[int, float] | None = None,
        cache: Path | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        rows = collect_rows(base)
        if learned is not None:
            rows = Rows.join([rows, Prototypes(base, rows).describe(learned)])
            base = base.extend(learned.new)
        self.base = base
        self.rows = rows
        self.parameters = parameters or shipped_parameters()
        self.provenance = {
            **base.provenance.to_dict(),
            "parameters_sha256": self.parameters.sha256,
            **(sources or {}),
        }
        self.dossiers = load_dossiers(base, rows, cache)
        self._explainer = Explainer(base, rows, self.dossiers)
        self._prior = np.zeros(len(base.diseases))
        if prior:
            middle = float(np.median(list(prior.values())))
            for disease, number in prior.items():
                self._prior[disease] = np.log(number / middle)
        self._score = lru_cache(REMEMBERED)(self._score_sign)

    def chances(
        self, patient: Patient, *, instead: Mapping[int, Rows] | None = None, fold: int | None = None
    ) -> Chances:
        """Judge all diseases.

        Args:
            patient: ids of phenotype terms; others are left out.
            instead: diseases, with the rows that describe them in place of their own.
            fold: whose parameters to use; None takes those learned from all papers.

        Raises:
            InputError: no sign that the ontology knows was observed.
        """
        query = self.read(patient)
        return self.judge(query, self.look(query, instead), fold)

    @classmethod
    def load(cls, settings: KnowledgeSettings | None = None) -> "Ranker":
        """The ranker of the files that the environment names, with the shipped parameters.

        Raises:
            MissingExtraError: no files were named, and the extra `rare` is not installed.
            KnowledgeError: a file is missing or damaged.
        """
        found = settings or KnowledgeSettings.from_environment()
        return cls(open_knowledge(found), cache=found.cache)

    def rank(self, patient: Patient, top: int = 20) -> Ranking:
        """Rank all diseases, and explain the first.

        Args:
            patient: ids of phenotype terms that `reading.read_terms` has passed; others are left out.
            top: diseases to return, 1 or more.

        Raises:
            InputError: no sign that the ontology knows was observed.
        """
        query = self.read(patient)
        close = self.look(query)
        chances = self.judge(query, close)
        order = np.argsort(-chances.score, kind="stable")[:top]
        shown = self._look_further(query, close, order)
        ids = self.base.ontology.ids
        return Ranking(
            tuple(self._tell(rank, int(each), query, shown, chances) for rank, each in enumerate(order, 1)),
            absent=round(chances.absent, 4),
            observed=tuple(ids[term] for term in query.observed),
            excluded=tuple(ids[term] for term in query.excluded),
            notices=(),
            candidates=len(self.base.diseases),
            provenance=self.provenance,
        )

    def read(self, patient: Patient) -> Query:
        """A patient in the ranker's terms.

        Raises:
            InputError: no sign that the ontology knows was observed.
        """
        observed, excluded = self._terms(patient.observed), self._terms(patient.excluded)
        if not observed:
            raise InputError([("terms", "no sign is known to the ontology")])
        onset = patient.onset
        stage = STAGES.get(onset) if isinstance(onset, str) else None if onset is None else (onset, onset)
        kept = tuple(term for term in excluded if term not in observed)
        return Query(tuple(observed), kept, patient.age, patient.sex, stage)

    def look(self, query: Query, instead: Mapping[int, Rows] | None = None) -> Close:
        """Choose candidates, and look at them closely; `instead` as in `chances`."""
        told = {disease: open_one(rows, disease, self.dossiers) for disease, rows in (instead or {}).items()}
        own, kin = np.zeros((2, self.dossiers.count), np.float32)
        for term in query.observed:
            from_own, from_kin = self._score(term)
            own += from_own
            kin += np.maximum(from_own, from_kin)
        signs = np.diff(self.dossiers.first).astype(np.float32)
        for disease, dossier in told.items():
            pairs = [self._score_in(term, dossier) for term in query.observed]
            own[disease] = sum(float(mine[0]) for mine, _ in pairs)
            kin[disease] = sum(float(np.maximum(mine, theirs)[0]) for mine, theirs in pairs)
            signs[disease] = dossier.listed.term.size
        penalty = SIZE_PENALTY * np.log1p(signs) * np.sqrt(len(query.observed))
        own, kin = own - penalty, kin - penalty
        chosen = np.union1d(_highest(own, CANDIDATES), _highest(kin, KIN_CANDIDATES)).astype(np.int64)
        retrieval = own - own.max()
        evidence = compare(query, self.dossiers, chosen, retrieval[chosen])
        for disease in [each for each in told if each in chosen]:
            place, here = int(np.searchsorted(chosen, disease)), np.zeros(1, np.int64)
            mine = compare(query, told[disease], here, retrieval[disease : disease + 1])
            for name in ("weight", "matched", "share"):
                getattr(evidence, name)[:, place] = getattr(mine, name)[:, 0]
            evidence.features[place] = mine.features[0]
        return Close(chosen, evidence, retrieval)

    def judge(self, query: Query, close: Close, fold: int | None = None) -> Chances:
        """Weigh what was seen of the candidates; the others come behind them, by the score of choosing."""
        weights = self.parameters.weights if fold is None else self.parameters.folds[fold]
        looked = close.evidence.features @ weights / self.parameters.temperature
        score = close.retrieval.astype(np.float64) + self._prior
        inside = np.zeros(score.size, bool)
        inside[close.diseases] = True
        looked += self._prior[close.diseases]
        score[~inside] += looked.min() - 1 - max(score[~inside].max(initial=-np.inf), 0.0)
        score[close.diseases] = looked
        left_out = self.parameters.outside if not inside.all() else 0.0
        others = left_out / max((~inside).sum(), 1)
        probability = np.full(score.size, others)
        likely = _softmax(score[inside]) * (1 - left_out)
        probability[inside] = np.maximum(likely, others)  # none is less likely than those that were left out
        probability /= probability.sum()
        first = int(np.argmax(looked))
        return Chances(probability, self._doubt(query, close.evidence.features[first]), score)

    def _look_further(self, query: Query, close: Close, wanted: NDArray[np.int64]) -> Close:
        """The same with the evidence for diseases that were no candidates, where they are asked for too."""
        further = np.setdiff1d(wanted, close.diseases)
        if not further.size:
            return close
        everyone = np.union1d(close.diseases, further)
        evidence = compare(query, self.dossiers, everyone, close.retrieval[everyone])
        return Close(everyone, evidence, close.retrieval)

    def _tell(self, rank: int, disease: int, query: Query, close: Close, chances: Chances) -> RankedDisease:
        about = self.base.diseases[disease]
        column = int(np.searchsorted(close.diseases, disease))
        return RankedDisease(
            rank,
            about.id,
            about.name,
            about.members,
            float(chances.probability[disease]),
            round(float(chances.score[disease]), 4),
            self._explainer.find(query, close.evidence, column, disease),
            self._explainer.miss(query, disease),
            self._explainer.name(disease, "I"),
            self._explainer.name(disease, "C"),
        )

    def _doubt(self, query: Query, features: Numbers) -> float:
        """Whether the disease is none of those known, from how well the first candidate fits."""
        facts = describe_first(features, len(query.observed))
        return float(1 / (1 + np.exp(-self.parameters.absence @ facts)))

    def _terms(self, ids: Sequence[str]) -> list[int]:
        found = (self.base.ontology.find(each) for each in ids)
        terms = dict.fromkeys(each.term for each in found if each is not None)
        return [term for term in terms if self.base.ontology.is_phenotype[term]]

    def _score_sign(self, term: int) -> tuple[Numbers, Numbers]:
        return self._score_in(term, self.dossiers)

    def _score_in(self, term: int, dossiers: Dossiers) -> tuple[Numbers, Numbers]:
        def score(shares: Sparse) -> Numbers:
            return score_sign(term, shares, dossiers.scale, dossiers.count)

        return score(dossiers.profiles), score(dossiers.kin)


def describe_first(features: Numbers, signs: int) -> NDArray[np.float64]:
    """The facts of `parameters.ABSENCE` about the first candidate."""
    facts = dict(zip(FEATURES, features.tolist(), strict=True))
    return np.array(
        [1.0, facts["ratio_a_sign"], facts["exact_information_part"], facts["resnik"], np.log(signs)]
    )


def _highest(scores: Numbers, count: int) -> NDArray[np.int64]:
    count = min(count, scores.size)
    return np.argpartition(-scores, count - 1)[:count]


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(scores - scores.max())
    return np.asarray(odds / odds.sum(), np.float64)
