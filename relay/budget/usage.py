"""Usage: how a limit stands, for people and for metrics."""

from dataclasses import dataclass

from relay.budget.account import Account
from relay.budget.limit import Limit, Place


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit at one key."""

    place: Place
    limit: Limit
    count: int
    """What is allowed at present; differs from the limit's where it is learnt."""
    held: int
    """Used, and not yet free again."""
    open: int
    """Of sends that are under way."""
    free_at: int | None
    """When the next part of what is held comes free, in ledger time; None: nothing is held."""


def usage_of(account: Account) -> Usage:
    """As of the last moment the account was asked to expire."""
    free_at = account.releases[0] if account.releases else None
    return Usage(account.place, account.limit, account.count, account.held, account.open, free_at)
