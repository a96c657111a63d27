"""How well rare diseases are ranked, on cases whose disease is known."""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from galeno.errors import InputError, SourceError
from galeno.evaluation.ranking import MISS, Placed, cap, figures, rank_of
from galeno.knowledge.annotations import papers_of
from galeno.knowledge.cases import Case, Patient
from galeno.knowledge.learned import count_cases, count_rows, fingerprint_paper
from galeno.knowledge.merging import normalise_disease
from galeno.knowledge.profiles import Rows, RowsByDisease
from galeno.knowledge.prototypes import Prototypes
from galeno.knowledge.ranker import Ranker
from galeno.knowledge.support import draw_support
from galeno.pipeline.rare import TermReader

Grouping = Literal["source_pmid", "disease", "case"]
Instead = Mapping[int, Rows]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How cases are judged.

    Attributes:
        own_paper_out: take the paper that a case was published in from its disease's annotations first.
        strict: drop rows that the paper supports together with others, and not only discount them.
        out_of_fold: judge each case with parameters that were learned without its paper.
        group_by: what is resampled together for the intervals.
        per_disease: how many cases of one disease count in the figures apart that are capped.
        resampled: resamples for the intervals; 0 gives none.
        seed: of the resamples and of the support cases.
    """

    own_paper_out: bool = False
    strict: bool = False
    out_of_fold: bool = False
    group_by: Grouping = "source_pmid"
    per_disease: int = 5
    resampled: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    rank: float
    confidence: float
    seconds: float
    usable: bool


def evaluate(
    ranker: Ranker,
    cases: Sequence[Case],
    protocol: Protocol | None = None,
    *,
    merge: Mapping[str, tuple[str, str]] | None = None,
    taught: Collection[str] = (),
    tell: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Judge a ranker on cases whose disease is known; all diseases are candidates.

    Args:
        ranker: the ranker.
        cases: each with its confirmed disease.
        protocol: how; None takes annotations as they are.
        merge: the table that the ranker's diseases were merged with, which finds entries without annotations.
        taught: fingerprints of papers whose cases the home has learned; they count as seen too.
        tell: called with the number of cases done.

    Returns:
        n, the figures of `evaluation.ranking`, ms_per_case, `intervals`, how many cases had no usable term
        (`no_usable_term`) or a disease that is no candidate (`unknown_disease`), both of which are misses;
        `at_most_per_disease` with the same figures; seen_in_training, `seen` and `unseen` apart; `protocol`
        and `provenance`.

    Raises:
        SourceError: a case has no confirmed disease.
        InputError: out_of_fold was asked of parameters that have no folds.
    """
    chosen = protocol or Protocol()
    asked = _ask_all(ranker, cases, merge or {})
    folds = _folds(ranker, cases, wanted=chosen.out_of_fold)
    papers = _Papers(ranker, strict=chosen.strict)
    answers = []
    removed = 0
    for number, (each, fold) in enumerate(zip(asked, folds, strict=True), start=1):
        instead = papers.without(each) if chosen.own_paper_out else None
        removed += instead is not None
        answers.append(_judge(ranker, each, instead=instead, fold=fold))
        if tell is not None:
            tell(number)
    report = _report(cases, asked, answers, chosen)
    report |= _seen_apart(ranker.parameters.papers.union(taught), cases, answers, chosen)
    report["papers_taken_out"] = removed
    return report | {"protocol": _tell_protocol(chosen), "provenance": _provenance(ranker)}


