"""Priorities as people, and other servers, say them."""

import pytest

from relay.message.priority import PRIORITIES, Priority


@pytest.mark.parametrize("value", range(-9, 10))
def test_the_sign_of_mt_priority_counts(value: int) -> None:
    expected = Priority.NORMAL if value == 0 else Priority.HIGH if value > 0 else Priority.BULK
    assert Priority.of_mt(value) is expected


@pytest.mark.parametrize("priority", Priority)
def test_a_priority_is_found_by_its_word_and_its_level(priority: Priority) -> None:
    assert PRIORITIES[priority.word] is priority
    assert Priority.of_mt(priority.mt) is priority


@pytest.mark.parametrize("asked", Priority)
@pytest.mark.parametrize("highest", Priority)
def test_a_cap_lowers_and_never_raises(asked: Priority, highest: Priority) -> None:
    got = asked.capped(highest)
    assert got >= asked and got >= highest
    assert got in (asked, highest)
