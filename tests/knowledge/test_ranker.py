"""The ranker: probabilities, order, and what holds whatever the weights are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import InputError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Patient
from galeno.knowledge.dossiers import open_one
from galeno.knowledge.learned import TermCounts, count_rows
from galeno.knowledge.profiles import Rows
from galeno.knowledge.ranker import Chances, Ranker

SEIZURE, DELAY, FOCAL, FEVER = "HP:0001250", "HP:0001263", "HP:0007359", "HP:0001945"


def ids(ranker: Ranker) -> list[str]:
    """All signs."""
    return [ranker.base.ontology.ids[t] for t in np.flatnonzero(ranker.base.ontology.is_phenotype)]


def patients(ranker: Ranker, terms: list[str] | None = None) -> st.SearchStrategy[Patient]:
    """Patients with any signs."""
    some = st.sampled_from(terms or ids(ranker))
    return st.builds(
        Patient,
        st.lists(some, min_size=1, max_size=6, unique=True).map(tuple),
        st.lists(some, max_size=4, unique=True).map(tuple),
        st.none() | st.floats(0, 90),
        st.sampled_from([None, "MALE", "FEMALE"]),
        st.none() | st.floats(0, 90) | st.sampled_from(["HP:0003577", "HP:0003581", "HP:0000001"]),
    )


def rows_of(ranker: Ranker, disease: int) -> Rows:
    return ranker.rows.take(ranker.rows.disease == disease)


def without_paper(ranker: Ranker, disease: str, paper: str) -> tuple[int, Rows]:
    """A disease as it is known without one paper."""
    place = ranker.base.find_disease(disease)
    assert place is not None
    rows = rows_of(ranker, place)
    papers = ranker.base.annotations.references
    return place, rows.take(np.array([paper not in papers[number].split(";") for number in rows.reference]))


def rank_of(chances: Chances, disease: int) -> int:
    """1 for the first; ties as well as can be."""
    return 1 + int((chances.score > chances.score[disease] + 1e-4).sum())


def check_probabilities(chances: Chances, diseases: int) -> None:
    assert chances.probability.shape == chances.score.shape == (diseases,)
    assert np.isfinite(chances.score).all()
    assert (chances.probability >= 0).all()
    assert chances.probability.sum() == pytest.approx(1)
    assert 0 < chances.absent < 1


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_probabilities_sum_to_one_and_are_ordered_as_scores(
    small_ranker: Ranker, data: st.DataObject
) -> None:
    chances = small_ranker.chances(data.draw(patients(small_ranker)))
    check_probabilities(chances, 12)
    order = np.argsort(-chances.score)
    assert (np.diff(chances.probability[order]) <= 1e-12).all()


@pytest.mark.parametrize("terms", [(SEIZURE,), (SEIZURE, DELAY, "HP:0000252"), ("HP:0001166", "HP:0002616")])
def test_the_same_among_all_diseases_of_the_release(real_ranker: Ranker, terms: tuple[str, ...]) -> None:
    """Also where those that were looked at closely end and the others begin."""
    chances = real_ranker.chances(Patient(terms))
    check_probabilities(chances, len(real_ranker.base.diseases))
    order = np.argsort(-chances.score, kind="stable")
    falls = np.diff(chances.probability[order]) <= 1e-12
    assert falls.all(), f"disease {int(np.argmin(falls)) + 2} is likelier than the one before it"


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_candidates_come_first_and_each_is_likelier_than_the_next(
    real_ranker: Ranker, data: st.DataObject
) -> None:
    patient = data.draw(patients(real_ranker))
    query = real_ranker.read(patient)
    close = real_ranker.look(query)
    chances = real_ranker.judge(query, close)
    order = np.argsort(-chances.score, kind="stable")[: close.diseases.size]
    assert set(order.tolist()) == set(close.diseases.tolist())
    assert (np.diff(chances.probability[order]) <= 1e-12).all()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_order_of_terms_means_nothing(small_ranker: Ranker, data: st.DataObject) -> None:
    patient = data.draw(patients(small_ranker))
    turned = replace(
        patient,
        observed=tuple(data.draw(st.permutations(patient.observed))),
        excluded=tuple(data.draw(st.permutations(patient.excluded))),
    )
    here, there = small_ranker.chances(patient), small_ranker.chances(turned)
    assert there.score == pytest.approx(here.score, abs=1e-4)
    assert there.probability == pytest.approx(here.probability, abs=1e-4)
    assert there.absent == pytest.approx(here.absent, abs=1e-4)


def test_the_order_of_terms_means_nothing_in_the_release(real_ranker: Ranker) -> None:
    terms = ("HP:0001250", "HP:0001263", "HP:0000252", "HP:0002069", "HP:0001298", "HP:0011344")
    here = real_ranker.rank(Patient(terms))
    for shift in range(1, len(terms)):
        there = real_ranker.rank(Patient(terms[shift:] + terms[:shift]))
        assert [each.id for each in there.diseases] == [each.id for each in here.diseases]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_disease_told_by_its_own_rows_is_itself(small_ranker: Ranker, data: st.DataObject) -> None:
    """Own paper out is like for like: what is put in place of a disease is judged as the disease is."""
    patient = data.draw(patients(small_ranker))
    disease = data.draw(st.integers(0, 11))
    plain = small_ranker.chances(patient)
    instead = small_ranker.chances(patient, instead={disease: rows_of(small_ranker, disease)})
    assert instead.score == pytest.approx(plain.score, abs=1e-4)
    assert instead.probability == pytest.approx(plain.probability, abs=1e-4)
    assert instead.absent == pytest.approx(plain.absent, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_same_for_diseases_of_the_release(real_ranker: Ranker, data: st.DataObject) -> None:
    """For a patient with signs of the disease, so that it is among the candidates."""
    dossiers = real_ranker.dossiers
    disease = data.draw(
        st.integers(0, dossiers.count - 1).filter(lambda d: dossiers.first[d] < dossiers.first[d + 1])
    )
    terms = dossiers.listed.term[dossiers.first[disease] : dossiers.first[disease + 1]]
    own = [real_ranker.base.ontology.ids[term] for term in terms]
    patient = data.draw(patients(real_ranker, own))
    plain = real_ranker.chances(patient)
    instead = real_ranker.chances(patient, instead={disease: rows_of(real_ranker, disease)})
    assert instead.score == pytest.approx(plain.score, abs=1e-3)
    assert instead.probability == pytest.approx(plain.probability, abs=1e-3)


def test_a_sign_that_no_other_disease_shows_never_harms_the_one_that_lists_it(small_ranker: Ranker) -> None:
    base, dossiers = small_ranker.base, small_ranker.dossiers
    alone = {}
    for term in np.unique(dossiers.listed.term).tolist():
        where = dossiers.profiles.of_term(term)
        if where.stop - where.start == 1:
            alone[base.ontology.ids[term]] = int(dossiers.profiles.disease[where][0])
    assert len(alone) > 4
    random = np.random.default_rng(0)
    for term, disease in alone.items():
        others = [each for each in ids(small_ranker) if each != term]
        for size in np.repeat([1, 2, 4], 8):
            signs = tuple(random.choice(others, size, replace=False).tolist())
            before = rank_of(small_ranker.chances(Patient(signs)), disease)
            assert rank_of(small_ranker.chances(Patient((*signs, term))), disease) <= before


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_an_excluded_sign_never_helps_a_disease_that_knows_it(
    small_ranker: Ranker, data: st.DataObject
) -> None:
    """Against any that does not know it; whatever else is told of the patient."""
    patient = data.draw(patients(small_ranker))
    term = data.draw(st.sampled_from(ids(small_ranker)))
    if term in patient.observed:
        return
    before = small_ranker.chances(patient).score
    after = small_ranker.chances(replace(patient, excluded=(*patient.excluded, term))).score
    profiles = small_ranker.dossiers.profiles
    place = small_ranker.base.ontology.index[term]
    knows = np.zeros(before.size, bool)
    knows[profiles.disease[profiles.of_term(place)]] = True
    change = after - before
    if knows.any() and not knows.all():
        assert change[knows].max() <= change[~knows].min() + 1e-4


def test_a_term_that_is_observed_and_excluded_is_observed(small_ranker: Ranker) -> None:
    ranking = small_ranker.rank(Patient((SEIZURE, DELAY), (SEIZURE, FEVER)))
    assert ranking.observed == (SEIZURE, DELAY)
    assert ranking.excluded == (FEVER,)


def test_old_ids_and_repeated_ones_count_once(small_ranker: Ranker) -> None:
    here = small_ranker.chances(Patient((SEIZURE, DELAY)))
    there = small_ranker.chances(Patient(("HP:0001275", SEIZURE, DELAY, DELAY, "HP:9999999", "HP:0000006")))
    assert np.array_equal(here.score, there.score)


@pytest.mark.parametrize("terms", [(), ("HP:9999999",), ("HP:0000006",), ("nothing",)])
def test_no_sign_is_refused(small_ranker: Ranker, terms: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="no sign"):
        small_ranker.rank(Patient(terms, (SEIZURE,)))


def test_the_most_general_sign_says_next_to_nothing(small_ranker: Ranker) -> None:
    ranking = small_ranker.rank(Patient(("HP:0000118",)))
    assert len(ranking.diseases) == 12


def test_a_clear_patient_is_found(small_ranker: Ranker) -> None:
    ranking = small_ranker.rank(Patient(("HP:0001166", "HP:0002650", "HP:0001639")), top=3)
    assert [each.rank for each in ranking.diseases] == [1, 2, 3]
    first = ranking.diseases[0]
    assert first.id == "OMIM:100004"
    assert first.members == ("OMIM:100004", "ORPHA:900004")
    assert first.inheritance == ("Autosomal dominant inheritance",)
    assert first.probability > 0.5
    assert ranking.candidates == 12
    assert ranking.provenance["parameters_sha256"] == small_ranker.parameters.sha256
    assert ranking.provenance["ontology_version"] == "2024-02-29"


def test_the_answer_is_what_the_chances_are(small_ranker: Ranker) -> None:
    patient = Patient((SEIZURE, DELAY), (FEVER,), 2.0, "FEMALE", "HP:0003593")
    chances, ranking = small_ranker.chances(patient), small_ranker.rank(patient, top=12)
    scores = [each.score for each in ranking.diseases]
    assert scores == sorted(scores, reverse=True)
    for each in ranking.diseases:
        place = small_ranker.base.find_disease(each.id)
        assert each.score == pytest.approx(chances.score[place], abs=1e-4)
    assert ranking.absent == pytest.approx(chances.absent, abs=1e-4)
    assert ranking.diseases[0].onset == ("Infantile onset",)


def test_asked_for_more_than_there_are(small_ranker: Ranker) -> None:
    assert len(small_ranker.rank(Patient((SEIZURE,)), top=10_000).diseases) == 12
    assert len(small_ranker.rank(Patient((SEIZURE,)), top=1).diseases) == 1


def test_as_many_diseases_as_were_asked_for(real_ranker: Ranker) -> None:
    assert len(real_ranker.rank(Patient((SEIZURE,)), top=500).diseases) == 500


def test_a_disease_known_from_one_paper_alone_has_nothing_left(small_base: KnowledgeBase) -> None:
    ranker = Ranker(small_base)
    patient = Patient(("HP:0000510", "HP:0000407"))
    disease, left = without_paper(ranker, "OMIM:100006", "PMID:1000008")
    assert left.term.size == 0
    alone = open_one(left, disease, ranker.dossiers)
    assert alone.listed.term.size == alone.profiles.disease.size == 0
    assert alone.papers.tolist() == [0]
    with_paper = ranker.chances(patient)
    without = ranker.chances(patient, instead={disease: left})
    check_probabilities(without, 14)
    assert rank_of(with_paper, disease) == 1
    assert rank_of(without, disease) > 1
    assert without.probability[disease] < with_paper.probability[disease]
    assert np.array_equal(ranker.chances(patient).score, with_paper.score), "nothing stays behind"


def test_a_disease_keeps_what_other_papers_say(small_base: KnowledgeBase) -> None:
    ranker = Ranker(small_base)
    disease, left = without_paper(ranker, "OMIM:100001", "PMID:1000001")
    listed = open_one(left, disease, ranker.dossiers).listed
    told = {ranker.base.ontology.ids[t]: float(s) for t, s in zip(listed.term, listed.share, strict=True)}
    assert told == pytest.approx({SEIZURE: 3.5 / 5, "HP:0000252": 1.5 / 5})


def test_a_prior_moves_what_it_names(small_ranker: Ranker) -> None:
    patient = Patient((SEIZURE,))
    plain = small_ranker.chances(patient).score
    rare, common = (small_ranker.base.find_disease(d) for d in ("OMIM:100001", "OMIM:100002"))
    assert rare is not None
    assert common is not None
    told = Ranker(small_ranker.base, prior={rare: 1.0, common: 100.0}).chances(patient).score
    moved = told - plain
    assert moved[common] - moved[rare] == pytest.approx(np.log(100), abs=1e-4)
    others = np.delete(moved, [rare, common])
    assert others == pytest.approx(np.zeros(others.size), abs=1e-4)


def test_a_fold_is_judged_with_its_own_parameters(small_ranker: Ranker) -> None:
    patient = Patient((SEIZURE, DELAY))
    close = small_ranker.look(small_ranker.read(patient))
    for fold, weights in enumerate(small_ranker.parameters.folds):
        expected = close.evidence.features @ weights / small_ranker.parameters.temperature
        assert small_ranker.chances(patient, fold=fold).score == pytest.approx(expected)


def test_what_cases_teach_moves_their_disease(small_base: KnowledgeBase) -> None:
    learned = count_rows(
        {
            "OMIM:777777": TermCounts(4, {FEVER: 4, "HP:0000510": 3}, {}, name="Something new"),
            "OMIM:100003": TermCounts(3, {FEVER: 3}, {}),
        },
        small_base,
    )
    ranker = Ranker(small_base, learned=learned)
    new = ranker.base.find_disease("OMIM:777777")
    assert new == 14
    ranking = ranker.rank(Patient((FEVER, "HP:0000510")))
    assert ranking.candidates == 15
    assert ranking.diseases[0].id == "OMIM:777777"
    place = small_base.find_disease("OMIM:100003")
    assert place is not None
    before = rank_of(Ranker(small_base).chances(Patient((FEVER,))), place)
    assert rank_of(ranker.chances(Patient((FEVER,))), place) < before
    instead = {new: rows_of(ranker, new)}
    plain = ranker.chances(Patient((FEVER,)))
    assert ranker.chances(Patient((FEVER,)), instead=instead).score == pytest.approx(plain.score, abs=1e-4)


def test_kept_dossiers_are_the_same(
    small_files: tuple[Path, Path], small_merge: Path, tmp_path: Path
) -> None:
    base, merged = KnowledgeBase.load(*small_files), KnowledgeBase.load(*small_files, merge=small_merge)
    learned = count_rows({"OMIM:100003": TermCounts(3, {FEVER: 3}, {})}, base)
    patient = Patient((SEIZURE, DELAY), (FEVER,), 3.0, "MALE", "HP:0003593")
    for _ in range(2):
        for given_base, more in ((base, None), (merged, None), (base, learned)):
            plain = Ranker(given_base, learned=more).chances(patient)
            kept = Ranker(given_base, learned=more, cache=tmp_path).chances(patient)
            assert np.array_equal(kept.score, plain.score)
    assert len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:200])
    assert np.array_equal(
        Ranker(base, cache=tmp_path).chances(patient).score, Ranker(base).chances(patient).score
    )
