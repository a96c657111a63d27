"""A whole column is read as its values one by one."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from named_knowledge import named_knowledge, no_knowledge

from galeno.ingest.columns import DTYPES, FAULTS, ColumnReader, read_codes
from galeno.ingest.values import codes_of
from galeno.study import Column, ColumnType, Rules

CODES = ("", "?", "NA", "-9", "999.0")
TEXTS = [
    "",
    " ",
    "?",
    "NA",
    "-9",
    "-9.0",
    "999",
    "1",
    "0",
    "1.0",
    " 1 ",
    "2.50",
    "36,8",
    "1,250",
    "0,125",
    "101",
]
TEXTS += [
    "98.6",
    "-3",
    "1e3",
    "1e999",
    "inf",
    "nan",
    "t",
    "No",
    "sí",
    "M",
    "F",
    "m",
    "2024-01-02",
    "31/12/2024",
]
TEXTS += ["2024-01-02T03:04:05Z", "a sentence of words", "\u00a07", "１", "+5", ".5", "5."]
CELLS = ["HP:0001250", "HP:0001275 -HP:0001251", "seizures; !Ataxia", "HP:9999999|HP:0001250", "HP:0012825"]
VALUES: dict[str, st.SearchStrategy[object]] = {
    "text": st.sampled_from([*TEXTS, *CELLS]) | st.text(max_size=5),
    "list": st.lists(st.sampled_from(CELLS), max_size=3),
    "float": st.floats() | st.sampled_from([0.0, 1.0, -9.0, 98.6, 37.0]),
    "int": st.integers(-(2**53), 2**53) | st.sampled_from([0, 1, 2, -9, 999, 37]),
    "bool": st.booleans(),
    "date": st.dates(),
    "datetime": st.datetimes(),
}
COLUMNS: dict[str, Column] = {
    "plain": Column(type="number"),
    "limited": Column(type="number", min=30, max=45, missing=("36.6",)),
    "convert": Column(
        type="number",
        min=30,
        max=45,
        convert=[
            {"unit": "F", "scale": 5 / 9, "offset": -160 / 9},
            {"unit": "K", "scale": 1, "offset": -273.15},
        ],
        rules={"range": "convert"},
    ),
    "kept": Column(type="number", max=2, rules={"range": "keep"}),
    "flag": Column(type="flag"),
    "open": Column(type="category"),
    "closed": Column(type="category", options=("M", "F", "1", "?")),
    "lenient": Column(type="category", options=("M",), rules={"category": "keep"}),
    "text": Column(type="text"),
    "date": Column(type="date"),
    "terms": Column(type="terms"),
    "lenient terms": Column(type="terms", rules={"category": "keep"}),
}


@pytest.fixture(scope="module", autouse=True)
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with named_knowledge(tmp_path_factory.mktemp("knowledge")):
        yield


def reader(column: Column) -> ColumnReader:
    return ColumnReader("x", column, CODES, Rules())


@settings(max_examples=50, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)))
def test_a_column_is_its_values_one_by_one(data: st.DataObject, kind: str) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=8))
    series = pl.Series("x", values, strict=True)
    for name, column in COLUMNS.items():
        one = reader(column)
        typed, faults = one.read_column(series)
        expected = [one.read(value) for value in values]
        assert typed.dtype == DTYPES[column.type], name
        assert typed.to_list() == [value for value, _ in expected], name
        assert [FAULTS[code] or None for code in faults.to_list()] == [fault for _, fault in expected], name


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([1, 2], dtype=pl.Int8), [1.0, 2.0]),
        (pl.Series([1, 2], dtype=pl.UInt64), [1.0, 2.0]),
        (pl.Series([0.5, None], dtype=pl.Float32), [0.5, None]),
        (pl.Series([Decimal("1.25"), None]), [1.25, None]),
        (pl.Series(["1", "?"], dtype=pl.Categorical), [1.0, None]),
        (pl.Series([None, None]), [None, None]),
        (pl.Series([[1], None]), [None, None]),
        (pl.Series([{"a": 1}, None]), [None, None]),
        (pl.Series([date(2024, 1, 1), None]), [None, None]),
        (pl.Series([], dtype=pl.String), []),
    ],
)
def test_numbers_of_other_types(values: pl.Series, expected: list[float | None]) -> None:
    typed, faults = reader(COLUMNS["plain"]).read_column(values)
    assert typed.to_list() == expected
    if isinstance(values.dtype, pl.List | pl.Struct | pl.Date):
        assert faults.to_list() == [FAULTS.index("type"), 0]


@pytest.mark.parametrize("kind", ["number", "flag", "category", "text", "date"])
def test_an_empty_column_keeps_its_type(kind: ColumnType) -> None:
    typed, faults = reader(Column(type=kind)).read_column(pl.Series("x", [], pl.String))
    assert typed.dtype == DTYPES[kind]
    assert typed.len() == faults.len() == 0


def test_conversions_come_before_the_range_rule() -> None:
    one = reader(COLUMNS["convert"])
    assert one.read(37) == (37.0, None)
    assert one.read("98.6") == (pytest.approx(37.0), "convert")
    assert one.read(310.15) == (pytest.approx(37.0), "convert")
    assert one.read(1000) == (None, "range")


def test_an_option_that_is_declared_is_not_a_missing_code() -> None:
    assert reader(COLUMNS["closed"]).read("?") == ("?", None)
    own = Column(type="category", options=("?", "a"), missing=("a",))
    assert reader(own).read("a") == (None, "missing_code")


def test_read_codes() -> None:
    codes = codes_of(CODES)
    assert read_codes(pl.Series([" 7 ", "7.0", "?", None]), codes).to_list() == ["7", "7", None, None]
    assert read_codes(pl.Series([7.0, float("nan"), 1.5]), codes).to_list() == ["7", None, "1.5"]
    assert read_codes(pl.Series([[1]]), codes).to_list() == [None]
    assert read_codes(pl.Series([datetime(2024, 1, 2)]), codes).to_list() == ["2024-01-02T00:00:00"]


@pytest.mark.parametrize(
    ("cell", "typed", "fault"),
    [
        ("HP:0001250; HP:0001250", "HP:0001250", None),
        ("HP:0001251 hp_0001250", "HP:0001250;HP:0001251", None),
        ("HP:0001275, -HP:0001251", "HP:0001250;-HP:0001251", None),
        ("Seizures|!ataxia", "HP:0001250;-HP:0001251", None),
        ("seizure, ataxia", "HP:0001250;HP:0001251", None),
        ("HP:0001250;HP:9999999", "HP:0001250", "category"),
        ("HP:0001250;HP:0012825", "HP:0001250", "category"),
        ("HP:0001250;something", "HP:0001250", "type"),
        ("something", None, "type"),
        ("HP:0001250;-HP:0001250", None, "category"),
        ("?", None, "missing_code"),
        ("", None, None),
        ([], None, None),
        (None, None, None),
        (3.5, None, "type"),
        ({"id": "HP:0001250"}, None, "type"),
    ],
)
def test_terms(cell: object, typed: str | None, fault: str | None) -> None:
    assert reader(COLUMNS["terms"]).read(cell) == (typed, fault)


def test_terms_that_are_no_sign_stay_where_the_study_says_so() -> None:
    read = reader(COLUMNS["lenient terms"]).read
    assert read("HP:0001250;HP:9999999") == ("HP:0001250;HP:9999999", "category")
    assert read("HP:0001250;something") == ("HP:0001250", "type")


def test_without_knowledge_ids_are_taken_as_they_are() -> None:
    with no_knowledge():
        read = reader(COLUMNS["terms"]).read
    assert read("hp:0001275; -HP_9999999") == ("HP:0001275;-HP:9999999", None)
    assert read("HP:0001250; seizure") == ("HP:0001250", "type")
