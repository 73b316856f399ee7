"""When again?"""

from hypothesis import given
from hypothesis import strategies as st

from relay.queue.retry import JITTER, delay, next_attempt
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
