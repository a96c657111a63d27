"""Learn the weights by which rare diseases are ranked, from published cases.

The model is a conditional logit (McFadden, 1974) over the candidates of each case: one weight a feature, the
same for all diseases, so that nothing is learned of any single disease.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from galeno.errors import InputError, LearningError
from galeno.knowledge.cases import Case
from galeno.knowledge.counts import fingerprint_paper
from galeno.knowledge.evidence import FEATURES
from galeno.knowledge.parameters import Parameters
from galeno.knowledge.profiles import RowsByDisease
from galeno.knowledge.ranker import Ranker, describe_first

FOLDS = 5
MOST_CASES = 15
"""Cases of one disease that are learned from."""
COUNTED_CASES = 5.0
"""What the cases of one disease weigh together at most, so that a well published one does not decide."""
HARDEST = 60
"""Candidates of a case that are learned from: those chosen first. The others are easily told apart."""
PENALTY = 30.0
"""Of the squares of the weights, each times its feature's standard deviation."""
UNKNOWN_DISEASES = 0.1
"""Share of patients whose disease is none of those known, before anything is seen of them; a guess."""
LEAST_EXCLUDED = 0.03
"""Part of its face value that an excluded sign counts for at least.

Published cases list as excluded what their authors looked for *because* of the disease; learned freely, a
sign that is absent would speak for the diseases that show it. That helps on such cases, and would be wrong
at a bedside.
"""

Floats = NDArray[np.float64]


class Looked(NamedTuple):
    """One case, looked at closely."""

    features: NDArray[np.float32]
    truth: int
    """Row of its disease; -1 where it is not among the candidates."""
    signs: int
    paper: str
    disease: int
    hardest: NDArray[np.int64]
    """Rows to learn from, the truth among them."""


@dataclass(frozen=True)
class Fit:
    """What was learned, and how it does on papers that it did not see."""

    parameters: Parameters
    ranks: Floats
    """Rank of the true disease in each case, judged by the fold that did not see its paper."""


def learn_parameters(
    ranker: Ranker, cases: Sequence[Case], *, seed: int, tell: Callable[[int], None] | None = None
) -> Fit:
    """Learn from the cases whose own paper tells nothing of their disease in the knowledge base.

    Taking its paper out for each of the other cases would leave their diseases poorer than all that they are
    compared with, and teach the ranker to prefer poorly described diseases.

    Args:
        ranker: its base and its features; its own parameters are not used.
        cases: published cases.
        seed: of the choice of cases and the folds of papers.
        tell: called with the number of cases looked at.

    Raises:
        LearningError: there are too few cases.
    """
    chosen = choose_cases(ranker, cases, seed)
    looked = []
    for number, (case, disease) in enumerate(chosen, start=1):
        found = _look(ranker, case, disease)
        if found is not None:
            looked.append(found)
        if tell is not None:
            tell(number)
    papers = sorted({each.paper for each in looked})
    if len(papers) < 2 * FOLDS:
        raise LearningError("there are too few papers to learn from", remedy="Give more published cases")
    shuffled = np.random.default_rng(seed).permutation(len(papers)) % FOLDS
    fold_of = dict(zip(papers, shuffled.tolist(), strict=True))
    folds = [_fit([each for each in looked if fold_of[each.paper] != fold]) for fold in range(FOLDS)]
    scores = [each.features @ folds[fold_of[each.paper]] for each in looked]
    parameters = Parameters(
        _fit(looked),
        np.array(folds),
        _calibrate(looked, scores),
        float(np.mean([each.truth < 0 for each in looked])),
        _learn_absence(looked, scores),
        {fingerprint_paper(paper): int(fold) for paper, fold in fold_of.items()},
        _tell_source(ranker, looked, seed),
    )
    return Fit(parameters, np.array([_rank(s, e.truth) for s, e in zip(scores, looked, strict=True)]))


def choose_cases(ranker: Ranker, cases: Sequence[Case], seed: int) -> list[tuple[Case, int]]:
    """The cases to learn from, with their disease: at most `MOST_CASES` of each."""
    named = ranker.base.annotations.number_papers()
    rows = RowsByDisease(ranker.rows, len(ranker.base.diseases))
    by_disease: dict[int, list[Case]] = {}
    for case in cases:
        disease = next((d for d in map(ranker.base.find_disease, case.truth) if d is not None), None)
        if disease is None or case.paper is None:
            continue
        if not np.isin(rows.of(disease).reference, named.get(case.paper, [])).any():
            by_disease.setdefault(disease, []).append(case)
    random = np.random.default_rng(seed)
    return [
        (theirs[place], disease)
        for disease, theirs in sorted(by_disease.items())
        for place in sorted(random.permutation(len(theirs))[:MOST_CASES].tolist())
    ]


