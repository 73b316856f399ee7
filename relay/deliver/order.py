"""Orders: what a postmaster wants of mails, and what that makes of one.

    hold        what waits is kept, and not tried
    release     what is held waits again; its back-off begins anew
    retry       what was put off is tried at once
    cancel      nothing more is tried; whoever sent it is told, or is not
    rebind      what is left takes another route, and is tried at once
    prioritize  the mail has another priority

and what is known, or decided, of those whose reply was lost (`Status.UNCERTAIN`):

    arrived      it is delivered, and goes
    not arrived  it waits again, and is tried at once
    given up     nobody knows, and nobody finds out: it has failed

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


class Cancel(_Order, frozen=True, kw_only=True):
    """Take it back."""

    is_told: bool = False
    """Whoever sent it gets a report."""


class Rebind(_Order, frozen=True, kw_only=True):
    """Send it by another route."""

    route: str


class Prioritize(_Order, frozen=True, kw_only=True):
    """Let it go before others, or after them."""

    priority: Priority


class _Settling(_Order, frozen=True, kw_only=True):
    sent_at: float = 0.0
    """Only of recipients whose reply was lost then: others were tried again meanwhile. 0: of any."""


class Arrived(_Settling, frozen=True):
    """It is there."""


class NotArrived(_Settling, frozen=True):
    """It is not there: send it again."""


class GiveUp(_Settling, frozen=True):
    """Nobody knows: it is not sent again, and whoever sent it is told so."""


Order = Hold | Release | Retry | Cancel | Rebind | Prioritize | Arrived | NotArrived | GiveUp
_CANCELLED = Status.CANCELLED
REPLY_MAX = 1_000
"""Characters of a last reply that are kept behind the reason for a hold."""


def word(order: Order) -> str:
    """As people call it."""
    return _WORDS.get(type(order)) or type(order).__name__.lower()


_WORDS: dict[type[object], str] = {
    Prioritize: "priority", NotArrived: "not arrived", GiveUp: "given up",
}  # fmt: skip


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


def _settled(order: Arrived | NotArrived | GiveUp, state: RecipientState) -> RecipientState:
    if state.status is not Status.UNCERTAIN or order.sent_at not in (0.0, state.sent_at):
        return state
    reply = settled_text(order)
    match order:
        case Arrived():
            return RecipientState(Status.DELIVERED, state.attempts, 0.0, reply)
        case GiveUp():
            return RecipientState(Status.FAILED, state.attempts, 0.0, reply)
    # Its age stays, as that of what was held.
    return structs.replace(state, status=QUEUED, next_attempt=0.0, sent_at=0.0, sent_by="")


def settled_text(order: Arrived | NotArrived | GiveUp) -> str:
    """What stands in place of the reply that was lost."""
    return _said(f"its reply was lost; settled as {word(order)}", order.by, order.reason)


def _said(what: str, by: str, reason: str) -> str:
    return f"{what} by {by}: {reason}" if reason else f"{what} by {by}"


_CHANGES: dict[type[object], Callable[..., RecipientState]] = {
    Hold: _held, Release: _released, Retry: _retried, Cancel: _cancelled, Rebind: _retried,
    Arrived: _settled, NotArrived: _settled, GiveUp: _settled,
}  # fmt: skip
"""Each takes the order of its key, and gives the state itself back where it stays as it is; a type that says so per entry does not exist, hence `...`."""
