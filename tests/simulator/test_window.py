"""No window of its length ever holds more than was allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.simulator.window import Window

Steps = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4)), max_size=40)


def test_what_happened_counts_until_just_before_the_length_is_over() -> None:
    window = Window(3, 60.0)
    window.add(1000.0, 3)
    assert window.count(1059.9) == 3 and not window.fits(1059.9)
    assert window.count(1060.0) == 0 and window.fits(1060.0, 3)


def test_the_peak_is_remembered() -> None:
    window = Window(10, 60.0)
    for now in (0.0, 30.0, 59.0, 61.0):
        window.add(now, 2)
    assert window.peak == 6 and window.count(200.0) == 0


def test_a_limit_of_zero_is_off() -> None:
    window = Window(0, 60.0)
    window.add(0.0, 1_000_000)
    assert window.fits(0.0, 1_000_000) and window.count(0.0) == 0 and window.free_at(5.0) == 5.0


def test_more_than_the_limit_never_fits() -> None:
    with pytest.raises(ValueError, match="ever allows"):
        Window(3, 60.0).free_at(0.0, 4)


@given(Steps, st.integers(4, 12))
def test_the_count_is_that_of_a_list(steps: list[tuple[int, int]], limit: int) -> None:
    window, now = Window(limit, 60.0), 1.7e9
    happened: list[tuple[float, int]] = []
    for wait_s, amount in steps:
        now += wait_s
        inside = sum(size for when, size in happened if when > now - 60.0)
        assert window.count(now) == inside
        assert window.fits(now, amount) is (inside + amount <= limit)
        if inside + amount <= limit:
            window.add(now, amount)
            happened.append((now, amount))


@given(Steps, st.integers(4, 12))
def test_whoever_waits_until_it_is_free_is_taken_and_not_a_moment_before(
    steps: list[tuple[int, int]], limit: int
) -> None:
    window, now = Window(limit, 60.0), 1.7e9
    for wait_s, amount in steps:
        now += wait_s / 7
        free_at = window.free_at(now, amount)
        assert free_at == now or not window.fits(free_at - 0.001, amount)
        now = free_at
        assert window.fits(now, amount)
        window.add(now, amount)
    assert window.peak <= limit
