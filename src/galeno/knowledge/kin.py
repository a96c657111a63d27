"""Kin: diseases of one family name, which let expect of each other what none of them lists."""

import re
from collections.abc import Sequence

import numpy as np

from galeno.knowledge.profiles import Implied, Sparse, ranges

KINSHIP = 0.25
"""How much of a sign's mean share in the family is believed of a disease that does not list it."""
LEAST = 0.02
"""Below that, kin say nothing."""

_KIND = re.compile(
    r"[,;].*(?:type|autosomal|x-linked|recessive|dominant|complementation).*$"
    r"|\b(?:type|complementation group|group)\b.*$"
)
_NUMBER = re.compile(r"[\s,]+(?:[0-9]+[a-z]*|[ivx]+[a-z]?)$")


def family_of(name: str) -> str:
    """The name of a disease without what tells it from its siblings: its number, type and inheritance.

    `Developmental and epileptic encephalopathy 96` is `developmental and epileptic encephalopathy`.
    """
    return _NUMBER.sub("", _KIND.sub("", name.lower()).strip()).strip(" ,;")


def ask_kin(implied: Implied, names: Sequence[str], terms: int) -> Sparse:
    """What the kin of each disease let expect of it, by sign.

    A share is `KINSHIP` times the mean share of the *other* diseases of the family, so that a disease tells
    nothing of itself. It helps where a disease is known by its name and little else.

    Args:
        implied: signs of all diseases.
        names: of the diseases.
        terms: how many the ontology has.
    """
    numbers: dict[str, int] = {}
    family = np.array([numbers.setdefault(family_of(name), len(numbers)) for name in names], np.int64)
    size = np.bincount(family, minlength=len(numbers))
    members = np.argsort(family, kind="stable")
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    kept = size[family[implied.disease]] > 1
    disease, term, share = implied.disease[kept], implied.term[kept], implied.share[kept]
    keys, place = np.unique(family[disease] * terms + term, return_inverse=True)
    total = np.bincount(place, share, keys.size)
    width = size[keys // terms]
    whose = members[ranges(first[keys // terms], width)]
    sign = np.repeat(keys % terms, width)
    # what a disease shows itself, 0 where it shows nothing, is taken out of the family's sum
    own = disease * terms + term
    wanted = whose * terms + sign
    at = np.minimum(np.searchsorted(own, wanted), max(own.size - 1, 0))
    mine = np.where(own[at] == wanted, share[at], 0.0) if own.size else np.zeros(0)
    expected = KINSHIP * (np.repeat(total, width) - mine) / np.maximum(np.repeat(width, width) - 1, 1)
    said = expected >= LEAST
    order = np.lexsort((whose[said], sign[said]))
    return Sparse(
        np.searchsorted(sign[said][order], np.arange(terms + 1)).astype(np.int64),
        whose[said][order].astype(np.int32),
        expected[said][order].astype(np.float32),
    )
