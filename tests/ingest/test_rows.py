"""Rules about whole rows."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.ingest.rows import comparable, repeated_rows, row_keys, seen_before, two_targets

FRAMES = st.lists(st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from([1, 2, None])), max_size=8)


@settings(max_examples=40, deadline=None)
@given(rows=FRAMES, order=st.randoms(use_true_random=False))
def test_keys_do_not_depend_on_the_order(rows: list[tuple[str | None, int | None]], order: object) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.Int64}, orient="row")
    places = list(range(len(rows)))
    order.shuffle(places)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    keys, shuffled = row_keys(frame), row_keys(frame[places].select("b", "a"))
    assert sorted(keys) == sorted(shuffled)
    assert keys.n_unique() == len(rows)
    contents = {tuple(row): set() for row in rows}
    for row, key in zip(rows, keys, strict=True):
        contents[row].add(key.split("-")[0])
    assert all(len(digests) == 1 for digests in contents.values())


def test_equal_rows_have_numbered_keys() -> None:
    keys = row_keys(pl.DataFrame({"a": ["x", "x", "y"]})).to_list()
    assert keys[0].removesuffix("-1") == keys[1].removesuffix("-2")
    assert len(keys[0].split("-")[0]) == 64


def test_nested_and_binary_columns_can_be_compared() -> None:
    assert comparable(pl.Series("x", [[1, 2], None, [1, 2]])).n_unique() == 2
    assert comparable(pl.Series("x", [b"a", b"b", None])).n_unique() == 3


def test_seen_before() -> None:
    assert seen_before(pl.Series(["a", None, "a", None, "b"])).to_list() == [False, False, True, False, False]


def test_repeated_rows_need_a_named_patient_and_equal_columns() -> None:
    frame = pl.DataFrame({"p": ["1", "1", "1", None, None], "x": [5, 5, 6, 5, 5]})
    assert repeated_rows(frame, frame["p"]).to_list() == [False, True, False, False, False]


def test_two_targets() -> None:
    patients = pl.Series(["a", "a", "b", "b", None, None, "c", "c"])
    targets = pl.Series(["x", "y", "x", "x", "x", "y", "x", None])
    assert two_targets(patients, targets).to_list() == [True, True] + [False] * 6
