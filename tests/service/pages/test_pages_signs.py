"""Signs as lines, and a ranking as its page tells it."""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.service.asked import StoredRanking, TermMention
from galeno.service.pages.form import draw_groups, read_record
from galeno.service.pages.rare_form import (
    add_mentions,
    age_fields,
    cut_text,
    mark_of,
    read_asked,
    read_signs,
)
from galeno.service.pages.rare_result import draw_ranking, times
from galeno.service.pages.rare_words import say_frequency, say_notice
from galeno.service.pages.result import value_text
from galeno.service.pages.signs import Sign, cell_of, parse_signs, write_signs
from galeno.service.pages.words import words_of
from galeno.service.steering import draw_form
from galeno.study import Column, Study

ES, EN = words_of("es"), words_of("en")
SEIZURE, DELAY, FEVER = "HP:0001250", "HP:0001263", "HP:0001945"

names = st.text("abcdefghij ,()", min_size=1, max_size=30).map(lambda name: name.strip(" ,")).filter(bool)
ids = st.integers(0, 9_999_999).map(lambda number: f"HP:{number:07d}")
signs = st.builds(Sign, names, st.booleans()) | st.builds(Sign, ids, st.booleans(), names)


@settings(max_examples=50, deadline=None)
@given(st.lists(signs, max_size=8, unique_by=lambda sign: sign.token.casefold()))
def test_what_is_written_is_read_again(written: list[Sign]) -> None:
    assert parse_signs(write_signs(written)) == tuple(written)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    read = parse_signs(text)
    assert all(sign.token.strip() for sign in read)
    assert parse_signs(write_signs(read)) == read or "|" in text or ";" in text or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "signs_of_it"),
    [
        (" " * 400_000 + "a", 1),
        ("a" + " ," * 200_000 + "b", 1),
        ("- " * 200_000, 0),
        ("HP:0001250 " * 30_000 + "x", 1),
        ("".join(f"a{number};" for number in range(50_000)), 2000),
    ],
)
def test_no_text_takes_long(text: str, signs_of_it: int) -> None:
    started = time.process_time()
    assert len(parse_signs(text)) in (signs_of_it, signs_of_it + 1)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Intellectual disability, mild", [("Intellectual disability, mild", True)]),
        ("hp:0001250 Seizure", [(SEIZURE, True)]),
        ("- HP:0001250", [(SEIZURE, False)]),
        ("\u2212HP:0001250", [(SEIZURE, False)]),
        ("!Fever", [("Fever", False)]),
        ("HP:0001250, HP:0001263;-HP:0001945", [(SEIZURE, True), (DELAY, True), (FEVER, False)]),
        ("HP:0001250 -HP:0001263", [(SEIZURE, True), (DELAY, False)]),
        ("HP:0001250|HP:0001250", [(SEIZURE, True)]),
        ("HP:12", [("HP:12", True)]),
        ("Seizure (HP:0001250)", [(SEIZURE, True)]),
        ("- http://purl.obolibrary.org/obo/HP_0001250; hp_0001263", [(SEIZURE, False), (DELAY, True)]),
        (" \n - \n;", []),
    ],
)
def test_lines_are_read_as_people_type_them(line: str, expected: list[tuple[str, bool]]) -> None:
    assert [(sign.token, sign.present) for sign in parse_signs(line)] == expected


def test_a_pressed_button_counts_more_than_the_lines() -> None:
    sent = {"signs": f"{SEIZURE} Seizure\n- {FEVER} Fever", "add": f"{FEVER} Fever", "deny": ""}
    assert cell_of(read_signs(sent)).split(";") == [SEIZURE, FEVER]
    assert cell_of(read_signs({**sent, "add": "", "deny": SEIZURE})).split(";") == [
        f"-{FEVER}",
        f"-{SEIZURE}",
    ]


def mention(term: str, start: int, end: int, *, negated: bool = False) -> TermMention:
    return TermMention(term, term.lower(), term.lower(), start, end, "", negated)


def test_mentions_join_the_signs_and_never_change_them() -> None:
    typed = (Sign(FEVER, False),)
    found = [mention(FEVER, 0, 5), mention(DELAY, 6, 9, negated=True), mention(DELAY, 10, 12)]
    assert cell_of(add_mentions(typed, found)).split(";") == [f"-{FEVER}", DELAY]


