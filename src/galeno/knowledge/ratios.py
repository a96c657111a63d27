"""Log-likelihood ratios of single signs: how much more often a disease shows one than diseases on average.

The likelihood ratio of a sign is its share of the disease's patients over its mean share of all diseases'
(Robinson et al., Interpretable clinical genomics with a likelihood ratio paradigm, AJHG 2020). A sign that
the disease is not known for is judged by the best of what it is a kind of: a finer or another kind of a known
sign speaks for the disease as that sign does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ontology import PHENOTYPE
from galeno.knowledge.profiles import build_profiles, collect_rows, measure_background

UNKNOWN = 0.5
"""Ratio of a sign of which the disease knows nothing, not even the organ."""
HIGHEST = 0.95
"""Share that an absent sign is weighed with at most: no sign is always looked for well."""


class SignRatios(NamedTuple):
    """Natural logarithms of ratios, float32, shape (terms, diseases)."""

    present: NDArray[np.float32]
    absent: NDArray[np.float32]


def weigh_signs(base: KnowledgeBase, diseases: Sequence[int]) -> SignRatios:
    """What each sign, present or absent, says for each of some diseases against all diseases.

    Args:
        base: the knowledge base.
        diseases: indices into its diseases.
    """
    ontology = base.ontology
    if not diseases:
        nothing = np.zeros((len(ontology.ids), 0), np.float32)
        return SignRatios(nothing, nothing)
    terms = len(ontology.ids)
    profiles = build_profiles(collect_rows(base), ontology)
    of_term = np.repeat(np.arange(terms), np.diff(profiles.offsets))
    mean = measure_background(profiles, len(base.diseases)).astype(np.float64)
    present = np.zeros((terms, len(diseases)), np.float32)
    absent = np.zeros((terms, len(diseases)), np.float32)
    for place, disease in enumerate(diseases):
        entries = np.flatnonzero(profiles.disease == disease)
        share = np.zeros(terms)
        share[of_term[entries]] = profiles.share[entries]
        ratio = share / mean
        ratio[[ontology.index[PHENOTYPE], 0]] = UNKNOWN
        best = np.maximum.reduceat(ratio[ontology.ancestors.values], ontology.ancestors.offsets[:-1])
        present[:, place] = np.log(np.maximum(best, UNKNOWN))
        absent[:, place] = np.log((1 - np.minimum(share, HIGHEST)) / (1 - np.minimum(mean, HIGHEST)))
    return SignRatios(present, absent)
