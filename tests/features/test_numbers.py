import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galeno.features.numbers import Measure, NumberScaler

LAB = Measure("lab", "lab", "number")
FLAG = Measure("flag", "flag", "flag")


def fit(
    values: list[float], scale: str = "standard", copies: bool = False, measure: Measure = LAB
) -> NumberScaler:
    return NumberScaler.fit([measure], np.array(values).reshape(-1, 1), scale, copies)


def write(scaler: NumberScaler, values: list[float]) -> np.ndarray:
    out = np.zeros((len(values), len(scaler.columns)), np.float32)
    scaler.write(np.array(values, np.float64).reshape(-1, 1), out)
    return out


def test_standard_scale() -> None:
    values = np.random.default_rng(0).normal(50, 10, 4000).tolist()
    out = write(fit(values), values)
    assert abs(out.mean()) < 0.02
    assert abs(out.std() - 1) < 0.03


def test_absurd_value_does_not_set_the_scale() -> None:
    values = np.random.default_rng(0).normal(50, 10, 1000).tolist()
    out = write(fit([*values, 65526.0]), values)
    assert abs(out.std() - 1) < 0.1


def test_bulk_is_linear_and_tails_are_drawn_in() -> None:
    values = np.random.default_rng(0).normal(0, 1, 2000)
    scaler = fit([*values.tolist(), 5000.0])
    bulk = write(scaler, [-2.0, -1.0, 0.0, 1.0, 2.0]).ravel()
    assert np.allclose(np.diff(bulk), np.diff(bulk)[0], atol=1e-5)
    tail = write(scaler, [10.0, 100.0, 1000.0, 5000.0]).ravel()
    assert (np.diff(tail) > 1e-3).all()
    assert tail[-1] < 8


@pytest.mark.parametrize("scale", ["none", "standard", "robust"])
def test_order_is_kept(scale: str) -> None:
    values = np.random.default_rng(0).lognormal(size=500)
    out = write(fit(values.tolist(), scale), np.sort(values).tolist()).ravel()
    assert (np.diff(out) > 0).all()


def test_missing_is_the_median_and_marked_only_where_it_occurred() -> None:
    marked = fit([1.0, 2.0, 4.0, np.nan])
    assert [c.name for c in marked.columns] == ["lab", "lab missing"]
    out = write(marked, [2.0, np.nan, np.inf, -np.inf])
    assert out[:, 1].tolist() == [0, 1, 1, 1]
    assert (out[:, 0] == out[0, 0]).all()
    bare = fit([1.0, 2.0, 4.0])
    assert [c.name for c in bare.columns] == ["lab"]
    assert write(bare, [np.nan])[0, 0] == write(bare, [2.0])[0, 0]


def test_constant_gives_its_missing_mark_alone() -> None:
    assert [c.name for c in fit([3.0, 3.0, np.nan]).columns] == ["lab missing"]
    assert fit([3.0, 3.0]).columns == ()
    assert fit([np.nan, np.nan]).columns == ()


def test_flag_is_not_scaled() -> None:
    scaler = fit([0.0, 1.0, 1.0, np.nan], measure=FLAG)
    assert write(scaler, [0.0, 1.0, np.nan]).tolist() == [[0, 0], [1, 0], [0, 1]]


def test_skewed_number_gets_a_rank_copy() -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(sigma=1.5, size=2000)
    scaler = fit([*values.tolist(), np.nan], copies=True)
    assert [c.block for c in scaler.columns] == ["table", "table", "copies"]
    out = write(scaler, [*np.sort(values).tolist(), np.nan, 1e9, -1e9])
    rank = out[:2000, 2]
    assert (np.diff(rank) >= 0).all()
    assert np.allclose(rank, (np.arange(2000) / 2000 - 0.5) * np.sqrt(12), atol=0.02)
    assert out[2000, 2] == 0
    assert out[2001, 2] == rank.max()
    assert out[2002, 2] == rank.min()
    assert all(c.block == "table" for c in fit(rng.normal(size=500).tolist(), copies=True).columns)


VALUES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.just(2)),
    elements=st.floats(allow_nan=True, allow_infinity=True),
)


@settings(max_examples=50, deadline=None)
@given(VALUES, VALUES, st.sampled_from(["none", "standard", "robust"]))
def test_any_numbers_stay_finite(fitted: np.ndarray, asked: np.ndarray, scale: str) -> None:
    scaler = NumberScaler.fit([LAB, Measure("b", "b", "number")], fitted, scale, copies=True)
    out = np.zeros((len(asked), len(scaler.columns)), np.float32)
    scaler.write(asked, out)
    assert np.isfinite(out).all()
    for raw, row in zip(asked, out, strict=True):
        one = np.zeros_like(row)
        scaler.write_record(raw, one)
        assert one.tobytes() == row.tobytes()
