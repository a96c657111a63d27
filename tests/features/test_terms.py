import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from galeno.features.terms import Terms, character_grams, count_patients, count_terms, word_grams

DOCS = ["skin rash and itch", "rash rash fever", "fever and cough and cough and cough", "zzz", "itch skin"]


def test_weights_are_those_of_scikit_learn() -> None:
    grams = [word_grams(text.split(), 2) for text in DOCS]
    terms = Terms.fit(count_patients(grams, np.arange(5)), 5, least=1, most=1000)
    ours = terms.weigh(count_terms(grams, terms.index)).toarray()
    peer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    theirs = peer.fit_transform(DOCS).toarray()
    assert terms.vocabulary == tuple(peer.get_feature_names_out())
    assert np.allclose(ours, theirs, atol=1e-6)


def test_character_grams_are_those_of_scikit_learn() -> None:
    peer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()
    assert sorted(character_grams("fever", 4)) == sorted(peer("fever"))
    assert character_grams("fever", 1) == []


def test_most_frequent_terms_are_kept_first_by_alphabet() -> None:
    terms = Terms.fit({"b": 3, "a": 3, "c": 5, "d": 1, "e": 3}, 5, least=2, most=3)
    assert terms.vocabulary == ("a", "b", "c")


def test_terms_are_counted_by_patient() -> None:
    counted = count_patients([["a", "a"], ["a"], ["b"]], np.array([0, 0, 1]))
    assert counted == {"a": 1, "b": 1}
