"""What is expected of a disease that a few patients have shown: their signs, shrunk towards its family.

A prototype is a mean of what was seen in few examples (Snell et al., Prototypical networks for few-shot
learning, NeurIPS 2017); here the mean is that of a Beta-binomial, whose prior is the diseases that are named
alike, such as the other developmental and epileptic encephalopathies.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.counts import LearnedRows
from galeno.knowledge.kin import family_of
from galeno.knowledge.ontology import Ontology
from galeno.knowledge.profiles import Rows, RowsByDisease, imply, pool

PRIOR_PATIENTS = 1.0
"""Patients that the family counts for. From the development cases; 1 to 3 do as well."""
LOWEST = 0.25
"""Share of a family that shows a sign, from which on the sign is expected of a new disease too."""


class Prototypes:
    """Makes rows of what patients have taught.

    Args:
        base: gives diseases their names.
        rows: what the base says of its diseases, see `profiles.collect_rows`.
    """

    def __init__(self, base: KnowledgeBase, rows: Rows) -> None:
        self._base = base
        self._rows = RowsByDisease(rows, len(base.diseases))
        self._families: dict[str, list[int]] = {}
        for place, disease in enumerate(base.diseases):
            self._families.setdefault(family_of(disease.name), []).append(place)

    def describe(self, learned: LearnedRows, *, unknown: Collection[int] = ()) -> Rows:
        """The rows that learned patients add to the base's own.

        A disease with annotations of its own gets the learned counts beside them; one without gets them
        shrunk towards its family, where it has one.

        Args:
            learned: counts, see `Learned.rows`.
            unknown: diseases to take for ones without annotations, to judge how such are learned.

        Returns:
            rows to join to the base's (without those of `unknown`), of reference -1; diseases from
            `len(base.diseases)` on are `learned.new`.
        """
        parts: list[Rows] = []
        for place, patients in zip(learned.taught.tolist(), learned.patients.tolist(), strict=True):
            mine = learned.disease == place
            seen = dict(zip(learned.term[mine].tolist(), learned.seen[mine].tolist(), strict=True))
            expected: Mapping[int, float] = {}
            if place in unknown or not self._of([place]).disease.size:
                expected = self._expect(place, learned)
            parts.append(_shrink(place, patients, seen, expected, self._base.ontology))
        return Rows.join([self._of([]), *parts])

    def _expect(self, place: int, learned: LearnedRows) -> dict[int, float]:
        """How often the other diseases of a family show each sign, on average; every disease counts alike."""
        known = len(self._base.diseases)
        disease = self._base.diseases[place] if place < known else learned.new[place - known]
        siblings = [each for each in self._families.get(family_of(disease.name), []) if each != place]
        rows = self._of(siblings)
        if not rows.disease.size:
            return {}
        terms = len(self._base.ontology.ids)
        listed = pool(rows, self._base.ontology)
        implied = imply(listed, self._base.ontology)
        means = np.bincount(implied.term, implied.share, terms) / np.unique(listed.disease).size
        kept = np.flatnonzero((means >= LOWEST) & self._base.ontology.is_phenotype)
        return dict(zip(kept.tolist(), means[kept].tolist(), strict=True))

    def _of(self, diseases: Sequence[int]) -> Rows:
        """The base's rows of some diseases; new ones have none."""
        return self._rows.of(*(each for each in diseases if each < len(self._base.diseases)))


def _shrink(
    place: int, patients: int, seen: Mapping[int, int], expected: Mapping[int, float], ontology: Ontology
) -> Rows:
    """Posterior means of one disease's signs, without those that a kind of them already tells."""
    prior = PRIOR_PATIENTS if expected else 0.0
    of = patients + prior
    counts = _highest(seen, ontology, itself=True)
    shares = {
        term: (counts.get(term, 0) + prior * expected.get(term, 0.0)) / of for term in {*seen, *expected}
    }
    told = _highest(shares, ontology, itself=False)
    terms = sorted(term for term, share in shares.items() if share > told.get(term, 0.0))
    return Rows(
        np.full(len(terms), place, np.int64),
        np.array(terms, np.int64),
        np.array([shares[term] for term in terms], np.float64),
        np.full(len(terms), of, np.float64),
        np.full(len(terms), -1, np.int64),
    )


def _highest(values: Mapping[int, float], ontology: Ontology, *, itself: bool) -> dict[int, float]:
    """The highest value of each term's kinds, and of itself where that counts."""
    highest: dict[int, float] = {}
    for term, value in values.items():
        for above in ontology.ancestors.row(term).tolist():
            if itself or above != term:
                highest[above] = max(value, highest.get(above, 0.0))
    return highest
