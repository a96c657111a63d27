"""A diagnosis as its page tells it."""

from typing import Any

import pytest
import yaml

from galeno.records import Contribution, Explanation, RankedCondition
from galeno.service.answers import Feedback, Outcome, StoredDiagnosis
from galeno.service.pages.result import (
    SPOKEN,
    condition_label,
    draw_result,
    draw_spoken,
    reason_codes,
    reason_text,
    share,
    value_text,
)
from galeno.service.pages.words import words_of
from galeno.study import Study

ES, EN = words_of("es"), words_of("en")
STUDY = Study.model_validate(
    yaml.safe_load(
        """\
name: ward
records: {source: ward.csv, target: condition}
classes:
  - {name: well, label: {es: Sano, en: Well}}
  - {name: ill, label: {es: Enfermo, en: Ill}}
  - {name: grave, rare: true}
columns:
  age: {type: number, unit: years, group: paciente, label: {es: Edad, en: Age}}
  sex: {type: category, options: [F, M], group: paciente, label: {es: Sexo, en: Sex}}
  fever: {type: flag, group: symptoms, label: {es: Fiebre, en: Fever}}
  cough: {type: flag, group: symptoms, label: {es: Tos, en: Cough}}
  since: {type: date}
  note: {type: text}
"""
    )
)


def stored(*ranking: tuple[str, float], **more: Any) -> StoredDiagnosis:
    """A diagnosis of well, ill and grave."""
    told = ranking or (("ill", 0.7), ("well", 0.2), ("grave", 0.1))
    plain: dict[str, Any] = {
        "id": "dx_1",
        "study": "ward",
        "created": "2026-01-31T10:00:00.000000Z",
        "patient": "pt_1",
        "site": "",
        "actor": "ana",
        "face": "pages",
        "version": "3",
        "package_sha256": "0" * 64,
        "condition": told[0][0],
        "confidence": told[0][1],
        "needs_review": False,
        "ranking": tuple(RankedCondition(name, p) for name, p in told),
        "not_ruled_out": ("ill",),
        "reasons": (),
    }
    return StoredDiagnosis(**{**plain, **more})


def test_the_first_sentence_is_plain() -> None:
    spanish, english = draw_result(stored(), STUDY, ES), draw_result(stored(), STUDY, EN)
    assert spanish.sentence == "Lo más probable: Enfermo, con una probabilidad del 70\u00a0%."
    assert english.sentence == "Most likely: Ill, with a probability of 70%."
    assert english.second == "By its own threshold, the model leaves no other condition open."
    assert english.note == ""
    assert english.review == ()


def test_what_is_not_ruled_out_is_named() -> None:
    drawn = draw_result(stored(not_ruled_out=("ill", "well", "grave")), STUDY, EN)
    assert drawn.second == "Not ruled out either: Well and grave."
    assert [bar.open for bar in drawn.bars] == [True, True, True]
    nothing = draw_result(stored(not_ruled_out=()), STUDY, EN)
    assert "No condition fits" in nothing.second
    other = draw_result(stored(not_ruled_out=("well",)), STUDY, EN)
    assert other.second == "Not ruled out: Well."


def test_a_first_condition_that_is_not_the_most_probable_is_explained() -> None:
    drawn = draw_result(stored(("grave", 0.3), ("ill", 0.6), ("well", 0.1)), STUDY, EN)
    assert drawn.sentence.startswith("First to consider: grave")
    assert "Ill has the higher probability (60%)" in drawn.note


def test_a_tie_needs_no_explanation() -> None:
    drawn = draw_result(stored(("ill", 0.5), ("well", 0.5)), STUDY, EN)
    assert drawn.sentence.startswith("Most likely: Ill")
    assert drawn.note == ""


@pytest.mark.parametrize(
    ("probability", "said"),
    [(1.0, "> 99%"), (0.996, "> 99%"), (0.99, "99%"), (0.5, "50%"), (0.004, "< 1%"), (0.0, "< 1%")],
)
def test_no_certainty_comes_from_rounding(probability: float, said: str) -> None:
    assert share(probability, EN) == said


REASONS = [
    "low_confidence",
    "several_not_ruled_out",
    "none_not_ruled_out",
    "out_of_range:age",
    "bad_value:age",
    "missing:text",
    "missing:table",
    "missing:image",
]


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_are_words_in_both_languages(reason: str) -> None:
    spanish, english = reason_text(STUDY, reason, ES), reason_text(STUDY, reason, EN)
    assert spanish != english
    for text in (spanish, english):
        assert "_" not in text
        assert text.endswith(".")
    if reason.endswith(":age"):
        assert "Edad" in spanish
        assert "Age" in english


