"""Token buckets, on a clock of the test's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import SettingError
from galeno.service.limits import Limiter


class Clock:
    def __init__(self) -> None:
        self.time = 50.0

    def __call__(self) -> float:
        return self.time


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    limiter = Limiter(2.0, 3, clock=clock)
    assert [limiter.take("ana") for _ in range(3)] == [None, None, None]
    wait = limiter.take("ana")
    assert wait == pytest.approx(0.5)
    assert limiter.take("ana") == pytest.approx(0.5), "being refused costs nothing"
    clock.time += 0.5
    assert limiter.take("ana") is None
    assert limiter.take("ana") == pytest.approx(0.5)


def test_callers_do_not_take_from_each_other() -> None:
    limiter = Limiter(1.0, 1, clock=Clock())
    assert limiter.take("ana") is None
    assert limiter.take("ana") is not None
    assert limiter.take("eva") is None


def test_memory_is_bounded() -> None:
    clock = Clock()
    limiter = Limiter(1.0, 2, most=100, clock=clock)
    for number in range(1000):
        assert limiter.take(f"address {number}") is None
    assert len(limiter) == 100


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    limiter = Limiter(1.0, 2, clock=clock)
    for number in range(50):
        limiter.take(f"address {number}")
    clock.time += 10
    for _ in range(60):
        limiter.take("ana")
        clock.time += 1
    assert len(limiter) == 1


@pytest.mark.parametrize(("per_second", "burst"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1.0, 0)])
def test_a_limit_that_lets_nobody_in_is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(SettingError):
        Limiter(per_second, burst)


@settings(max_examples=50, deadline=None)
@given(
    rate=st.floats(0.1, 100.0),
    burst=st.integers(1, 20),
    steps=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(rate: float, burst: int, steps: list[float]) -> None:
    clock = Clock()
    limiter = Limiter(rate, burst, clock=clock)
    taken = 0
    for step in steps:
        clock.time += step
        taken += limiter.take("ana") is None
        assert taken <= burst + rate * (clock.time - 50.0) + 1e-3


@settings(max_examples=50, deadline=None)
@given(rate=st.floats(0.1, 100.0), burst=st.integers(1, 20))
def test_who_waits_as_long_as_was_said_gets_in(rate: float, burst: int) -> None:
    clock = Clock()
    limiter = Limiter(rate, burst, clock=clock)
    for _ in range(burst + 10):
        wait = limiter.take("ana")
        if wait is not None:
            clock.time += wait
            assert limiter.take("ana") is None
