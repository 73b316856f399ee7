"""When again? By the route's own steps, else by a back-off that grows; both with jitter.

RFC 5321 section 4.5.4.1 wants at least 30 minutes between tries in the long run
and allows more at first; the route says how fast it grows and where it stops, or names
each pause, of which the last one is repeated.
"""

from collections.abc import Callable

from relay.route.route import Route

JITTER = 0.25
"""Each delay is up to this part shorter or longer, so that mails refused together do not come back together."""
LAST_TRY_S = 60.0
"""A mail with a deadline is tried so long before it for the last time: a try that begins at the deadline is too late."""
_MAX_EXPONENT = 64
"""Beyond it every delay has reached its maximum; keeps the power from overflowing."""


def next_attempt(route: Route, attempts: int, now: float, rng: Callable[[], float]) -> float:
    """When to try again after `attempts` tries that failed, seconds since the epoch.

    `rng` is uniform in [0, 1).
    """
    steps = route.retry_steps_s
    if steps:
        return now + _spread(steps[min(max(attempts, 1), len(steps)) - 1], rng)
    return now + delay(attempts, route.retry_first_s, route.retry_factor, route.retry_max_s, rng)


def delay(failures: int, first_s: float, factor: float, max_s: float, rng: Callable[[], float]) -> float:
    """How long to wait after so many failures, at least one."""
    exponent = min(max(failures, 1) - 1, _MAX_EXPONENT)
    return _spread(min(first_s * factor**exponent, max_s), rng)


def within(at: float, now: float, expires_at: float, deadline: float) -> float:
    """The next try, when the mail comes of age at `expires_at` and may not go from `deadline` on (0: none).

    A last try when it comes of age, however long the pause is by then; and one a minute
    before its deadline. At the deadline itself: there is time for none.
    """
    at = min(at, max(expires_at, now))
    if not deadline or at < deadline:
        return at
    last = deadline - LAST_TRY_S
    return last if last > now else max(deadline, now)


def _spread(plain: float, rng: Callable[[], float]) -> float:
    return plain * (1 - JITTER + 2 * JITTER * rng())
