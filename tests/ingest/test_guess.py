"""What a column looks like."""

import numpy as np
import polars as pl
import pytest

from galeno.ingest.guess import facts_of, guess_column, guess_missing, guess_range, without, words_of
from galeno.study import ColumnType

RNG = np.random.default_rng(3)
SENTENCES = [" ".join(RNG.choice(list("abcdefghijklmnopqrstuvwxyzáéíóúñ1234"), 9)) for _ in range(90)]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("x", ["t", "f", "t", "?"], "flag"),
        ("x", ["sí", "no", "", "no"], "flag"),
        ("x", [1, 0, 0, None], "flag"),
        ("x", [True, None, True], "flag"),
        ("x", [0, 1, 2, 0], "number"),
        ("x", ["1.5", "2", "", "3,5"], "number"),
        ("x", ["1", "2", "1"], "category"),
        ("admission_type_id", [1, 2, 3, 3], "category"),
        ("sex", ["F", "M", "F"], "category"),
        ("diag", ["250", "V45", "E909", "401"] * 5, "category"),
        ("x", ["2024-01-02", "31/12/2023", ""], "date"),
        ("x", SENTENCES, "text"),
        ("x", ["HP:0001250;HP:0001251", "HP:0001250", "", "-HP:0002650 HP:0001251"], "terms"),
        ("x", ["Seizure (HP:0001250)", "HP:0001250; HP:0001251", "Ataxia (HP:0001251)"], "terms"),
        ("x", [["HP:0001250", "HP:0001251"], [], ["HP:0002650"], None], "terms"),
    ],
)
def test_types(name: str, values: list[object], kind: ColumnType) -> None:
    column = guess_column(facts_of(pl.Series(name, values)))
    assert column is not None
    assert column.type == kind


def test_scales_with_few_high_values_are_not_flags() -> None:
    column = guess_column(facts_of(pl.Series("x", ["0"] * 90 + ["1"] * 8 + ["3"] * 2)))
    assert column is not None
    assert column.type == "number"


@pytest.mark.parametrize("values", [[], ["", "?"], ["a", "a"], [None, None], [7, 7]])
def test_columns_without_use(values: list[object]) -> None:
    assert guess_column(facts_of(pl.Series("x", values))) is None


def test_one_value_or_nothing_is_of_use() -> None:
    column = guess_column(facts_of(pl.Series("x", ["x", "", "x"])))
    assert column is not None
    assert column.options == ("x",)


def test_options_are_dropped_from_long_lists() -> None:
    column = guess_column(facts_of(pl.Series("x", [f"v{i % 60}" for i in range(300)])))
    assert column is not None
    assert (column.type, column.options) == ("category", ())


def test_ranges_keep_extremes_and_drop_the_absurd() -> None:
    hormone = np.concatenate([RNG.lognormal(0.4, 1.2, 2000), [530.0]])
    low, high = guess_range(words_of("TSH"), hormone)
    assert low == 0
    assert high >= 530
    assert guess_range(words_of("age"), np.append(RNG.uniform(1, 97, 500), [455, 65526])) == (0, 120)
    assert guess_range(words_of("count"), np.append(RNG.uniform(1, 97, 500), 65526))[1] < 400
    low, high = guess_range(words_of("axis"), np.array([-30.0, 0.0, 60.0]))
    assert (low, high) == (-120, 150)
    assert guess_range(words_of("x"), np.array([0.0, 0.0])) == (0, 1)


def test_words_in_place_of_numbers_in_two_columns_mean_missing() -> None:
    one = facts_of(pl.Series("a", ["1", "2", "3", "4", "5", "ND"]))
    two = facts_of(pl.Series("b", ["1.5", "2", "3", "4", "5", "ND", "6", "-"] + ["7"] * 9))
    other = facts_of(pl.Series("c", ["ND", "x", "-"]))
    assert guess_missing([one, two, other]) == {"ND"}
    assert without(other, frozenset({"ND"})).texts == ("-", "x")


def test_words_of() -> None:
    assert words_of("Patient-ID_2 admissionTime") == {"patient", "id", "2", "admission", "time"}
