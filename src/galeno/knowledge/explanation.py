"""Why a disease stands where it does: each sign beside the annotation that it meets, and what to ask next."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.annotations import BANDS, Said, papers_of
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.dossiers import Dossiers
from galeno.knowledge.evidence import LEAST_SHARE, Evidence, Query, weigh
from galeno.knowledge.profiles import Rows, RowsByDisease, ranges
from galeno.knowledge.ranking import Finding, Match, MissingSign

State = Literal["observed", "excluded"]
MISSING = 8
"""Missing signs that are told of a disease."""
REFERENCES = 5
"""Sources that are told of a sign."""
TELLING = 0.05
"""Log-likelihood ratio up to which a sign says nothing: it met something that everybody has."""


class _ListedSigns(NamedTuple):
    """The signs that one disease is annotated with, and what each of them implies."""

    terms: NDArray[np.int64]
    shares: NDArray[np.float64]
    implied: NDArray[np.int32]
    owner: NDArray[np.int64]
    """Place in `terms` of the sign that implies it, shape of `implied`."""


class Explainer:
    """Explains candidates.

    Args:
        base: names and annotations.
        rows: what the dossiers were made of.
        dossiers: of all diseases.
    """

    def __init__(self, base: KnowledgeBase, rows: Rows, dossiers: Dossiers) -> None:
        self._base, self._dossiers = base, dossiers
        self._learned = RowsByDisease(rows.take(rows.reference < 0), len(base.diseases))
        owners = base.group_of[base.annotations.disease]
        self._order = np.argsort(owners, kind="stable")
        self._start = np.searchsorted(owners[self._order], np.arange(len(base.diseases) + 1))

    def find(self, query: Query, evidence: Evidence, candidate: int, disease: int) -> tuple[Finding, ...]:
        """Each sign of the patient, observed ones first.

        Args:
            query: the patient.
            evidence: of the candidates.
            candidate: the disease's column there.
            disease: its index.
        """
        listed = self._listed(disease)
        found = []
        for number, term in enumerate(query.observed):
            share = float(evidence.share[number, candidate])
            weight = float(evidence.weight[number, candidate])
            matched = int(evidence.matched[number, candidate])
            match: Match = "none"
            if matched == term and share > 0:
                match, matched = self._meet(term, listed)
            elif weight > TELLING:
                match = "broader" if matched in listed.terms else "related"
            found.append(self._tell(disease, term, "observed", (match, matched), share=share, weight=weight))
        for term in query.excluded:
            match, matched = self._meet(term, listed)
            share = self._share(term, disease)
            weight = float(np.log(max(1 - share, LEAST_SHARE)))
            met: Match = match if share else "none"
            found.append(self._tell(disease, term, "excluded", (met, matched), share=share, weight=weight))
        return tuple(found)

    def miss(self, query: Query, disease: int) -> tuple[MissingSign, ...]:
        """Signs of the disease that nobody has looked for, first those of which most is to be expected."""
        ontology = self._base.ontology
        listed = self._listed(disease)
        implied = {int(above) for term in query.observed for above in ontology.ancestors.row(term)}
        absent = set(query.excluded)
        missing = []
        for term, share in zip(listed.terms.tolist(), listed.shares.tolist(), strict=True):
            if term in implied or not absent.isdisjoint(ontology.ancestors.row(term).tolist()):
                continue
            weight = float(
                weigh(np.array(share, np.float32), float(self._dossiers.scale.information[term]), listed=True)
            )
            against = float(np.log(max(1 - share, LEAST_SHARE)))
            if weight > 0:
                missing.append((share * weight, term, share, weight, against))
        missing.sort(key=lambda each: (-each[0], each[1]))
        return tuple(
            MissingSign(
                ontology.ids[term],
                ontology.names[term],
                self._frequency(disease, term),
                round(share, 4),
                round(weight, 4),
                round(against, 4),
            )
            for _, term, share, weight, against in missing[:MISSING]
        )

    def name(self, disease: int, aspect: str) -> tuple[str, ...]:
        """Names of the terms of one aspect, I (inheritance) or C (course), each once."""
        rows = self._annotations(disease)
        kept = rows[self._base.annotations.aspect[rows] == ord(aspect)]
        terms = dict.fromkeys(self._base.annotations.term[kept].tolist())
        return tuple(self._base.ontology.names[term] for term in terms)

    def _meet(self, term: int, listed: _ListedSigns) -> tuple[Match, int]:
        """The annotation behind a sign that the disease has: itself, or the commonest kind of it."""
        if term in listed.terms:
            return "exact", term
        kinds = listed.owner[listed.implied == term]
        return (
            ("narrower", int(listed.terms[kinds[listed.shares[kinds].argmax()]]))
            if kinds.size
            else ("none", term)
        )

    def _tell(
        self, disease: int, term: int, state: State, met_at: tuple[Match, int], *, share: float, weight: float
    ) -> Finding:
        ontology = self._base.ontology
        match, matched = met_at
        met = match != "none"
        return Finding(
            ontology.ids[term],
            ontology.names[term],
            state,
            match,
            ontology.ids[matched] if met else None,
            ontology.names[matched] if met else None,
            self._frequency(disease, matched) if met else "",
            round(share, 4) if met else None,
            round(weight, 4),
            self._references(disease, matched) if met else (),
        )

    def _listed(self, disease: int) -> _ListedSigns:
        signs, ancestors = self._dossiers.listed, self._base.ontology.ancestors
        where = slice(int(self._dossiers.first[disease]), int(self._dossiers.first[disease + 1]))
        terms = signs.term[where]
        counts = ancestors.offsets[terms + 1] - ancestors.offsets[terms]
        implied = ancestors.values[ranges(ancestors.offsets[terms], counts)]
        return _ListedSigns(terms, signs.share[where], implied, np.repeat(np.arange(terms.size), counts))

    def _share(self, term: int, disease: int) -> float:
        where = self._dossiers.profiles.of_term(term)
        place = where.start + int(np.searchsorted(self._dossiers.profiles.disease[where], disease))
        if place < where.stop and self._dossiers.profiles.disease[place] == disease:
            return float(self._dossiers.profiles.share[place])
        return 0.0

    def _annotations(self, disease: int) -> NDArray[np.int64]:
        rows: NDArray[np.int64] = self._order[self._start[disease] : self._start[disease + 1]]
        return rows

    def _about(self, disease: int, term: int) -> NDArray[np.int64]:
        """Rows of the annotations that list a sign."""
        rows = self._annotations(disease)
        annotations = self._base.annotations
        about: NDArray[np.int64] = rows[(annotations.term[rows] == term) & ~annotations.negated[rows]]
        return about

    def _frequency(self, disease: int, term: int) -> str:
        """As it was annotated; counts of several papers are added, and cases of the home are told apart."""
        annotations = self._base.annotations
        rows = self._about(disease, term)
        counted = rows[annotations.said[rows] == Said.COUNT]
        if counted.size:
            of = annotations.patients[counted]
            told = [f"{round(float(annotations.share[counted] @ of))}/{int(of.sum())}"]
        else:
            told = [
                _say(float(annotations.share[row]), int(annotations.said[row]), self._base) for row in rows
            ]
        learned = self._learned.of(disease)
        learned = learned.take(learned.term == term)
        told += [
            f"{share:.0%} of {of:.0f} (learned)"
            for share, of in zip(learned.share, learned.patients, strict=True)
        ]
        return "; ".join(dict.fromkeys(each for each in told if each))

    def _references(self, disease: int, term: int) -> tuple[str, ...]:
        annotations = self._base.annotations
        numbers: Sequence[int] = annotations.reference[self._about(disease, term)].tolist()
        papers = [paper for number in numbers for paper in papers_of(annotations.references[number])]
        return tuple(dict.fromkeys(papers))[:REFERENCES]


def _say(share: float, said: int, base: KnowledgeBase) -> str:
    if said == Said.PERCENT:
        return f"{share:.0%}"
    if said == Said.BAND:
        for term, (low, high) in BANDS.items():
            if abs((low + high) / 2 - share) < 1e-6 and term in base.ontology.index:
                return base.ontology.names[base.ontology.index[term]]
    return ""
