"""Why a disease stands where it does, and what to look for next."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Patient
from galeno.knowledge.explanation import MISSING, REFERENCES
from galeno.knowledge.learned import TermCounts, count_rows
from galeno.knowledge.ranker import Ranker
from galeno.knowledge.ranking import Finding, RankedDisease

SEIZURE, DELAY, FOCAL, FEVER = "HP:0001250", "HP:0001263", "HP:0007359", "HP:0001945"


def explain(ranker: Ranker, disease: str, *observed: str, absent: tuple[str, ...] = ()) -> RankedDisease:
    """What is told of one disease."""
    return next(
        each for each in ranker.rank(Patient(observed, absent), top=50).diseases if each.id == disease
    )


def only(told: RankedDisease) -> Finding:
    (finding,) = told.findings
    return finding


def test_a_sign_that_the_disease_lists(small_ranker: Ranker) -> None:
    finding = only(explain(small_ranker, "OMIM:100001", SEIZURE))
    assert finding.match == "exact"
    assert (finding.id, finding.name, finding.state) == (SEIZURE, "Seizure", "observed")
    assert (finding.matched_id, finding.matched_name) == (SEIZURE, "Seizure")
    assert finding.frequency.startswith("11/12"), "counts of two papers are added"
    assert finding.weight > 0
    assert {"PMID:1000001", "PMID:1000002"} <= set(finding.references)


def test_something_more_general_is_listed(small_ranker: Ranker) -> None:
    finding = only(explain(small_ranker, "OMIM:100001", FOCAL))
    assert finding.match == "broader"
    assert finding.matched_id == SEIZURE
    assert 0 < finding.weight < only(explain(small_ranker, "OMIM:100001", SEIZURE)).weight


def test_something_more_special_is_listed(small_ranker: Ranker) -> None:
    finding = only(explain(small_ranker, "OMIM:100002", SEIZURE))
    assert finding.match == "narrower"
    assert finding.matched_id == FOCAL
    assert finding.frequency == "5/10"
    assert finding.references == ("PMID:1000003",)


def test_a_sibling_is_related(small_ranker: Ranker) -> None:
    """The disease lists focal seizures; status epilepticus is another kind of seizure."""
    finding = only(explain(small_ranker, "OMIM:100002", "HP:0002133"))
    assert finding.match == "related"
    assert finding.matched_id == SEIZURE
    assert finding.weight > 0


def test_a_sign_that_means_nothing_to_the_disease_stays_near_neutral(small_ranker: Ranker) -> None:
    finding = only(explain(small_ranker, "OMIM:100004", FEVER))
    assert finding.match == "none"
    assert finding.matched_id is finding.matched_name is finding.share is None
    assert finding.references == ()
    assert abs(finding.weight) < 0.1


@pytest.mark.parametrize(
    ("disease", "term", "frequency"),
    [
        ("OMIM:100003", "HP:0001251", "90%"),
        ("OMIM:100004", "HP:0002650", "6/12"),
        ("OMIM:100003", "HP:0000407", ""),
        ("OMIM:100005", "HP:0001629", "4/4"),
    ],
)
def test_frequencies_are_told_as_annotated(
    small_ranker: Ranker, disease: str, term: str, frequency: str
) -> None:
    assert only(explain(small_ranker, disease, term)).frequency == frequency


def test_a_frequency_term_is_told_by_name(small_ranker: Ranker) -> None:
    place = small_ranker.base.find_disease("ORPHA:900004")
    assert place is not None
    finding = only(explain(small_ranker, small_ranker.base.diseases[place].id, "HP:0001166"))
    assert finding.frequency.startswith("10/12")
    assert {"PMID:1000005", "OMIM:100004", "ORPHA:900004"} == set(finding.references)
    tall = KnowledgeBase.merge(small_ranker.base, {}, "")
    finding = only(explain(Ranker(tall), "ORPHA:900004", "HP:0001166"))
    assert finding.frequency == "Very frequent"


def test_an_excluded_sign_that_the_disease_shows_speaks_against_it(small_ranker: Ranker) -> None:
    told = explain(small_ranker, "OMIM:100001", DELAY, absent=(SEIZURE, FEVER))
    assert [each.state for each in told.findings] == ["observed", "excluded", "excluded"]
    against, nothing = told.findings[1:]
    assert against.match == "exact"
    assert against.weight < 0
    assert nothing.match == "none"
    assert nothing.weight == 0


def test_missing_signs_are_those_that_nobody_has_looked_for(small_ranker: Ranker) -> None:
    told = explain(small_ranker, "OMIM:100001", SEIZURE, absent=("HP:0000252",))
    assert [each.id for each in told.missing] == [DELAY, "HP:0001252"]
    first = told.missing[0]
    assert first.name == "Global developmental delay"
    assert first.frequency.startswith("7/8")
    assert first.weight > 0 > first.against


def test_a_sign_that_is_implied_is_not_missing(small_ranker: Ranker) -> None:
    """Focal seizures are seizures; where seizures are absent, there are no focal ones to look for."""
    assert SEIZURE not in [each.id for each in explain(small_ranker, "OMIM:100001", FOCAL).missing]
    told = explain(small_ranker, "OMIM:100002", DELAY, absent=(SEIZURE,))
    assert FOCAL not in [each.id for each in told.missing]
    assert FOCAL in [each.id for each in explain(small_ranker, "OMIM:100002", SEIZURE).missing]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_explanation_holds_together(small_ranker: Ranker, data: st.DataObject) -> None:
    ontology = small_ranker.base.ontology
    terms = [ontology.ids[t] for t in np.flatnonzero(ontology.is_phenotype)]
    observed = tuple(data.draw(st.lists(st.sampled_from(terms), min_size=1, max_size=5, unique=True)))
    excluded = tuple(data.draw(st.lists(st.sampled_from(terms), max_size=3, unique=True)))
    ranking = small_ranker.rank(Patient(observed, excluded), top=12)
    json.dumps(ranking.to_dict(), allow_nan=False)
    for told in ranking.diseases:
        assert [each.id for each in told.findings] == [*ranking.observed, *ranking.excluded]
        for finding in told.findings:
            met = finding.match != "none"
            assert met == (finding.matched_id is not None) == (finding.share is not None)
            assert (finding.state == "observed") or finding.weight <= 0
            if finding.match == "exact":
                assert finding.matched_id == finding.id
            if finding.match == "broader":
                assert ontology.index[finding.matched_id] in ontology.ancestors.row(
                    ontology.index[finding.id]
                )
            if finding.match == "narrower":
                assert ontology.index[finding.id] in ontology.ancestors.row(
                    ontology.index[finding.matched_id]
                )
            assert len(finding.references) <= REFERENCES
        known = {each.id for each in told.findings}
        assert len(told.missing) <= MISSING
        for missing in told.missing:
            assert missing.id not in known
            assert missing.weight > 0 >= missing.against
            assert missing.share is not None
            assert 0 < missing.share <= 1


def test_learned_cases_are_told_apart(small_base: KnowledgeBase) -> None:
    learned = count_rows({"OMIM:100001": TermCounts(4, {SEIZURE: 2, FEVER: 4}, {})}, small_base)
    ranker = Ranker(small_base, learned=learned)
    seizure, fever = explain(ranker, "OMIM:100001", SEIZURE, FEVER).findings
    assert seizure.frequency == "11/12; 50% of 4 (learned)"
    assert fever.frequency == "100% of 4 (learned)"
    assert fever.match == "exact"
    assert fever.references == ()


def test_the_release_tells_where_a_sign_comes_from(real_ranker: Ranker) -> None:
    ranking = real_ranker.rank(Patient(("HP:0001166", "HP:0001083", "HP:0002616")), top=10)
    marfan = next(each for each in ranking.diseases if each.id == "OMIM:154700")
    assert marfan.inheritance == ("Autosomal dominant inheritance",)
    assert all(each.match == "exact" for each in marfan.findings)
    assert all(each.references for each in marfan.findings)
    assert len(marfan.missing) == MISSING
