"""Orders: what a postmaster wants of mails, and what that makes of one.

    hold        what waits is kept, and not tried
    release     what is held waits again; its back-off begins anew
    retry       what was put off is tried at once
    cancel      nothing more is tried, and nobody is told
    rebind      what is left takes another route, and is tried at once
    prioritize  the mail has another priority

Pure. An order given twice changes nothing the second time.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct, structs

from relay.message.envelope import Envelope
from relay.message.priority import Priority
from relay.spool.change import HELD, QUEUED, RecipientState, Status


class _Order(Struct, frozen=True, kw_only=True):
    by: str
    """Whose word it is."""
    reason: str = ""
    at: float = 0.0
    """When it is carried out, seconds since the epoch."""


class Hold(_Order, frozen=True):
    """Keep it."""


class Release(_Order, frozen=True):
    """Try again what is held."""


class Retry(_Order, frozen=True):
    """Do not wait for the next attempt's time."""


class Cancel(_Order, frozen=True):
    """Take it back."""


class Rebind(_Order, frozen=True, kw_only=True):
    """Send it by another route."""

    route: str


class Prioritize(_Order, frozen=True, kw_only=True):
    """Let it go before others, or after them."""

    priority: Priority


Order = Hold | Release | Retry | Cancel | Rebind | Prioritize
_CANCELLED = Status.CANCELLED
REPLY_MAX = 1_000
"""Characters of a last reply that are kept behind the reason for a hold."""


def word(order: Order) -> str:
    """As people call it."""
    return "priority" if isinstance(order, Prioritize) else type(order).__name__.lower()


def concerned(order: Order, envelope: Envelope, indices: Sequence[int]) -> list[int]:
    """Those recipients that are not where the order wants them already."""
    if isinstance(order, Rebind):
        return [index for index in indices if envelope.recipients[index].route != order.route]
    return list(indices)


def amended(order: Order, envelope: Envelope, indices: Sequence[int]) -> Envelope:
    """The envelope with what the order makes of these recipients; the same one when it stays as it is."""
    match order:
        case Prioritize(priority=priority) if envelope.priority is not priority:
            return structs.replace(envelope, priority=priority)
        case Rebind(route=route) if indices:
            recipients = list(envelope.recipients)
            for index in indices:
                recipients[index] = structs.replace(recipients[index], route=route)
            return structs.replace(envelope, recipients=tuple(recipients))
    return envelope


def carry_out(order: Order, states: list[RecipientState], indices: Sequence[int]) -> int:
    """Enter into `states` what the order makes of these recipients; how many are others now."""
    change = _CHANGES.get(type(order))
    if change is None:
        return 0
    count = 0
    for index in indices:
        after = change(order, states[index])
        if after is not states[index]:
            states[index] = after
            count += 1
    return count


def _held(order: Hold, state: RecipientState) -> RecipientState:
    if state.status is not QUEUED:
        return state
    reply = _said("held", order.by, order.reason)
    if state.reply:
        reply += f"; before: {state.reply[:REPLY_MAX]}"
    # The pause that it cuts short has counted until now (relay.deliver.age).
    as_of = min(order.at, state.next_attempt)
    if state.as_of and as_of > state.as_of:
        state = structs.replace(state, aged_s=state.aged_s + as_of - state.as_of, as_of=as_of)
    return structs.replace(state, status=HELD, next_attempt=0.0, reply=reply)


def _released(order: Release, state: RecipientState) -> RecipientState:
    if state.status is not HELD:
        return state
    # Its age stays: what was held for that has one try, and is held again.
    return structs.replace(state, status=QUEUED, attempts=0, next_attempt=0.0)


def _retried(order: Retry | Rebind, state: RecipientState) -> RecipientState:
    if state.status is not QUEUED or state.next_attempt <= order.at:
        return state
    # Not 0: the pause that it cuts short has counted until now (relay.deliver.age).
    return structs.replace(state, next_attempt=order.at)


def _cancelled(order: Cancel, state: RecipientState) -> RecipientState:
    if not state.status.is_left:
        return state
    return RecipientState(_CANCELLED, state.attempts, 0.0, _said("cancelled", order.by, order.reason))


def _said(what: str, by: str, reason: str) -> str:
    return f"{what} by {by}: {reason}" if reason else f"{what} by {by}"


_CHANGES: dict[type[object], Callable[..., RecipientState]] = {
    Hold: _held, Release: _released, Retry: _retried, Cancel: _cancelled, Rebind: _retried,
}  # fmt: skip
"""Each takes the order of its key, and gives the state itself back where it stays as it is; a type that says so per entry does not exist, hence `...`."""
