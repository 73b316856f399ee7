"""Levels that sink and marks that end, within a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.receive.brake_memory import Levels, Marks, source_of


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_address_counts_as_itself_or_as_its_64_bit_network(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_level_sinks_by_its_limit_in_a_period() -> None:
    levels = Levels[str](10, 100.0, 4)
    assert [levels.add("a", 0.0) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert levels.level("a", 15.0) == pytest.approx(1.5)
    assert levels.level("a", 1_000.0) == 0.0 == levels.level("b", 0.0)


def test_a_level_never_exceeds_its_limit_by_more_than_one_so_that_it_sinks_in_a_period() -> None:
    levels = Levels[str](10, 100.0, 4)
    assert max(levels.add("a", 0.0) for _ in range(1_000)) == 11.0
    assert levels.level("a", 110.0) == pytest.approx(0.0)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 5))), st.integers(1, 9))
def test_whatever_comes_the_memory_is_bounded_and_the_latest_is_known(
    steps: list[tuple[int, float]], size: int
) -> None:
    levels, marks, now = Levels[int](10, 100.0, size), Marks[int](size), 0.0
    for key, pause in steps:
        now += pause
        assert levels.add(key, now) >= 1.0
        marks.put(key, now + 3.0)
        assert levels.level(key, now) >= 1.0 and marks.has(key, now) and not marks.has(key, now + 3.0)
        assert len(levels) <= size and len(marks) <= size


def test_what_was_touched_longest_ago_is_forgotten_first() -> None:
    levels = Levels[str](10, 1_000.0, 3)
    for key in "abca":
        levels.add(key, 0.0)
    levels.add("d", 0.0)
    assert [levels.level(key, 0.0) for key in "abcd"] == [2.0, 0.0, 1.0, 1.0]
