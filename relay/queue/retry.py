"""When again? Exponential back-off with jitter, bounded by the route.

RFC 5321 section 4.5.4.1 wants at least 30 minutes between tries in the long run
and allows more at first; the route says how fast it grows and where it stops.
"""

from collections.abc import Callable

from relay.route.route import Route

JITTER = 0.25
"""Each delay is up to this part shorter or longer, so that mails refused together do not come back together."""
_MAX_EXPONENT = 64
"""Beyond it every delay has reached its maximum; keeps the power from overflowing."""


def next_attempt(route: Route, attempts: int, now: float, rng: Callable[[], float]) -> float:
    """When to try again after `attempts` tries that failed, seconds since the epoch.

    `rng` is uniform in [0, 1).
    """
    return now + delay(attempts, route.retry_first_s, route.retry_factor, route.retry_max_s, rng)


def delay(failures: int, first_s: float, factor: float, max_s: float, rng: Callable[[], float]) -> float:
    """How long to wait after so many failures, at least one."""
    exponent = min(max(failures, 1) - 1, _MAX_EXPONENT)
    plain = min(first_s * factor**exponent, max_s)
    return plain * (1 - JITTER + 2 * JITTER * rng())
