"""What signs say for and against diseases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.evidence import (
    BACKED_OFF,
    FEATURES,
    FLOOR,
    LEAST_SHARE,
    Evidence,
    Query,
    compare,
    score_sign,
    weigh,
    weigh_excluded,
)
from galeno.knowledge.ranker import Ranker


def everyone(ranker: Ranker) -> np.ndarray:
    return np.arange(ranker.dossiers.count)


def look(ranker: Ranker, query: Query) -> Evidence:
    """Hold a patient against all diseases."""
    every = everyone(ranker)
    return compare(query, ranker.dossiers, every, np.zeros(every.size, np.float32))


def queries(ranker: Ranker) -> st.SearchStrategy[Query]:
    """Patients with any signs."""
    terms = np.flatnonzero(ranker.base.ontology.is_phenotype).tolist()
    return st.builds(
        Query,
        st.lists(st.sampled_from(terms), min_size=1, max_size=6, unique=True).map(tuple),
        st.lists(st.sampled_from(terms), max_size=5, unique=True).map(tuple),
        st.none() | st.floats(0, 90),
        st.sampled_from([None, "MALE", "FEMALE"]),
        st.none() | st.tuples(st.floats(0, 30), st.floats(30, 90)),
    )


def feature(evidence: Evidence, name: str) -> np.ndarray:
    return evidence.features[:, FEATURES.index(name)]


@settings(max_examples=50, deadline=None)
@given(
    share=st.floats(0.01, 1),
    more=st.floats(0.01, 1),
    information=st.floats(0, 9),
    rarer=st.floats(0, 9),
    listed=st.booleans(),
)
def test_a_rarer_sign_and_a_commoner_share_weigh_more(
    share: float, more: float, information: float, rarer: float, listed: bool
) -> None:
    def of(part: float, nats: float) -> float:
        return float(weigh(np.float32(part), nats, listed=listed))

    low, high = sorted((information, rarer))
    less, most = sorted((share, more))
    assert of(share, low) <= of(share, high) + 1e-6
    assert of(less, low) <= of(most, low) + 1e-6


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0.01, 1), information=st.floats(0, 9))
def test_the_sign_itself_weighs_more_than_something_general(share: float, information: float) -> None:
    exact = float(weigh(np.float32(share), information, listed=True))
    general = float(weigh(np.float32(share), information, listed=False))
    assert general <= max(exact, 0)
    assert general == pytest.approx(BACKED_OFF * (exact - 1), abs=1e-5)


def test_a_rarer_sign_met_exactly_weighs_more_in_the_release(real_ranker: Ranker) -> None:
    """Of two signs that a disease shows equally often, the one that fewer diseases show weighs more."""
    dossiers = real_ranker.dossiers
    information = dossiers.scale.information
    random = np.random.default_rng(0)
    checked = 0
    for disease in random.choice(dossiers.count, 300, replace=False).tolist():
        mine = slice(int(dossiers.first[disease]), int(dossiers.first[disease + 1]))
        terms, shares = dossiers.listed.term[mine], dossiers.listed.share[mine]
        if terms.size < 2:
            continue
        evidence = compare(
            Query(tuple(terms.tolist())), dossiers, np.array([disease]), np.zeros(1, np.float32)
        )
        assert np.array_equal(evidence.matched[:, 0], terms)
        weights = evidence.weight[:, 0]
        implied = evidence.share[:, 0]
        own = np.isclose(implied, shares)
        for share in np.unique(shares[own].round(4)):
            alike = np.flatnonzero(own & np.isclose(shares, share, atol=1e-6))
            order = alike[np.argsort(information[terms[alike]])]
            assert (np.diff(weights[order]) >= -1e-5).all()
            checked += order.size - 1
    assert checked > 500


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_evidence_of_any_patient_is_finite_and_in_range(small_ranker: Ranker, data: st.DataObject) -> None:
    query = data.draw(queries(small_ranker))
    evidence = look(small_ranker, query)
    assert evidence.features.shape == (small_ranker.dossiers.count, len(FEATURES))
    assert evidence.features.dtype == np.float32
    assert np.isfinite(evidence.features).all()
    assert (evidence.weight >= FLOOR).all()
    assert ((evidence.share >= 0) & (evidence.share <= 1)).all()
    for name in ("exact_part", "exact_information_part", "resnik", "covered", "jaccard", "exact_share"):
        part = feature(evidence, name)
        assert ((part >= 0) & (part <= 1 + 1e-5)).all(), name
    assert (feature(evidence, "excluded") <= 0).all()
    for number, term in enumerate(query.observed):
        above = small_ranker.base.ontology.ancestors.row(term)
        assert np.isin(evidence.matched[number], above).all()
    counted = sum(feature(evidence, name) for name in ("listed_signs", "implied_signs", "general_signs"))
    assert counted == pytest.approx(len(query.observed))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_evidence_does_not_depend_on_the_company(small_ranker: Ranker, data: st.DataObject) -> None:
    """A candidate is judged the same among others and alone."""
    query = data.draw(queries(small_ranker))
    all_of_them = look(small_ranker, query)
    some = np.array(sorted(data.draw(st.sets(st.integers(0, 11), min_size=1, max_size=5))))
    few = compare(query, small_ranker.dossiers, some, np.zeros(some.size, np.float32))
    assert np.allclose(few.features, all_of_them.features[some], atol=1e-5)
    assert np.array_equal(few.matched, all_of_them.matched[:, some])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_choosing_and_looking_agree(small_ranker: Ranker, data: st.DataObject) -> None:
    """The score by which candidates are chosen is that of the sign seen alone."""
    terms = np.flatnonzero(small_ranker.base.ontology.is_phenotype).tolist()
    term = data.draw(st.sampled_from(terms))
    dossiers = small_ranker.dossiers
    chosen = score_sign(term, dossiers.profiles, dossiers.scale, dossiers.count)
    assert chosen == pytest.approx(look(small_ranker, Query((term,))).weight[0], abs=1e-5)


def test_an_unknown_sign_is_backed_off_to_what_it_is_a_kind_of(small_ranker: Ranker) -> None:
    """The heart disease lists no focal seizure; the epilepsy without it lists seizures."""
    base = small_ranker.base
    focal, seizure = (base.ontology.index[t] for t in ("HP:0007359", "HP:0001250"))
    evidence = look(small_ranker, Query((focal,)))
    epilepsy, other, heart = (base.find_disease(d) for d in ("OMIM:100001", "OMIM:100002", "OMIM:100004"))
    assert evidence.matched[0, epilepsy] == seizure
    assert evidence.matched[0, other] == focal
    assert evidence.weight[0, other] > evidence.weight[0, epilepsy] > evidence.weight[0, heart]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_what_is_absent_speaks_for_no_disease(small_ranker: Ranker, data: st.DataObject) -> None:
    terms = np.flatnonzero(small_ranker.base.ontology.is_phenotype).tolist()
    excluded = data.draw(st.lists(st.sampled_from(terms), max_size=8, unique=True))
    profiles = small_ranker.dossiers.profiles
    every = everyone(small_ranker)
    weights = weigh_excluded(excluded, profiles, every, every.size)
    assert weights.shape == (len(excluded), every.size)
    assert ((weights <= 0) & (weights >= np.log(LEAST_SHARE) - 1e-5)).all()
    for number, term in enumerate(excluded):
        known = profiles.disease[profiles.of_term(term)]
        assert (np.delete(weights[number], known) == 0).all()
        assert (weights[number, known] < 0).all()


def test_age_onset_and_sex(small_ranker: Ranker) -> None:
    base = small_ranker.base
    seizure = (base.ontology.index["HP:0001250"],)
    infantile, late, linked = (base.find_disease(d) for d in ("OMIM:100001", "OMIM:100003", "OMIM:100005"))

    def fits(name: str, disease: int | None, **about) -> float:
        return float(feature(look(small_ranker, Query(seizure, **about)), name)[disease])

    assert fits("too_young", late, age=2.0) > 0
    assert fits("too_young", late, age=40.0) == 0
    assert fits("too_young", infantile, age=2.0) == 0
    assert fits("onset_apart", infantile, onset=(0.5, 0.5)) == 0
    assert (
        fits("onset_apart", infantile, onset=(40.0, 60.0))
        > fits("onset_apart", infantile, onset=(2.0, 3.0))
        > 0
    )
    assert fits("sex_fits", linked, sex="MALE") == 1
    assert fits("sex_fits", linked, sex="FEMALE") == 0, "linked, and not said to be recessive"
    assert fits("sex_fits", infantile, sex="MALE") == 0
    assert fits("too_young", late) == fits("onset_apart", infantile) == fits("sex_fits", linked) == 0
