"""Weights are learned from published cases, each fold without its papers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_knowledge import write_small_knowledge, write_small_merge

from galeno.errors import LearningError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Case, Patient
from galeno.knowledge.counts import fingerprint_paper
from galeno.knowledge.evidence import FEATURES
from galeno.knowledge.ranker import Ranker
from galeno.learning.ranking import FOLDS, LEAST_EXCLUDED, MOST_CASES, Fit, choose_cases, learn_parameters

SEIZURE, DELAY, FEVER = "HP:0001250", "HP:0001263", "HP:0001945"


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    folder: Path = tmp_path_factory.mktemp("knowledge")
    return Ranker(KnowledgeBase.load(*write_small_knowledge(folder), merge=write_small_merge(folder)))


@pytest.fixture(scope="module")
def cases(ranker: Ranker) -> list[Case]:
    """Patients with two thirds of their disease's signs and one of anything, two a paper."""
    random = np.random.default_rng(7)
    dossiers, names = ranker.dossiers, ranker.base.ontology.ids
    anything = [names[t] for t in np.flatnonzero(ranker.base.ontology.is_phenotype)]
    drawn = []
    for number in range(80):
        disease = int(random.integers(dossiers.count))
        own = dossiers.listed.term[dossiers.first[disease] : dossiers.first[disease + 1]]
        has = random.random(own.size) < 0.66
        observed = [names[t] for t in own[has]] + [str(random.choice(anything))]
        patient = Patient(tuple(observed), tuple(names[t] for t in own[~has]), float(random.integers(0, 60)))
        truth = (ranker.base.diseases[disease].id,)
        drawn.append(Case(f"case {number}", patient, truth, f"PMID:{9_000_000 + number // 2}"))
    return drawn


@pytest.fixture(scope="module")
def fit(ranker: Ranker, cases: list[Case]) -> Fit:
    return learn_parameters(ranker, cases, seed=0)


def test_it_learns_something(fit: Fit) -> None:
    """The shape of what was learned, and that the true disease is mostly among the first."""
    learned = fit.parameters
    assert learned.weights.shape == (len(FEATURES),)
    assert learned.folds.shape == (FOLDS, len(FEATURES))
    assert np.isfinite(learned.weights).all()
    assert np.isfinite(learned.absence).all()
    assert 0 < learned.temperature < 10
    assert 0 <= learned.outside < 1
    assert (fit.ranks >= 1).all()
    assert (fit.ranks <= 3).mean() > 0.6
    assert learned.learned_from["cases"] == len(fit.ranks) == 80
    assert learned.learned_from["papers"] == len(learned.fold_of) == 40


def test_the_same_seed_gives_the_same_bytes(ranker: Ranker, cases: list[Case], fit: Fit) -> None:
    assert learn_parameters(ranker, cases, seed=0).parameters.to_json() == fit.parameters.to_json()
    assert learn_parameters(ranker, cases, seed=1).parameters.to_json() != fit.parameters.to_json()


@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_fold_has_not_seen_its_papers(ranker: Ranker, cases: list[Case], fit: Fit, fold: int) -> None:
    """Whatever is written in them, its weights stay bit for bit; those of all other folds change."""
    fold_of = fit.parameters.fold_of

    def scramble(case: Case) -> Case:
        if fold_of[fingerprint_paper(str(case.paper))] != fold:
            return case
        return replace(case, patient=Patient((FEVER, SEIZURE), (DELAY,), 1.0))

    other = learn_parameters(ranker, [scramble(case) for case in cases], seed=0).parameters
    assert other.fold_of == fold_of
    assert other.folds[fold].tobytes() == fit.parameters.folds[fold].tobytes()
    for number in range(FOLDS):
        assert number == fold or not np.array_equal(other.folds[number], fit.parameters.folds[number])
    assert not np.array_equal(other.weights, fit.parameters.weights)


