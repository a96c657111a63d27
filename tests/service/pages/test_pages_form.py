"""The form of a study: drawn, typed into, read back."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.ingest.values import number_of
from galeno.service.pages.form import desk_faults, draw_groups, labels_of, read_record
from galeno.service.pages.vocabulary import say_option
from galeno.service.pages.words import words_of
from galeno.service.steering import draw_form
from galeno.study import Study

ES, EN = words_of("es"), words_of("en")
STUDY = """\
name: ward
records: {source: ward.csv, target: condition}
classes: [{name: well}, {name: ill}]
columns:
  age: {type: number, unit: years, min: 0, max: 120, group: paciente, label: {es: Edad, en: Age}}
  sex: {type: category, options: [F, M], group: paciente, required: true}
  ward: {type: category, group: paciente}
  smoking: {type: category, options: [never, former, current], group: paciente}
  temperature:
    type: number
    unit: °C
    min: 33
    max: 43
    group: vital signs
    convert: [{unit: °F, scale: 0.5555555556, offset: -17.7777777778}]
    rules: {range: convert}
  weight:
    type: number
    unit: kg
    min: 2
    max: 200
    group: vital signs
    convert: [{unit: lb, scale: 0.45359237}]
    rules: {range: convert}
  fever: {type: flag, group: symptoms, label: {es: Fiebre, en: Fever}}
  cough: {type: flag, group: symptoms}
  rash: {type: flag, group: symptoms}
  since: {type: date, group: symptoms}
  note: {type: text}