@settings(max_examples=50, deadline=None)
@given(st.text("ab ", max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=5))
def test_a_text_in_pieces_is_the_text(text: str, places: list[tuple[int, int]]) -> None:
    found = [
        mention(SEIZURE, start, min(start + size, len(text))) for start, size in places if start < len(text)
    ]
    assert "".join(piece.text for piece in cut_text(text, found)) == text


def test_what_is_asked() -> None:
    sent = {
        "age": "18",
        "age_unit": "months",
        "sex": "MALE",
        "onset": "2.5",
        "text": "Fever.",
        "patient_id": " ",
    }
    asked, faults = read_asked(sent, [Sign(SEIZURE), Sign(FEVER, False)], EN)
    assert not faults
    assert (asked.terms, asked.excluded, asked.age, asked.sex) == ((SEIZURE,), (FEVER,), 1.5, "MALE")
    assert (asked.onset, asked.patient_id, asked.text) == (2.5, None, "")  # the text goes no further
    assert mark_of(" \n") == ""
    assert mark_of("a") != mark_of("b")


@pytest.mark.parametrize(
    ("years", "fields"),
    [
        (None, {}),
        (0.0, {"age": "0", "age_unit": "years"}),
        (3.5, {"age": "3.5", "age_unit": "years"}),
        (0.5, {"age": "6", "age_unit": "months"}),
        (10 / 365.25, {"age": "10", "age_unit": "days"}),
    ],
)
def test_an_age_comes_back_as_it_was_typed(years: float | None, fields: dict[str, str]) -> None:
    shown = age_fields(years, EN)
    assert shown == fields
    asked, faults = read_asked(age_fields(years, ES), [Sign(SEIZURE)], ES)
    assert not faults
    assert asked.age == (None if years is None else pytest.approx(years))


@pytest.mark.parametrize(
    ("weight", "said"),
    [(0.0, "≈ 1"), (0.1, "≈ 1"), (math.log(2), "× 2.0"), (-math.log(3), "÷ 3.0"), (math.log(12), "× 12"),
     (9.0, "× > 1,000"), (-800.0, "÷ > 1,000")],
)  # fmt: skip
def test_weights_are_told_as_factors(weight: float, said: str) -> None:
    assert times(weight, EN) == said


@pytest.mark.parametrize(
    ("annotated", "en", "es"),
    [
        ("3/8", "3 of 8 patients", "3 de 8 pacientes"),
        ("1/1", "1 of 1 patient", "1 de 1 paciente"),
        ("45.5%", "45.5%", "45,5\xa0%"),
        ("Very frequent", "Very frequent", "Muy frecuente"),
        ("as may be", "as may be", "as may be"),
    ],
)
def test_frequencies_are_told_in_words(annotated: str, en: str, es: str) -> None:
    assert (say_frequency(annotated, EN), say_frequency(annotated, ES)) == (en, es)


def test_notices_are_told_in_spanish() -> None:
    assert say_notice("HP:0000057 is now HP:0000252 (Microcephaly)", ES) == (
        "HP:0000057 es ahora HP:0000252 (Microcephaly)."
    )
    assert say_notice("something else", ES) == "something else"


def finding(term: str, weight: float, state: str = "observed", match: str = "exact") -> Mapping[str, Any]:
    return {"id": term, "name": f"name of {term}", "state": state, "match": match, "matched_id": term,
            "matched_name": "general", "frequency": "3/8", "share": 0.4, "weight": weight,
            "references": ["PMID:1", "PMID:2", "PMID:3", "PMID:4"]}  # fmt: skip


def missing(term: str, share: float, weight: float, against: float) -> Mapping[str, Any]:
    return {"id": term, "name": term, "frequency": "", "share": share, "weight": weight, "against": against}


