"""Counts of a quota: never more than it allows in any window, whatever happens to the clock."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.budget.ring import BUCKETS, RING_BYTES, Per, Ring


def new() -> memoryview:
    return memoryview(bytearray(RING_BYTES))


@given(
    st.sampled_from(list(Per)),
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(0, 0.4), st.integers(1, 5)), max_size=200),
)
def test_no_window_ever_holds_more_than_the_quota(
    per: Per, quota: int, asks: list[tuple[float, int]]
) -> None:
    ring, now = Ring(new(), per.value), 1_000_000.0
    used: list[tuple[float, int]] = []
    for pause, count in asks:
        now += pause * per.value
        if ring.used(now) + count <= quota:
            ring.add(count)
            used.append((now, count))
        # The window that ends now: what was used within it.
        assert sum(each for at, each in used if at > now - per.value) <= quota


@given(st.integers(1, 9), st.lists(st.tuples(st.floats(0, 0.4), st.integers(1, 5)), min_size=1, max_size=60))
def test_what_is_used_up_frees_when_it_says(quota: int, asks: list[tuple[float, int]]) -> None:
    ring, now = Ring(new(), 60), 5_000.0
    for pause, count in asks:
        now += pause * 60
        over = ring.used(now) + count - quota
        if over <= 0:
            ring.add(count)
        elif count <= quota:
            wait = ring.wait_s(now, over)
            # Not before, and not more than a bucket after the window.
            assert 0 < wait <= 60 + 60 / BUCKETS
            assert Ring(_copied(ring), 60).used(now + wait + 1e-6) + count <= quota
            # Nor later than it must.
            assert wait <= 0.01 or Ring(_copied(ring), 60).used(now + wait - 0.01) + count > quota


def _copied(ring: Ring) -> memoryview:
    """The same counts in another buffer."""
    buffer = memoryview(bytearray(RING_BYTES))
    buffer[:8].cast("q")[0] = ring._number[0]
    buffer[8:12].cast("I")[0] = ring._place[0]
    buffer[12:].cast("I")[:] = ring._counts
    return buffer


@pytest.mark.parametrize("uptime", [0.0, 10.0, 3_599.0])
def test_a_clock_that_begins_anew_frees_nothing_early(uptime: float) -> None:
    ring = Ring(new(), 3_600)
    assert ring.used(90_000.0) == 0
    ring.add(7)
    assert ring.used(uptime) == 7
    assert ring.used(uptime + 3_599) == 7
    assert ring.used(uptime + 3_720) == 0


def test_what_was_given_back_is_free_again() -> None:
    ring = Ring(new(), 60)
    ring.used(100.0)
    ring.add(2)
    ring.used(103.0)
    ring.add(3)
    ring.give_back(4)
    assert ring.used(103.0) == 1
    ring.give_back(9)
    assert ring.used(103.0) == 0


class Watched:
    """Remembers the whole buffer after each write."""

    def __init__(self, view: memoryview, whole: memoryview, states: list[bytes]) -> None:
        self.view, self.whole, self.states = view, whole, states

    def __getitem__(self, index: int) -> int:
        value: int = self.view[index]
        return value

    def __setitem__(self, index: int, value: int) -> None:
        self.view[index] = value
        self.states.append(bytes(self.whole))

    def __iter__(self) -> Iterator[int]:
        return iter(self.view)


@pytest.mark.parametrize("passed", [1, 5, BUCKETS, BUCKETS + 5])
def test_a_process_killed_while_it_advances_leaves_too_much_counted_and_never_too_little(
    passed: int,
) -> None:
    whole = new()
    ring = Ring(whole, 60)
    for second in range(100, 130):
        ring.used(float(second))
        ring.add(1)
    states: list[bytes] = []
    for name in ("_number", "_place", "_counts"):
        setattr(ring, name, Watched(getattr(ring, name), whole, states))
    now = 129.0 + passed
    wanted = ring.used(now)
    assert states
    for state in states:
        assert Ring(memoryview(bytearray(state)), 60).used(now) >= wanted
