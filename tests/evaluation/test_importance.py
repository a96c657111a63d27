"""Importance by input column: what the answers hang on rises, what they ignore does not."""

import numpy as np
import polars as pl
import pytest

from galeno.evaluation.importance import (
    FEWEST_ROWS,
    MOST_ROWS,
    MOST_WORK,
    Importance,
    measure_importance,
)


def rows(n=400, seed=0):
    """Labels that `strong` gives away, `weak` hints at and `idle` knows nothing of."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    frame = pl.DataFrame(
        {
            "idle": rng.normal(size=n),
            "weak": labels + rng.normal(size=n) * 2,
            "strong": labels + rng.normal(size=n) * 0.3,
            "word": pl.Series(rng.choice(["a", "b"], n)),
        }
    )
    return frame, labels


def answer(frame):
    """A model that reads strong and weak."""
    score = 6 * (frame["strong"].to_numpy() - 0.5) + 0.5 * (frame["weak"].to_numpy() - 0.5)
    p = 1 / (1 + np.exp(-score))
    return np.column_stack([1 - p, p])


COLUMNS = ("idle", "weak", "strong", "word")


def test_what_is_read_matters_and_what_is_not_does_not():
    frame, labels = rows()
    found = measure_importance(answer, frame, labels, COLUMNS, seed=1)
    assert tuple(found.rises) == COLUMNS
    assert found.rises["idle"] == found.rises["word"] == 0.0
    assert found.rises["strong"] > 10 * abs(found.rises["weak"]) > 0
    assert found.rows == 400
    plain = -np.log(np.clip(answer(frame)[np.arange(400), labels], 1e-4, 1)).mean()
    assert found.log_loss == pytest.approx(plain)
    assert found.skipped == ""


def test_it_depends_on_data_and_seed_alone():
    frame, labels = rows(MOST_ROWS + 500)
    one = measure_importance(answer, frame, labels, COLUMNS, seed=3, threads=1)
    assert one == measure_importance(answer, frame, labels, COLUMNS, seed=3, threads=4)
    assert one != measure_importance(answer, frame, labels, COLUMNS, seed=4)
    alone = measure_importance(answer, frame, labels, ["weak"], seed=3)
    assert alone.rises["weak"] == one.rises["weak"]
    assert one.rows == MOST_ROWS


def test_every_row_is_given_the_value_of_another_row():
    seen = []

    def listen(frame):
        seen.append(frame)
        return np.full((frame.height, 2), 0.5)

    frame = pl.DataFrame({"a": range(60), "b": range(60)})
    measure_importance(listen, frame, np.zeros(60, np.int64), ["a"], seed=0)
    plain, shuffled = seen
    assert plain["b"].equals(shuffled["b"])
    assert not (plain["a"] == shuffled["a"]).any()
    assert sorted(shuffled["a"]) == sorted(plain["a"])


def test_rows_without_a_class_are_left_out():
    frame, labels = rows(100)
    labels[:40] = -1
    assert measure_importance(answer, frame, labels, COLUMNS, seed=1).rows == 60


def test_the_work_is_bounded_and_a_skip_is_told():
    frame, labels = rows(MOST_ROWS)
    asked = []

    def count(part):
        asked.append(part.height)
        return answer(part)

    found = measure_importance(count, frame, labels, COLUMNS, seed=1, members=100)
    assert sum(asked[1:]) * 100 <= MOST_WORK
    assert found.rows == MOST_WORK // 400
    wide = measure_importance(answer, frame, labels, COLUMNS, seed=1, members=MOST_WORK)
    assert wide == Importance({}, skipped="many_columns")
    few = measure_importance(answer, frame[: FEWEST_ROWS - 1], labels[: FEWEST_ROWS - 1], COLUMNS, seed=1)
    assert few == Importance({}, skipped="few_rows")
    none = measure_importance(answer, frame[:0], labels[:0], COLUMNS, seed=1)
    assert none.skipped == "few_rows"


def test_json_and_back():
    frame, labels = rows(80)
    found = measure_importance(answer, frame, labels, COLUMNS, seed=1)
    assert Importance(**found.to_dict()) == found