def evaluate_few_shot(
    ranker: Ranker,
    cases: Sequence[Case],
    k: int,
    protocol: Protocol | None = None,
    *,
    merge: Mapping[str, tuple[str, str]] | None = None,
    taught: Collection[str] = (),
    tell: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Judge what a few patients teach of a disease that the knowledge base lacks.

    The disease of each case is described by `k` confirmed patients from other papers than the case's, and by
    nothing else: its own annotations are taken away. All other diseases stay as they are.

    Args:
        ranker: the ranker.
        cases: each with its confirmed disease.
        k: support cases a disease, from 1.
        protocol: `seed` draws the support cases; own_paper_out means nothing here.
        merge: as in `evaluate`.
        taught: likewise.
        tell: called with the number of cases done.

    Returns:
        as `evaluate`, over the cases that have enough others; `not_enough` counts those that have not.

    Raises:
        SourceError: a case has no confirmed disease, or no disease has enough papers.
    """
    chosen = protocol or Protocol()
    table = merge or {}
    drawn = draw_support(cases, k, chosen.seed, disease_of=lambda case: _name(ranker, case, table))
    if not drawn:
        raise SourceError(
            f"no disease has {k} cases from other papers than a case's own",
            remedy="Ask for fewer support cases",
        )
    queries = [query for query, _ in drawn]
    asked = _ask_all(ranker, queries, table)
    folds = _folds(ranker, queries, wanted=chosen.out_of_fold)
    prototypes = Prototypes(ranker.base, ranker.rows)
    answers = []
    for number, (each, (_, support), fold) in enumerate(zip(asked, drawn, folds, strict=True), start=1):
        instead = _taught(ranker, prototypes, each, support[str(_name(ranker, each.case, table))])
        answers.append(_judge(ranker, each, instead=instead, fold=fold))
        if tell is not None:
            tell(number)
    report = _report(queries, asked, answers, chosen)
    report |= _seen_apart(ranker.parameters.papers.union(taught), queries, answers, chosen)
    report |= {"few_shot": k, "not_enough": len(cases) - len(queries)}
    return report | {"protocol": _tell_protocol(chosen), "provenance": _provenance(ranker)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A case, brought to the ranker's terms and diseases."""

    case: Case
    patient: Patient
    truth: tuple[int, ...]
    unknown_terms: int


def _ask_all(ranker: Ranker, cases: Sequence[Case], merge: Mapping[str, tuple[str, str]]) -> list[_Asked]:
    reader = TermReader(ranker.base.ontology)
    asked: list[_Asked] = []
    for case in cases:
        if not case.truth:
            raise SourceError(
                "a case has no confirmed disease",
                where=f"case {len(asked) + 1}",
                remedy='Give it as "truth": ["OMIM:..."], or leave the case out',
            )
        observed, unknown = reader.read(case.patient.observed)
        excluded, more = reader.read(case.patient.excluded)
        kept = tuple(term for term in excluded if term not in observed)
        patient = Patient(observed, kept, case.patient.age, case.patient.sex, case.patient.onset)
        asked.append(_Asked(case, patient, _diseases(ranker, case, merge), unknown + more))
    return asked


def _diseases(ranker: Ranker, case: Case, merge: Mapping[str, tuple[str, str]]) -> tuple[int, ...]:
    """Candidates that are the case's disease."""
    found = set()
    for entry in map(normalise_disease, case.truth):
        place = ranker.base.find_disease(entry)
        if place is None and entry in merge:
            place = ranker.base.find_disease(merge[entry][0])
        if place is not None:
            found.add(place)
    return tuple(sorted(found))


def _name(ranker: Ranker, case: Case, merge: Mapping[str, tuple[str, str]]) -> str | None:
    """One name for a disease under any of its ids; None where nobody confirmed one."""
    found = _diseases(ranker, case, merge)
    return ranker.base.diseases[found[0]].id if found else next(iter(case.truth), None)


def _judge(ranker: Ranker, asked: _Asked, *, instead: Instead | None, fold: int | None) -> _Answer:
    start = time.perf_counter()
    try:
        chances = ranker.chances(asked.patient, instead=instead, fold=fold)
    except InputError:
        return _Answer(MISS, float("nan"), time.perf_counter() - start, usable=False)
    seconds = time.perf_counter() - start
    rank = rank_of(chances.score, asked.truth)
    first = int(np.argmax(chances.score))
    return _Answer(rank, float(chances.probability[first]), seconds, usable=True)


class _Papers:
    """Finds the annotations that come from a paper."""

    def __init__(self, ranker: Ranker, *, strict: bool) -> None:
        annotations = ranker.base.annotations
        self._rows = RowsByDisease(ranker.rows, len(ranker.base.diseases))
        self._references = annotations.number_papers()
        sources = np.array([len(papers_of(reference)) for reference in annotations.references], np.float64)
        self._others = np.zeros(sources.size) if strict else 1 - 1 / sources

    def without(self, asked: _Asked) -> Instead | None:
        """The case's disease, under each entry, without the case's paper; None where it tells nothing of it.

        A count that several papers support together stays, with one paper's part of its patients taken off:
        how many of them were this paper's, the annotations do not say.
        """
        named = self._references.get(asked.case.paper or "", [])
        told: dict[int, Rows] = {}
        for disease in asked.truth if named else ():
            rows = self._rows.of(disease)
            own = np.isin(rows.reference, named)
            if own.any():
                left = np.where(own, self._others[rows.reference], 1.0)
                told[disease] = rows._replace(patients=rows.patients * left).take(left > 0)
        return told or None


def _taught(ranker: Ranker, prototypes: Prototypes, asked: _Asked, support: Sequence[Case]) -> Instead | None:
    """The case's disease, under each of its entries known from support cases and its name alone."""
    counts, _ = count_cases(support, ranker.base)
    rows = prototypes.describe(count_rows(counts, ranker.base), unknown=asked.truth)
    return {disease: rows.take(rows.disease == disease) for disease in asked.truth} or None


def _folds(ranker: Ranker, cases: Sequence[Case], *, wanted: bool) -> list[int | None]:
    """For each case, the fold whose parameters did not see its paper; None takes the shipped ones."""
    if not wanted:
        return [None] * len(cases)
    fold_of = ranker.parameters.fold_of
    if not fold_of:
        raise InputError([("out_of_fold", "the parameters of this ranker have no folds")])
    return [fold_of.get(fingerprint_paper(case.paper)) if case.paper else None for case in cases]


def _report(
    cases: Sequence[Case], asked: Sequence[_Asked], answers: Sequence[_Answer], protocol: Protocol
) -> dict[str, Any]:
    placed = _placed(cases, answers, protocol)
    everything = figures(placed, resampled=protocol.resampled, seed=protocol.seed)
    # a disease is the same one under each of its ids; one that is no candidate goes by its own
    groups: list[Hashable] = [each.truth or each.case.truth for each in asked]
    kept = cap(groups, protocol.per_disease, [case.id for case in cases])
    capped = figures(placed.take(kept), resampled=protocol.resampled, seed=protocol.seed)
    usable = [answer.seconds for answer in answers if answer.usable]
    return everything | {
        "ms_per_case": 1000 * float(np.mean(usable)) if usable else None,
        "no_usable_term": sum(not answer.usable for answer in answers),
        "unknown_disease": sum(not each.truth for each in asked),
        "unknown_terms": sum(each.unknown_terms for each in asked),
        "unread_fields": sum(len(case.unread) for case in cases),
        "diseases": len(set(groups)),
        "at_most_per_disease": {"cases": protocol.per_disease, **capped},
    }


def _seen_apart(
    papers: Collection[str], cases: Sequence[Case], answers: Sequence[_Answer], protocol: Protocol
) -> dict[str, Any]:
    seen = np.array([bool(case.paper) and fingerprint_paper(case.paper or "") in papers for case in cases])
    placed = _placed(cases, answers, protocol)
    apart = {
        name: figures(placed.take(mask), resampled=protocol.resampled, seed=protocol.seed)
        for name, mask in (("seen", seen), ("unseen", ~seen))
        if mask.any()
    }
    return {
        "seen_in_training": int(seen.sum()),
        "without_paper": sum(case.paper is None for case in cases),
        "seen": None,
        "unseen": None,
        **apart,
    }


def _placed(cases: Iterable[Case], answers: Sequence[_Answer], protocol: Protocol) -> Placed:
    return Placed(
        np.array([answer.rank for answer in answers]),
        np.array([answer.confidence for answer in answers]),
        [_unit(case, number, protocol.group_by) for number, case in enumerate(cases)],
    )


def _unit(case: Case, number: int, grouping: Grouping) -> Hashable:
    """What a case is resampled with; one without a paper is alone."""
    if grouping == "source_pmid" and case.paper:
        return case.paper
    return case.truth if grouping == "disease" else number


def _tell_protocol(protocol: Protocol) -> dict[str, Any]:
    return {name: getattr(protocol, name) for name in Protocol.__slots__}


def _provenance(ranker: Ranker) -> dict[str, Any]:
    return {**ranker.provenance, "candidates": len(ranker.base.diseases)}