def stored(absent: float = 0.1, **more: Any) -> StoredRanking:
    first = {
        "rank": 1, "id": "OMIM:1", "name": "First", "members": ["OMIM:1", "ORPHA:2"], "probability": 0.6,
        "score": 3.0, "inheritance": ["Autosomal dominant inheritance"], "onset": ["Infantile onset"],
        "findings": [finding(SEIZURE, 0.02), finding(DELAY, 2.0, match="broader"),
                     finding(FEVER, -1.0, "excluded")],
        "missing": [missing("HP:0000001", 0.9, 3.0, -2.0), missing("HP:0000002", 0.5, 0.3, -0.2)],
    }  # fmt: skip
    second = {**first, "rank": 2, "name": "Second", "probability": 0.3,
              "missing": [missing("HP:0000003", 0.9, 3.0, -2.0),
                          missing("HP:0000001", 0.9, 3.0, -2.0)]}  # fmt: skip
    ranking = {
        "diseases": [first, second], "absent": absent, "observed": [SEIZURE, DELAY], "excluded": [FEVER],
        "notices": [f"{SEIZURE} (Seizure) was given more than once"], "candidates": 12_679,
        "provenance": {"ontology_version": "2025-01-16", "ontology_sha256": "a" * 64, "attribution": "HPO"},
        **more,
    }  # fmt: skip
    asked = {"age": 0.5, "sex": "FEMALE", "onset": "HP:0003577"}
    return StoredRanking("rk_1", "2026-01-01T00:00:00Z", None, "", "ana", "pages", "hpo", asked, ranking)


def test_a_ranking_is_told_in_both_languages() -> None:
    view = draw_ranking(stored(), EN)
    assert view.sentence == "First to consider: First, with a probability of 60% among the known diseases."
    assert not view.doubtful
    assert view.about == ("Age: 6 months", "Sex: female", "Onset: at birth")
    assert view.lines.splitlines()[2] == f"- {FEVER} name of {FEVER}"
    assert view.sources[0] == ("Diseases compared", "12,679")
    assert ("Human Phenotype Ontology", "2025-01-16 · " + "a" * 12) in view.sources
    first = view.candidates[0]
    assert [met.how for met in first.fits] == ["more general there: general"]
    assert [met.absent for met in first.against] == [True]
    assert [met.times for met in first.neutral] == ["≈ 1"]
    assert first.fits[0].references == "PMID:1, PMID:2, PMID:3 …"
    assert first.others == "ORPHA:2"
    spanish = draw_ranking(stored(), ES)
    assert spanish.candidates[0].inheritance == "Herencia autosómica dominante"
    assert spanish.notices == (f"{SEIZURE} (Seizure) se indicó más de una vez.",)


def test_the_next_signs_are_those_that_tell_most() -> None:
    view = draw_ranking(stored(), EN)
    assert [sign.id for sign in view.next] == ["HP:0000001", "HP:0000003", "HP:0000002"]
    assert view.next[0].ranks == "1, 2"
    assert (view.next[0].present, view.next[0].absent) == ("× 20", "÷ 7.4")
    assert view.next[0].frequency == "about 90%"


def test_doubt_is_told() -> None:
    assert draw_ranking(stored(0.7), EN).doubtful
    assert "70%" in draw_ranking(stored(0.7), EN).absent
    assert "< 1%" in draw_ranking(stored(0.0), EN).absent
    nothing = draw_ranking(stored(diseases=[]), EN)
    assert nothing.sentence == "No disease fits these signs."
    assert nothing.next == ()


STUDY = """\
name: rare
records: {source: rare.csv, target: condition}
classes: [{name: well}, {name: ill}]
columns:
  signs: {type: terms, group: symptoms, label: {es: Signos, en: Signs}}
"""


def test_a_study_may_ask_for_signs() -> None:
    form = draw_form(Study.model_validate(yaml.safe_load(STUDY)), {})
    (group,) = draw_groups(form, {}, EN)
    assert [field.type for field in group.fields] == ["terms"]
    record, faults = read_record(form, {"v.signs": f"{SEIZURE} Seizure\n- Fever\n"}, EN)
    assert (record, faults) == ({"signs": f"{SEIZURE};-Fever"}, {})
    assert read_record(form, {"v.signs": " \n"}, EN) == ({}, {})
    assert read_record(form, {"v.signs": "a" * 201}, EN)[1]


def test_the_signs_of_a_record_are_told_by_name() -> None:
    column = Column(type="terms")
    known = {SEIZURE: "Seizure", FEVER: "Fever"}
    assert (
        value_text(column, f"{SEIZURE};{DELAY};-{FEVER}", EN, names=known)
        == f"Seizure; {DELAY}; absent: Fever"
    )
    assert value_text(column, [f"-{FEVER}"], ES, names=known) == "ausente: Fever"
    assert value_text(column, SEIZURE, EN) == SEIZURE
