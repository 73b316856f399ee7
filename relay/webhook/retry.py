"""When a batch that was not taken is tried again. Pure.

The pause doubles from `retry_first_s` to `retry_max_s`, with jitter, so that receivers of
many relays do not get them all at once when they are back. A receiver may ask for more time
(`Retry-After`), within a bound: it must not put itself off for days by a slip.
"""

from email.utils import parsedate_to_datetime

from relay.webhook.options import WebhookOptions

JITTER = 0.2
"""Of the pause, to both sides."""
RETRY_AFTER_MAX_S = 3_600.0
"""What a receiver may ask for, at most."""
_DOUBLINGS_MAX = 32


def pause_s(options: WebhookOptions, failures: int, asked_s: float, random: float) -> float:
    """After so many failures in a row, one at least; `asked_s` is what the receiver wants, 0: nothing."""
    grown = options.retry_first_s * 2.0 ** min(failures - 1, _DOUBLINGS_MAX)
    own = min(grown, options.retry_max_s) * (1 - JITTER + 2 * JITTER * random)
    return max(own, min(asked_s, RETRY_AFTER_MAX_S))


def asked_s(retry_after: str, now: float) -> float:
    """RFC 9110 section 10.2.3: a date, or seconds; 0 for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return 0.0