def test_a_review_always_has_a_reason() -> None:
    assert draw_result(stored(needs_review=True), STUDY, EN).review
    assert reason_text(STUDY, "something_new", EN) == "something_new"


@pytest.mark.parametrize(
    ("column", "value", "spanish", "english"),
    [
        ("age", 78.0, "78 años", "78 years"),
        ("age", 38.8889, "38,89 años", "38.89 years"),
        ("age", 0.00042, "0,00042 años", "0.00042 years"),
        ("age", 12345678.0, "12.345.678 años", "12,345,678 years"),
        ("sex", "M", "Hombre", "Male"),
        ("fever", True, "Sí", "Yes"),
        ("fever", False, "No", "No"),
        ("fever", None, "no consta", "not entered"),
        ("since", "2026-01-31", "31 ene 2026", "Jan 31, 2026"),
        ("since", "31/01/2026", "31 ene 2026", "Jan 31, 2026"),
        ("note", "tos", "tos", "tos"),
    ],
)
def test_values_are_read_as_people_write_them(column: str, value: object, spanish: str, english: str) -> None:
    assert value_text(STUDY.columns[column], value, ES) == spanish
    assert value_text(STUDY.columns[column], value, EN) == english


def test_what_spoke_for_and_against() -> None:
    contributions = (
        Contribution("age", 78.0, 0.4),
        Contribution("fever", None, -0.2),
        Contribution("note", "x" * 500 + " y", 0.05),
        Contribution("sex", "F", 0.0),
    )
    spoken = draw_spoken([Explanation("ill", 0.45, 0.7, contributions, "exact")], STUDY, ES)[0]
    assert (spoken.label, spoken.base, spoken.share) == ("Enfermo", "45\u00a0%", "70\u00a0%")
    assert [(each.label, each.points, each.size) for each in spoken.for_it] == [
        ("Edad", "+40,0", 1.0),
        ("note", "+5,0", 0.125),
    ]
    assert [(each.label, each.points, each.entered) for each in spoken.against] == [
        ("Fiebre", "\u221220,0", False)
    ]
    assert len(spoken.for_it[1].value) < 200
    assert spoken.others == 0


def test_small_parts_are_counted_not_listed() -> None:
    many = tuple(Contribution(f"c{i}", 1.0, 0.1 - i / 1000) for i in range(SPOKEN + 4))
    spoken = draw_spoken([Explanation("ill", 0.0, 1.0, many, "exact")], STUDY, EN)[0]
    assert len(spoken.for_it) == SPOKEN
    assert spoken.others == 4


def test_what_was_entered_stands_in_its_groups() -> None:
    record = {"note": "tos", "cough": False, "fever": True, "age": 78, "sex": None, "gone": 1}
    entered = draw_result(stored(record=record), STUDY, EN).entered
    assert [(group.title, group.values) for group in entered] == [
        ("Patient", (("Age", "78 years"),)),
        ("Symptoms", (("Present", "Fever"), ("Absent", "Cough"))),
        ("Findings", (("note", "tos"),)),
    ]


def test_the_history_is_in_order() -> None:
    said = Feedback("fb_1", "2026-02-01T00:00:00Z", "eva", False, "other", 2, "wrong-data", "hm")
    confirmed = Outcome("oc_1", "2026-02-02T00:00:00Z", "eva", "well", "2026-02-01", "pages")
    history = draw_result(stored(feedback=(said,), outcomes=(confirmed,)), STUDY, ES).history
    assert [event.what for event in history] == ["Diagnóstico hecho", "En desacuerdo", "Confirmado: Sano"]
    assert history[1].detail == (
        "Diagnóstico propio: Otro diagnóstico",
        f"Motivo: {reason_codes(ES)['wrong-data']}",
        "Utilidad: 2 de 5",
    )
    assert history[1].comment == "hm"


def test_names_that_a_study_no_longer_has_stay() -> None:
    assert condition_label(STUDY, "gone", EN) == "gone"
    assert condition_label(STUDY, "other", EN) == "Another condition"
    drawn = draw_result(stored(("gone", 0.9), ("well", 0.1)), STUDY, EN)
    assert drawn.first.label == "gone"
