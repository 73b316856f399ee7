"""When again?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.queue.retry import JITTER, LAST_TRY_S, delay, next_attempt, within
from relay.route.route import Route

ROUTE = Route("r", ("h.test",), retry_first_s=60, retry_factor=2, retry_max_s=3600)


def test_each_failure_doubles_the_delay_until_the_maximum() -> None:
    delays = [next_attempt(ROUTE, attempts, 1000.0, lambda: 0.5) - 1000.0 for attempts in range(1, 10)]
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_the_delay_stays_within_its_bounds(failures: int, chance: float) -> None:
    assert 60 * (1 - JITTER) <= delay(failures, 60, 2, 3600, lambda: chance) <= 3600 * (1 + JITTER)


def test_chance_spreads_what_failed_together() -> None:
    assert delay(1, 60, 2, 3600, lambda: 0.0) == 45
    assert delay(1, 60, 2, 3600, lambda: 0.999999) > 74.99


def test_named_pauses_are_taken_in_turn_and_the_last_one_again() -> None:
    route = Route("r", ("h.test",), retry_steps_s=(300.0, 900.0, 3600.0))
    delays = [next_attempt(route, attempts, 1000.0, lambda: 0.5) - 1000.0 for attempts in range(1, 7)]
    assert delays == [300, 900, 3600, 3600, 3600, 3600]


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_named_pauses_keep_their_jitter(attempts: int, chance: float) -> None:
    route = Route("r", ("h.test",), retry_steps_s=(300.0, 900.0))
    plain = 300.0 if attempts <= 1 else 900.0
    waited = next_attempt(route, attempts, 0.0, lambda: chance)
    assert plain * (1 - JITTER) <= waited <= plain * (1 + JITTER)


@pytest.mark.parametrize(
    ("at", "expires_at", "deadline", "expected"),
    [
        (500.0, 9_000.0, 0.0, 500.0),
        (500.0, 400.0, 0.0, 400.0),  # a last try when it comes of age
        (500.0, 50.0, 0.0, 100.0),  # it has: at once
        (500.0, 9_000.0, 501.0, 500.0),
        (500.0, 9_000.0, 500.0, 500.0 - LAST_TRY_S),  # a last try a minute before
        (500.0, 9_000.0, 130.0, 130.0),  # no time for one: the deadline ends it
        (500.0, 300.0, 400.0, 300.0),
        (500.0, 9_000.0, 90.0, 100.0),
    ],
)
def test_the_next_try_is_within_the_time_there_is(
    at: float, expires_at: float, deadline: float, expected: float
) -> None:
    assert within(at, 100.0, expires_at, deadline) == expected
