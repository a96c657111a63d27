"""UCUM units are converted by pint where they measure the same, and not at all where they do not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.ingest.ucum import apply, conversion, plain_unit

SAME = [
    ("[degF]", "Cel", 98.6, 37.0),
    ("K", "Cel", 310.15, 37.0),
    ("kPa", "mm[Hg]", 16, 120.010200867),
    ("cm[H2O]", "kPa", 10, 0.980665),
    ("10*3/uL", "10*9/L", 7.5, 7.5),
    ("10^9/L", "10*9/L", 7.5, 7.5),
    ("{cells}/uL", "10*9/L", 7500, 7.5),
    ("{beats}/min", "/min", 80, 80),
    ("Hz", "/min", 1, 60),
    ("[lb_av]", "kg", 100, 45.359237),
    ("[in_i]", "cm", 1, 2.54),
    ("ug/L", "ng/mL", 30, 30),
    ("µg/L", "ng/mL", 30, 30),
    ("m[IU]/L", "u[IU]/mL", 2, 2),
    ("U/L", "kat/L", 60, 1e-6),
    ("mg/(24.h)", "g/d", 1500, 1.5),
    ("kg/m2", "g/cm2", 1, 0.1),
    ("wk", "d", 2, 14),
    ("1", "%", 0.97, 97),
    ("°C", "Cel", 37, 37),
]
DIFFERENT = [
    ("mmol/L", "mg/dL"),
    ("[IU]/L", "U/L"),
    ("meq/L", "mmol/L"),
    ("Cel", "mm[Hg]"),
    ("mL/min/{1.73_m2}", "mL/min"),
    ("Cel/s", "K/s"),
    ("[pH]", "1"),
]
NONSENSE = [
    "banana",
    "(",
    ")",
    "m.",
    "/",
    "m//s",
    "10*99",
    "m9",
    "((((((m))))))",
    "9" * 30,
    "m" * 50,
    "__import__('os')",
]


@pytest.mark.parametrize(("given_", "wanted", "value", "expected"), SAME)
def test_what_measures_the_same_is_converted(given_: str, wanted: str, value: float, expected: float) -> None:
    line = conversion(given_, wanted)
    assert line is not None
    assert apply(line, value) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("given_", "wanted"), DIFFERENT)
def test_what_does_not_is_not(given_: str, wanted: str) -> None:
    assert conversion(given_, wanted) is None


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_no_unit(text: str) -> None:
    assert conversion(text, "m") is None
    assert conversion(text, text) == (1.0, 0.0)


def test_texts_of_people_are_units() -> None:
    assert [plain_unit(text) for text in ("°F", " mmHg ", "µmol/L", "{score}", "1", "10^9/L")] == [
        "[degF]",
        "mm[Hg]",
        "umol/L",
        "",
        "",
        "10*9/L",
    ]


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="mgLsolU/.()*^0123456789[]{}%kudIHzCe+-", max_size=12), st.floats(-1e6, 1e6))
def test_any_text_is_a_unit_or_none_and_back_again(text: str, value: float) -> None:
    there, back = conversion(text, "mg/L"), conversion("mg/L", text)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert apply(back, apply(there, value)) == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("text", ["mg/0", "/0", "mg/(0)", "0", "1/0mg"])
def test_nothing_is_a_unit_that_divides_by_nothing(text: str) -> None:
    assert conversion(text, "mg/L") is None
