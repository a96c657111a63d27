"""Support and query cases: a few patients to learn each disease from, and others to judge it by."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from galeno.errors import InputError
from galeno.knowledge.cases import Case

Support = Mapping[str, tuple[Case, ...]]
"""The cases that teach, by disease."""


def draw_support(
    cases: Sequence[Case], k: int, seed: int, *, disease_of: Callable[[Case], str | None] | None = None
) -> list[tuple[Case, Support]]:
    """Draw, for each case, the cases that each disease would have been learned from before it was seen.

    None of them comes from the paper of the case, which would describe both in the same words. The draw of a
    disease depends on the seed, the disease and whether the paper is one of its own, and on nothing else.
    Those drawn for a smaller k are among those for a larger one.

    Args:
        cases: with their papers and confirmed diseases; without either a case neither teaches nor is judged.
        k: cases that teach each disease, exactly: a disease with fewer is not drawn.
        seed: of the draw.
        disease_of: names the disease of a case, None for one to leave out; by default its first id.

    Returns:
        the cases of diseases that can be taught, in their order, each with the support of its own disease and
        of all others that can be. Cases of one paper share one mapping.

    Raises:
        InputError: k is below 1.
    """
    if k < 1:
        raise InputError([("few_shot", "the number of support cases is at least 1")])
    name = disease_of or (lambda case: case.truth[0] if case.truth else None)
    known = [(case, disease) for case in cases if case.paper and (disease := name(case)) is not None]
    pools: dict[str, list[Case]] = {}
    for case, disease in known:
        if case.patient.observed:
            pools.setdefault(disease, []).append(case)
    whole = {disease: _draw(disease, pool, k, seed, None) for disease, pool in pools.items()}
    papers = {disease: {case.paper for case in pool} for disease, pool in pools.items()}
    shared: dict[str, Support] = {}
    drawn: list[tuple[Case, Support]] = []
    for case, disease in known:
        paper = str(case.paper)
        if paper not in shared:
            own = {
                each: _draw(each, pool, k, seed, paper)
                for each, pool in pools.items()
                if paper in papers[each]
            }
            shared[paper] = {each: support for each, support in (whole | own).items() if support}
        if disease in shared[paper]:
            drawn.append((case, shared[paper]))
    return drawn


def _draw(disease: str, pool: Sequence[Case], k: int, seed: int, without: str | None) -> tuple[Case, ...]:
    """Exactly k cases of a disease from other papers than `without`; none where there are fewer."""
    left = [case for case in pool if case.paper != without]
    if len(left) < k:
        return ()
    digest = hashlib.sha256(f"{seed}|{disease}|{without or ''}".encode()).digest()
    order = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(left))
    return tuple(left[place] for place in order[:k])
