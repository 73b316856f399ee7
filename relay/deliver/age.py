"""The age of a mail: how much of its time counts against its route's `expire`. Pure.

Counted is the time for which somebody tries: while it is under way, while it is put off
after a try, and while its next hop cannot be reached. Not counted, unless the route says so
(`waiting_ages`), is the time for which it stands ready and only waits: for a limit, for what
has stopped, for a suspension, for an hour of the day, for its turn, for a relay that is down.

Nothing is written for that while it waits. What was recorded at its last try says how much
had counted by then (`aged_s`, `as_of`), and all else follows from the times on the disk:

    came, or may go ── ready ──► tried ── put off ──► next_attempt ── ready ──► now
                       (lost)    all of it   all of it               (lost)

`lost` is the part of a time in which the next hop could not be reached (relay.deliver.outages).
A deadline that the mail brings itself is a moment, whatever it waited for.
"""

from collections.abc import Callable

from relay.message.envelope import Envelope
from relay.spool.change import RecipientState

Lost = Callable[[float, float], float]
"""So many seconds of the time between two moments count although the mail stood ready."""


def base_of(envelope: Envelope) -> float:
    """From when on it may grow old: what is not to go yet does not."""
    return max(envelope.received_at, envelope.not_before)


def counted_s(state: RecipientState, base: float, at: float, lost: Lost) -> float:
    """How much counts at a moment at which nothing of it is under way."""
    # An earlier version recorded no times, and counted everything: as if put off since it came.
    as_of = state.as_of or base
    ready_at = max(as_of, state.next_attempt)
    counted = state.aged_s + max(0.0, min(at, ready_at) - as_of)
    return counted + lost(ready_at, at) if at > ready_at else counted
