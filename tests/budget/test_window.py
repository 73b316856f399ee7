"""Windows: half-open, exact below EXACT_COUNT, late by a grain at most above."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.budget.limit import DAY_S, DAY_US, Limit, Scope, Unit
from relay.budget.window import EXACT_COUNT, GRAINS, Window
from relay.message.priority import Priority

SECOND = 1_000_000
MINUTE = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)
DAILY = Limit(Scope.MAILBOX, Unit.RECIPIENTS, 100, DAY_S, since_midnight=True)
MIDNIGHT = 20_000 * DAY_US


def used(limit: Limit, *stamps: tuple[int, int], utc_offset_us: int = 0) -> Window:
    window = Window(limit, utc_offset_us)
    for at, amount in stamps:
        window.expire(at)
        window.stamp(at, amount)
    return window


def test_a_place_is_free_again_exactly_one_window_later() -> None:
    window = used(MINUTE, (7, 30))
    window.expire(7 + 60 * SECOND - 1)
    assert window.room == 0
    window.expire(7 + 60 * SECOND)
    assert window.room == 30


def test_a_burst_inside_the_limit_goes_at_once() -> None:
    window = Window(MINUTE)
    for _ in range(30):
        assert window.admits(1, 5, Priority.HIGH)
        window.stamp(5, 1)
    assert not window.admits(1, 5, Priority.HIGH)


def test_the_earliest_moment_is_when_enough_has_come_free() -> None:
    window = used(MINUTE, (0, 10), (1 * SECOND, 10), (2 * SECOND, 10))
    assert window.earliest(1, 3 * SECOND, Priority.HIGH) == 60 * SECOND
    assert window.earliest(10, 3 * SECOND, Priority.HIGH) == 60 * SECOND
    assert window.earliest(11, 3 * SECOND, Priority.HIGH) == 61 * SECOND
    assert window.earliest(30, 3 * SECOND, Priority.HIGH) == 62 * SECOND


def test_while_sends_are_open_nobody_knows_when() -> None:
    window = used(MINUTE, (0, 10))
    window.open = 20
    assert window.earliest(10, 1, Priority.HIGH) == 60 * SECOND
    assert window.earliest(11, 1, Priority.HIGH) is None


@given(st.integers(EXACT_COUNT + 1, 10**7), st.integers(1, 10**6), st.integers(0, 10**16))
def test_a_large_limit_frees_no_sooner_than_exact_and_a_grain_later_at_most(
    count: int, window_s: int, at: int
) -> None:
    window = used(Limit(Scope.TENANT, Unit.BYTES, count, window_s), (at, count))
    earliest = window.earliest(1, at, Priority.HIGH)
    exact = at + window_s * SECOND
    assert earliest is not None
    assert exact <= earliest <= exact + window_s * SECOND // GRAINS


def test_a_daily_limit_is_free_at_midnight() -> None:
    window = used(DAILY, (MIDNIGHT - 1, 60), (MIDNIGHT, 30))
    assert window.room == 70
    assert window.earliest(80, MIDNIGHT, Priority.HIGH) == MIDNIGHT + DAY_US


@pytest.mark.parametrize("offset_s", [-3600, -1, 0, 1, 3600])
def test_midnight_is_that_of_utc_whatever_ledger_time_says(offset_s: int) -> None:
    window = used(DAILY, (MIDNIGHT + 5 * 3600 * SECOND, 100), utc_offset_us=offset_s * SECOND)
    assert (
        window.earliest(1, MIDNIGHT + 6 * 3600 * SECOND, Priority.HIGH)
        == MIDNIGHT + DAY_US - offset_s * SECOND
    )


def test_a_lowered_count_waits_until_use_has_gone_below_it() -> None:
    window = used(MINUTE, (0, 10), (SECOND, 10))
    window.set_count(5)
    assert window.room == -15
    assert window.earliest(1, SECOND, Priority.HIGH) == 61 * SECOND


def test_normal_leaves_the_last_place_to_high_until_the_next_is_near() -> None:
    window = used(MINUTE, (0, 29))
    assert window.earliest(1, SECOND, Priority.HIGH) == SECOND
    assert window.earliest(1, SECOND, Priority.NORMAL) == 58 * SECOND
    assert window.earliest(1, 58 * SECOND, Priority.NORMAL) == 58 * SECOND


def test_large_limits_leave_half_a_per_cent_to_high() -> None:
    window = used(Limit(Scope.MAILBOX, Unit.RECIPIENTS, 10_000, DAY_S), (0, 9_950))
    assert window.admits(50, 0, Priority.HIGH)
    for priority in (Priority.NORMAL, Priority.BULK):
        assert not window.admits(1, 0, priority)
        assert window.earliest(1, 0, priority) == DAY_S * SECOND


def test_bulk_is_spaced_and_makes_good_what_it_was_late() -> None:
    window = Window(MINUTE)
    window.pace(100 * SECOND, 1)
    window.pace(100 * SECOND, 1)
    assert window.earliest(1, 100 * SECOND, Priority.BULK) == 102 * SECOND
    # Late by half a second: the one after is not.
    window.pace(102 * SECOND + SECOND // 2, 1)
    assert window.earliest(1, 102 * SECOND + SECOND // 2, Priority.BULK) == 104 * SECOND
    # Late by much: one interval is made good, no more.
    window.pace(200 * SECOND, 1)
    window.pace(200 * SECOND, 1)
    assert window.earliest(1, 200 * SECOND, Priority.BULK) == 202 * SECOND
