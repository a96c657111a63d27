"""Cases are judged against all candidates; their own paper, fold and support are kept apart from them."""

import numpy as np
import pytest
from small_knowledge import write_small_knowledge, write_small_merge

from galeno.errors import InputError, SourceError
from galeno.evaluation.ranking import FIGURES
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Case, Patient
from galeno.knowledge.merging import read_merge
from galeno.knowledge.ranker import Ranker
from galeno.pipeline import rare_evaluation
from galeno.pipeline.rare_evaluation import Protocol, evaluate, evaluate_few_shot

QUICK = Protocol(resampled=20)


@pytest.fixture(scope="module")
def merge(tmp_path_factory):
    return read_merge(write_small_merge(tmp_path_factory.mktemp("merge")))


@pytest.fixture(scope="module")
def ranker(tmp_path_factory, merge):
    base = KnowledgeBase.load(*write_small_knowledge(tmp_path_factory.mktemp("knowledge")))
    return Ranker(base.merge(merge, "of a test"))


def case(name, terms, *truth, paper=None):
    return Case(name, Patient(tuple(terms)), truth, paper)


CASES = [
    case("a", ["HP:0001250", "HP:0001263"], "OMIM:100001", paper="PMID:1000001"),
    case("b", ["HP:0001166", "HP:0002650"], "OMIM:100004", paper="PMID:1000005"),
    case("c", ["Rod-cone dystrophy", "HP:0000407"], "OMIM:100006", paper="PMID:5"),
    case("d", ["HP:9999999"], "OMIM:100006"),
    case("e", ["HP:0001945"], "OMIM:555555"),
]


def test_every_figure_of_the_issue_is_there(ranker, merge):
    report = evaluate(ranker, CASES, QUICK, merge=merge)
    assert {"n", *FIGURES, "ms_per_case", "intervals", "seen_in_training", "provenance"} <= set(report)
    assert report["n"] == 5
    assert report["top_1"] == 0.6
    assert report["no_usable_term"] == 1
    assert report["unknown_disease"] == 1
    assert report["unknown_terms"] == 1
    assert report["without_paper"] == 2
    assert report["provenance"]["candidates"] == 12
    assert report["ms_per_case"] > 0
    assert report["seen"] is None or report["seen"]["n"] + report["unseen"]["n"] == 5


def test_an_entry_without_annotations_is_found_by_what_it_was_merged_with(ranker, merge):
    table = {**merge, "OMIM:555555": ("MONDO:0000001", "")}
    report = evaluate(ranker, [case("a", ["HP:0001250"], "OMIM:555555")], QUICK, merge=table)
    assert report["unknown_disease"] == 0


def test_a_case_is_judged_without_its_own_paper(ranker, merge):
    cases = [case("c", ["HP:0000510", "HP:0000407"], "OMIM:100006", paper="PMID:1000008")]
    assert evaluate(ranker, cases, QUICK, merge=merge)["top_1"] == 1
    left_out = evaluate(ranker, cases, Protocol(own_paper_out=True, resampled=0), merge=merge)
    assert left_out["papers_taken_out"] == 1
    assert left_out["top_1"] == 0
    # nothing stays behind
    assert evaluate(ranker, cases, QUICK, merge=merge)["top_1"] == 1


def test_a_count_of_several_papers_keeps_the_part_of_the_others(ranker):
    asked = rare_evaluation._ask_all(
        ranker, [case("b", ["HP:0001166"], "OMIM:100004", paper="PMID:1000005")], {}
    )
    ((disease, rows),) = rare_evaluation._Papers(ranker, strict=False).without(asked[0]).items()
    assert ranker.base.diseases[disease].id == "OMIM:100004"
    left = {
        (ranker.base.ontology.ids[term], ranker.base.annotations.references[reference]): patients
        for term, reference, patients in zip(rows.term, rows.reference, rows.patients, strict=True)
    }
    assert left["HP:0001166", "PMID:1000005;OMIM:100004"] == 6
    assert left["HP:0001639", "PMID:1000006"] == 5
    assert ("HP:0002650", "PMID:1000005") not in left


def test_a_paper_that_is_named_beside_another_source_is_taken_out_too(ranker, merge):
    cases = [case("b", ["HP:0001166"], "OMIM:100004", paper="PMID:1000005")]
    assert evaluate(ranker, cases, Protocol(own_paper_out=True), merge=merge)["papers_taken_out"] == 1
    other = [case("b", ["HP:0001166"], "OMIM:100006", paper="PMID:1000005")]
    assert evaluate(ranker, other, Protocol(own_paper_out=True), merge=merge)["papers_taken_out"] == 0


def test_no_disease_outweighs_the_others_where_cases_are_capped(ranker, merge):
    cases = [CASES[0]] * 10 + [case(f"e{i}", ["HP:0001945"], "OMIM:100006") for i in range(2)]
    report = evaluate(ranker, cases, Protocol(per_disease=2, resampled=0), merge=merge)
    assert report["top_1"] == pytest.approx(10 / 12)
    assert report["at_most_per_disease"]["n"] == 4
    assert report["at_most_per_disease"]["top_1"] == 0.5


def test_intervals_are_grouped_as_asked(ranker, merge):
    twice = [CASES[0], CASES[0], CASES[2]]
    units = [
        evaluate(ranker, twice, Protocol(group_by=by), merge=merge)["units"] for by in ("source_pmid", "case")
    ]
    assert units == [2, 3]


def test_few_patients_teach_a_disease_that_was_taken_away(ranker, merge):
    taught = [case(f"p{i}", ["HP:0000510", "HP:0001639"], "OMIM:100006", paper=f"PMID:{i}") for i in range(3)]
    report = evaluate_few_shot(ranker, taught, 2, QUICK, merge=merge)
    assert report["few_shot"] == 2
    assert report["n"] == 3
    assert report["top_1"] == 1
    with pytest.raises(SourceError, match="3 cases"):
        evaluate_few_shot(ranker, taught, 3, QUICK, merge=merge)


def test_cases_without_enough_others_are_counted(ranker, merge):
    taught = [case(f"p{i}", ["HP:0000510"], "OMIM:100006", paper=f"PMID:{i}") for i in range(2)]
    report = evaluate_few_shot(ranker, [*taught, CASES[0]], 1, QUICK, merge=merge)
    assert (report["n"], report["not_enough"]) == (2, 1)


def test_a_case_without_a_disease_cannot_be_judged(ranker):
    with pytest.raises(SourceError, match="case 2"):
        evaluate(ranker, [CASES[0], case("x", ["HP:0001250"])], QUICK)


def test_progress_is_told(ranker, merge):
    told = []
    evaluate(ranker, CASES, Protocol(resampled=0), merge=merge, tell=told.append)
    assert told == [1, 2, 3, 4, 5]


def test_probabilities_are_of_all_candidates(ranker):
    chances = ranker.chances(CASES[0].patient)
    assert chances.probability.shape == chances.score.shape == (12,)
    assert np.isclose(chances.probability.sum(), 1)  # given that it is one of them
    assert 0 < chances.absent < 1
    with pytest.raises(InputError):
        ranker.chances(Patient(("HP:9999999",)))
