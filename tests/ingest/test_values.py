"""One value at a time."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest

from galeno.ingest.values import (
    category_parser,
    code_of,
    codes_of,
    comma_number_of,
    date_parser,
    flag_parser,
    number_of,
    text_of,
    text_parser,
    time_of,
)

CODES = codes_of(("?", "NA", "-9"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a\u00a0", "a"),
        (None, None),
        (float("nan"), None),
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        (0.25, "0.25"),
        (Decimal("1.50"), "1.5"),
        (np.float32(2), "2"),
        (np.bool_(False), "false"),
        (date(2024, 5, 1), "2024-05-01"),
    ],
)
def test_text_of(value: object, text: str | None) -> None:
    assert text_of(value) == text


def test_text_of_refuses_what_is_not_scalar() -> None:
    with pytest.raises(TypeError):
        text_of([1])


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-1.5e2", -150.0), (".5", 0.5), ("5.", 5.0), ("+3", 3.0), ("1e999", None), ("nan", None)]
    + [(text, None) for text in ("inf", "1_0", "1,5", "0x1", "", "e5", ".", "1 2", "１", "<5", "7 mg")],
)
def test_number_of(text: str, number: float | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("36,8", 36.8), ("0,125", 0.125), ("-1,5", -1.5), ("1,250", None), ("1,2,3", None), ("1.5", None)],
)
def test_comma_number_of(text: str, number: float | None) -> None:
    assert comma_number_of(text) == number


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-02-29", datetime(2024, 2, 29)),
        ("2024-02-29 13:45", datetime(2024, 2, 29, 13, 45)),
        ("2024-02-29T13:45:01.5Z", datetime(2024, 2, 29, 13, 45, 1, 500000)),
        ("2024-02-29T13:45:01+02:00", datetime(2024, 2, 29, 11, 45, 1)),
        ("31/12/2024", datetime(2024, 12, 31)),
        ("1.2.2024 08:05", datetime(2024, 2, 1, 8, 5)),
        ("1987", datetime(1987, 1, 1)),
        ("1987-06", datetime(1987, 6, 1)),
        ("30/02/2024", None),
        ("12/31/2024", None),
        ("0001-01-01T00:00+23:00", None),
        ("soon", None),
    ],
)
def test_time_of(text: str, time: datetime | None) -> None:
    assert time_of(text) == time


def test_codes_compare_numbers_without_their_zeros() -> None:
    assert code_of("1.0") == code_of("1") == "1"
    assert code_of("10") == "10"
    assert code_of("1.50") == "1.50"


def test_flags() -> None:
    parse = flag_parser(CODES)
    assert [parse(value)[0] for value in ("t", "Sí", " YES ", 1, 1.0, True, "1.0")] == [True] * 7
    assert [parse(value)[0] for value in ("f", "No", 0, 0.0, False)] == [False] * 5
    assert parse("?") == (None, "missing_code")
    assert parse("") == parse(None) == (None, None)
    assert parse("maybe") == parse(2) == parse([1]) == (None, "type")


def test_categories_come_back_as_the_study_spells_them() -> None:
    parse = category_parser(CODES, ("1.0", "A b", " c"), keep=False)
    assert parse(1) == parse("1.00") == ("1.0", None)
    assert parse("A b ") == ("A b", None)
    assert parse("c") == (" c", None)
    assert parse("d") == (None, "category")
    assert category_parser(CODES, ("a",), keep=True)("d") == ("d", "category")
    assert category_parser(CODES, (), keep=False)("d") == ("d", None)
    assert parse("NA") == parse(-9) == parse("-9.0") == (None, "missing_code")
    assert parse(("a",)) == (None, "type")


def test_texts() -> None:
    parse = text_parser(CODES)
    assert parse("  two words ") == ("two words", None)
    assert parse("?") == (None, "missing_code")
    assert parse(" ") == (None, None)
    assert parse({"a": 1}) == (None, "type")


def test_dates() -> None:
    parse = date_parser(CODES)
    zone = timezone(timedelta(hours=2))
    assert parse(date(2024, 1, 2)) == (datetime(2024, 1, 2), None)
    assert parse(datetime(2024, 1, 2, 3, tzinfo=zone)) == (datetime(2024, 1, 2, 1), None)
    assert parse(datetime(2024, 1, 2, 3, tzinfo=UTC)) == (datetime(2024, 1, 2, 3), None)
    assert parse("never") == (None, "type")
    assert parse("?") == (None, "missing_code")