def _look(ranker: Ranker, case: Case, disease: int) -> Looked | None:
    try:
        query = ranker.read(case.patient)
    except InputError:
        return None
    close = ranker.look(query)
    place = np.flatnonzero(close.diseases == disease)
    truth = int(place[0]) if place.size else -1
    hardest = np.argsort(-close.retrieval[close.diseases], kind="stable")[:HARDEST]
    if truth >= 0:
        hardest = np.union1d(hardest, [truth])
    paper = str(case.paper)
    return Looked(close.evidence.features, truth, len(query.observed), paper, disease, hardest)


def _fit(looked: Sequence[Looked]) -> Floats:
    """Weights of the features that make the true diseases likely among the candidates."""
    taught = [each for each in looked if each.truth >= 0]
    matrix = np.concatenate([each.features[each.hardest] for each in taught])
    spread = matrix.std(0) + 1e-6
    scaled = np.ascontiguousarray((matrix - matrix.mean(0)) / spread, np.float32)
    starts = np.concatenate([[0], np.cumsum([each.hardest.size for each in taught])])
    true = starts[:-1] + [int(np.searchsorted(each.hardest, each.truth)) for each in taught]
    owner = np.repeat(np.arange(len(taught)), np.diff(starts))
    _, place, count = np.unique([each.disease for each in taught], return_inverse=True, return_counts=True)
    weight = np.minimum(1.0, COUNTED_CASES / count[place])
    wanted = (scaled[true] * weight[:, None]).sum(0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        score = (scaled @ weights.astype(np.float32)).astype(np.float64)
        highest = np.maximum.reduceat(score, starts[:-1])
        odds = np.exp(score - highest[owner])
        total = np.add.reduceat(odds, starts[:-1])
        likely = score[true] - highest - np.log(total)
        chance = (odds / total[owner] * weight[owner]).astype(np.float32)
        slope = (chance @ scaled).astype(np.float64) - wanted
        return float(PENALTY * weights @ weights - weight @ likely), slope + 2 * PENALTY * weights

    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(FEATURES)
    excluded = FEATURES.index("excluded")
    bounds[excluded] = (LEAST_EXCLUDED * float(spread[excluded]), None)
    start = np.zeros(len(FEATURES))
    start[excluded] = bounds[excluded][0]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300})
    return np.asarray(found.x / spread, np.float64)


def _calibrate(looked: Sequence[Looked], scores: Sequence[Floats]) -> float:
    """Temperature under which the true diseases, where they are candidates, are most likely."""
    pairs = [(score, each.truth) for score, each in zip(scores, looked, strict=True) if each.truth >= 0]

    def loss(temperature: float) -> float:
        return -sum(float(s[t]) / temperature - _log_sum(s / temperature) for s, t in pairs)

    return float(min(np.geomspace(0.5, 4, 60), key=loss))


def _learn_absence(looked: Sequence[Looked], scores: Sequence[Floats]) -> Floats:
    """Tell first candidates of patients whose disease is there from those of the same without it."""
    facts, absent = [], []
    for each, score in zip(looked, scores, strict=True):
        others = np.delete(np.arange(score.size), each.truth) if each.truth >= 0 else np.arange(score.size)
        for candidates, gone in ((np.arange(score.size), each.truth < 0), (others, True)):
            first = candidates[int(np.argmax(score[candidates]))]
            facts.append(describe_first(each.features[first], each.signs)[1:])
            absent.append(gone)
    model = LogisticRegression(C=10.0, max_iter=1000).fit(np.array(facts), absent)
    taught, wanted = np.mean(absent), UNKNOWN_DISEASES
    shift = np.log(wanted / (1 - wanted)) - np.log(taught / (1 - taught))
    return np.concatenate([model.intercept_ + shift, model.coef_[0]])


def _rank(scores: Floats, truth: int) -> float:
    return float("inf") if truth < 0 else float(1 + (scores > scores[truth]).sum())


def _log_sum(scores: Floats) -> float:
    return float(scores.max() + np.log(np.exp(scores - scores.max()).sum()))


def _tell_source(ranker: Ranker, looked: Sequence[Looked], seed: int) -> dict[str, Any]:
    provenance = ranker.base.provenance
    return {
        "cases": len(looked),
        "diseases": len({each.disease for each in looked}),
        "papers": len({each.paper for each in looked}),
        "ontology": provenance.ontology_version,
        "annotations": provenance.annotations_version,
        "merged": bool(provenance.merge_sha256),
        "seed": seed,
    }
