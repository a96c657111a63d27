"""Ages are read as ISO 8601, years and the HPO's stages say them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.durations import STAGES, parse_age, parse_duration, parse_onset


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("P14Y", 14),
        ("P14Y6M", 14.5),
        ("P6M", 0.5),
        ("P1W", 7 / 365.25),
        ("P10D", 10 / 365.25),
        ("P1DT12H", 1.5 / 365.25),
        ("PT36H", 1.5 / 365.25),
        ("P0.5Y", 0.5),
        ("P0,5Y", 0.5),
        ("P0Y", 0),
        (" P3Y ", 3),
    ],
)
def test_a_duration_is_years(text, years):
    assert parse_duration(text) == pytest.approx(years)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1",
        "14Y",
        "p14y",
        "P1M1Y",
        "P12T",
        "P2T5M",
        "P-1Y",
        "-P1Y",
        "P1Y2",
        "P151Y",
        "P1YT",
        "P٣Y",
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_duration(text)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 120), st.integers(0, 11), st.integers(0, 30))
def test_parts_of_a_duration_add_up(years, months, days):
    found = parse_duration(f"P{years}Y{months}M{days}D")
    assert found == pytest.approx(years + months / 12 + days / 365.25)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_years_or_refused(text):
    try:
        found = parse_age(text)
    except ValueError:
        return
    assert found is None or 0 <= found <= 150


def test_an_age_is_a_number_a_duration_a_stage_or_none():
    assert parse_age(9.5) == 9.5
    assert parse_age("9.5") == 9.5
    assert parse_age("P9Y6M") == 9.5
    assert parse_age("HP:0003577") == 0
    assert parse_age("HP:0011463") == 3
    assert parse_age(None) is None
    assert parse_age(" ") is None
    for wrong in (True, [], {}, -1, 151, float("nan"), "HP:0001250", "old"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_age(wrong)


def test_an_onset_stays_a_stage():
    assert parse_onset("HP:0003593") == "HP:0003593"
    assert parse_onset("P2M") == pytest.approx(1 / 6)
    assert parse_onset(3) == 3


def test_stages_are_in_the_order_of_life():
    assert all(0 <= low <= high <= 150 for low, high in STAGES.values())