"""
FORM = draw_form(Study.model_validate(yaml.safe_load(STUDY)), {"age": (18.0, 90.0)})
IDS = {column["name"]: f"field-{place}" for place, column in enumerate(FORM["fields"])}
SEX = {"v.sex": "F"}


def read(**typed: str) -> tuple[dict[str, object], dict[str, str]]:
    """What becomes of the form; names as `v_age` for v.age."""
    sent = {name.replace("_", ".", 1): value for name, value in typed.items()}
    return read_record(FORM, {**SEX, **sent}, EN)


def fields(sent: dict[str, str] | None = None, words: Any = ES) -> dict[str, Any]:
    drawn = draw_groups(FORM, sent or {}, words)
    return {field.column: field for group in drawn for field in (*group.fields, *group.flags)}


def test_groups_stand_in_the_order_of_the_study_with_their_words() -> None:
    assert [group.title for group in draw_groups(FORM, {}, ES)] == [
        "Paciente",
        "Constantes",
        "Síntomas",
        "Hallazgos",
    ]
    assert [group.title for group in draw_groups(FORM, {}, EN)] == [
        "Patient",
        "Vital signs",
        "Symptoms",
        "Findings",
    ]
    symptoms = draw_groups(FORM, {}, EN)[2]
    assert [field.column for field in symptoms.flags] == ["fever", "cough", "rash"]
    assert [field.column for field in symptoms.fields] == ["since"]
    assert not symptoms.searched


def test_fields_speak_the_reader_s_language() -> None:
    spanish, english = fields(), fields(words=EN)
    assert (spanish["age"].label, english["age"].label) == ("Edad", "Age")
    assert (spanish["age"].units[0].label, english["age"].units[0].label) == ("años", "years")
    assert [option.label for option in spanish["sex"].options] == ["Mujer", "Hombre"]
    assert [option.label for option in english["smoking"].options] == ["Never", "Former", "Current"]
    assert spanish["cough"].label == "cough"  # the study has no label
    assert labels_of(FORM, ES)[IDS["fever"]] == "Fiebre"


def test_m_is_male_beside_f_only() -> None:
    assert say_option("M", ["F", "M"], "es") == "Hombre"
    assert say_option("M", ["S", "M", "L"], "es") == "M"


def test_nothing_is_chosen_in_a_new_form_but_the_column_s_own_unit() -> None:
    drawn = fields()
    assert not any(field.value for field in drawn.values())
    assert [unit.chosen for unit in drawn["weight"].units] == [True, False]
    assert drawn["weight"].hint == "2\u2013200"
    assert fields({"u.temperature": "°F"})["temperature"].hint == "91,4\u2013109,4"
    assert drawn["age"].usual == (18.0, 90.0)


def test_what_was_typed_is_read() -> None:
    record, faults = read(
        v_age="78",
        v_temperature="38,9",
        v_fever="yes",
        v_cough="no",
        v_rash="",
        v_since="31/01/2026",
        v_note="  tos y fiebre\n",
        v_ward="Norte",
        v_smoking="former",
    )
    assert faults == {}
    assert record == {
        "age": 78,
        "sex": "F",
        "ward": "Norte",
        "smoking": "former",
        "temperature": 38.9,
        "fever": True,
        "cough": False,
        "since": "2026-01-31",
        "note": "tos y fiebre",
    }


def test_a_number_is_converted_by_the_unit_that_was_chosen() -> None:
    record, faults = read(v_temperature="102", u_temperature="°F", v_weight="176.4", u_weight="lb")
    assert faults == {}
    assert record["temperature"] == 38.8889
    assert record["weight"] == 80.0137


@pytest.mark.parametrize(
    ("typed", "unit"),
    [("98.6", "°C"), ("37", "°F"), ("32.9", "°C"), ("-40", "°F")],
)
def test_a_number_is_never_taken_for_another_unit(typed: str, unit: str) -> None:
    """The contract would read 98.6 as °F: right for a table, wrong for somebody who chose °C."""
    record, faults = read(v_temperature=typed, u_temperature=unit)
    assert "temperature" not in record
    assert unit in faults[IDS["temperature"]]
    assert typed not in faults[IDS["temperature"]]


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("age", "old"),
        ("age", "121"),
        ("age", "-1"),
        ("age", "1,250"),
        ("age", "nan"),
        ("age", "1e999"),
        ("sex", "X"),
        ("smoking", "Never"),
        ("fever", "maybe"),
        ("since", "31/02/2026"),
        ("note", "x" * 20_001),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(name: str, typed: str) -> None:
    record, faults = read_record(FORM, {**SEX, f"v.{name}": typed}, ES)
    assert set(faults) == {IDS[name]}
    assert name not in record
    assert fields({f"v.{name}": typed})[name].value == typed  # and stays


def test_faults_stand_in_the_order_of_the_form() -> None:
    _, faults = read_record(FORM, {"v.note": "x" * 20_001, "v.age": "old", "v.fever": "maybe"}, EN)
    assert list(faults) == [IDS["age"], IDS["sex"], IDS["fever"], IDS["note"]]
    assert faults[IDS["sex"]] == "This is needed."


def test_the_rest_of_a_list_is_absent_only_where_that_was_said() -> None:
    sent = {**SEX, "v.fever": "yes"}
    assert read_record(FORM, sent, EN)[0] == {"sex": "F", "fever": True}
    record, _ = read_record(FORM, {**sent, "rest.2": "yes"}, EN)
    assert record == {"sex": "F", "fever": True, "cough": False, "rash": False}


def test_a_unit_that_nobody_offered_is_the_column_s_own() -> None:
    assert read(v_weight="80", u_weight="stone")[0]["weight"] == 80


def test_what_the_desk_says_comes_to_its_field() -> None:
    said = [
        ("record.since", "is in the future"),
        ("patient_id", "is empty"),
        ("record.age", "odd"),
        ("x", "y"),
    ]
    told = desk_faults(FORM, said, EN)
    assert told[IDS["since"]] == "This date is in the future."
    assert set(told) == {IDS["since"], IDS["age"], "patient_id", "form"}


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from([f"v.{name}" for name in IDS]), st.text(max_size=30)))
def test_whatever_is_typed_is_a_value_or_a_fault(sent: dict[str, str]) -> None:
    record, faults = read_record(FORM, sent, ES)
    for name, typed in sent.items():
        column = name.removeprefix("v.")
        if typed.strip():
            assert (column in record) != (IDS[column] in faults)
        else:
            assert column not in record


@settings(max_examples=50, deadline=None)
@given(st.floats(33.0, 43.0))
def test_a_number_survives_its_unit(value: float) -> None:
    typed = f"{(value + 17.7777777778) / 0.5555555556:.6f}"
    record, faults = read(v_temperature=typed, u_temperature="°F")
    assert number_of(typed) is not None
    if 33.001 < value < 42.999:
        assert not faults
        assert record["temperature"] == pytest.approx(value, abs=1e-3)