def test_papers_are_whole_in_one_fold_and_told_as_fingerprints(cases: list[Case], fit: Fit) -> None:
    papers = {str(case.paper) for case in cases}
    assert fit.parameters.papers == {fingerprint_paper(paper) for paper in papers}
    sizes = np.bincount(list(fit.parameters.fold_of.values()), minlength=FOLDS)
    assert sizes.max() - sizes.min() <= 1
    text = fit.parameters.to_json()
    assert not any(paper in text or paper.removeprefix("PMID:") in text for paper in papers)
    assert not any(case.id in text for case in cases)


def test_what_is_absent_never_speaks_for_a_disease(ranker: Ranker, cases: list[Case], fit: Fit) -> None:
    """Not even where authors looked for it because of the disease, as here in every case."""
    place = FEATURES.index("excluded")
    for weights in (fit.parameters.weights, *fit.parameters.folds):
        assert weights[place] >= LEAST_EXCLUDED * (1 - 1e-3)


def test_its_own_parameters_are_not_used(ranker: Ranker, cases: list[Case], fit: Fit) -> None:
    other = Ranker(ranker.base, parameters=fit.parameters)
    assert learn_parameters(other, cases, seed=0).parameters.to_json() == fit.parameters.to_json()


def ids(chosen: Sequence[tuple[Case, int]]) -> set[str]:
    return {case.id for case, _ in chosen}


def test_cases_whose_paper_told_of_their_disease_are_left_out(ranker: Ranker) -> None:
    patient = Patient((SEIZURE,))
    given = [
        Case("own paper", patient, ("OMIM:100001",), "PMID:1000001"),
        Case("another's paper", patient, ("OMIM:100002",), "PMID:1000001"),
        Case("new paper", patient, ("ORPHA:900001",), "PMID:5"),
        Case("no paper", patient, ("OMIM:100001",)),
        Case("no disease", patient, (), "PMID:6"),
        Case("unknown disease", patient, ("OMIM:555555",), "PMID:7"),
    ]
    assert ids(choose_cases(ranker, given, 0)) == {"another's paper", "new paper"}


def test_a_paper_among_several_of_an_annotation_told_of_it_too(tmp_path: Path) -> None:
    """Annotations such as `PMID:1000005;OMIM:100004` come from each of these."""
    ontology, annotations = write_small_knowledge(tmp_path)
    text = annotations.read_text("utf-8").replace("\tPMID:1000005\t", "\tPMID:1000006\t")
    assert "PMID:1000005;OMIM:100004" in text
    annotations.write_text(text, encoding="utf-8")
    other = Ranker(KnowledgeBase.load(ontology, annotations))
    case = Case("own paper", Patient((SEIZURE,)), ("OMIM:100004",), "PMID:1000005")
    assert not choose_cases(other, [case], 0)


def test_no_disease_has_more_than_so_many_cases(ranker: Ranker) -> None:
    given = [Case(str(n), Patient((SEIZURE,)), ("OMIM:100001",), f"PMID:{n}") for n in range(MOST_CASES + 20)]
    chosen = choose_cases(ranker, given, 3)
    assert len(ids(chosen)) == len(chosen) == MOST_CASES
    assert ids(choose_cases(ranker, given, 3)) == ids(chosen)
    assert ids(choose_cases(ranker, given, 4)) != ids(chosen)


def test_cases_without_a_sign_are_passed_over(ranker: Ranker, cases: list[Case], fit: Fit) -> None:
    nothing = Case("none", Patient(("HP:9999999",)), ("OMIM:100001",), "PMID:8")
    done: list[int] = []
    again = learn_parameters(ranker, [*cases, nothing], seed=0, tell=done.append)
    assert again.parameters.learned_from["cases"] == 80
    assert done == list(range(1, 82))


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_few_papers_are_refused(ranker: Ranker, cases: list[Case], count: int) -> None:
    with pytest.raises(LearningError, match="too few papers"):
        learn_parameters(ranker, cases[: 2 * count], seed=0)
