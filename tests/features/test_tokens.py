import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.features.tokens import MARK, drop_punctuation, fold, mark_negations, split_words


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("No tiene fiebre, pero sí tos", "no not_tiene not_fiebre pero si tos"),
        ("Niega fiebre, tos y disnea. Dolor", "niega not_fiebre not_tos not_y not_disnea dolor"),
        ("sin fiebre ni tos; cefalea", "sin not_fiebre ni not_tos cefalea"),
        ("I don\u2019t have a rash. Itchy", "i don't not_have not_a not_rash itchy"),
        ("denies chest pain, dyspnea but has cough", "denies not_chest not_pain not_dyspnea but has cough"),
        ("no a b c d e f g", "no not_a not_b not_c not_d not_e not_f g"),
        ("not itchy, red", "not not_itchy red"),
        ("", ""),
    ],
)
def test_negation_marks_its_clause(text: str, marked: str) -> None:
    assert " ".join(mark_negations(split_words(fold(text)))) == marked


def test_fold_drops_case_and_accents() -> None:
    assert fold("NIÑO Ácido ÜBER \u0130stanbul \u2121") == "nino acido uber istanbul tel"


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_marking_keeps_the_words(text: str) -> None:
    tokens = split_words(fold(text))
    assert [word.removeprefix(MARK) for word in mark_negations(tokens)] == drop_punctuation(tokens)
