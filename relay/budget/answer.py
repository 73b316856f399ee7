"""Answers: what a ledger says to a send that asks for its charges."""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.budget.account import Account
from relay.budget.limit import Limit, Place
from relay.message.priority import Priority

Parts = list[tuple[Account, int]]


class Taken:
    """The charges are taken from all places. Give it back to `settle` or `refund`, once."""

    __slots__ = ("is_open", "parts", "serial")

    def __init__(self, parts: Parts, serial: int) -> None:
        self.parts = parts
        self.serial = serial
        """Content may leave when the ledger's `durable` has reached it; 0: at once."""
        self.is_open = True

    def __repr__(self) -> str:
        places = [(*account.place, amount) for account, amount in self.parts]
        return f"Taken({places}, serial={self.serial})"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing was taken: there is no room, or what there is is kept for a higher priority."""

    until: int | None
    """When it may go if nothing else does, exactly, in ledger time; None: not before
    something that is under way has been settled or refunded."""
    limit: Limit
    key: str
    """The limit that says so; of several, the last to give way."""
    short: frozenset[Place]
    """Places without room for anybody; empty when only headroom or pace forbids."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """More than a limit allows in all: it can never go in one piece."""

    limit: Limit
    key: str
    count: int
    """What the limit allows at present."""


Answer = Taken | Wait | TooLarge


def refusal(parts: Iterable[tuple[Account, int]], now: int, priority: Priority) -> Wait | TooLarge:
    """Why these charges do not fit now. Nothing of them is taken any more."""
    amounts: dict[Account, int] = {}
    for account, amount in parts:
        amounts[account] = amounts.get(account, 0) + amount
    for account, amount in amounts.items():
        if amount > account.count:
            return TooLarge(account.limit, account.place.key, account.count)
    last: Account | None = None
    until: int | None = now
    for account, amount in amounts.items():
        at = account.earliest(amount, now, priority)
        if at is None or (until is not None and at > until):
            last, until = account, at
        if until is None:
            break
    assert last is not None, "a refusal has a reason"
    short = (account.place for account, amount in amounts.items() if account.room < amount)
    return Wait(until, last.limit, last.place.key, frozenset(short))
