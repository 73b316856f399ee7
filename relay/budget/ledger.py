"""The ledger: every limit of every scope, in one place.

A send takes its charges from all its places or from none, and else learns the
earliest moment at which it may go. The life of a send:

    take -> Taken: when `durable` has reached its `serial`, the content may leave
        -> settle    the next hop may have counted it (any reply to the content, or none)
        -> refund    it surely has not (no content left)
    take -> Wait: ask again at `until`, and after a settle or refund

and of its rows:

    changes -> Batch: into the spool with what is written next, batches in order
        -> committed | failed

After a crash, sends whose end was not recorded count as if they had ended at the
restart: too much may be counted, never too little. All times are ledger time.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from relay.budget.account import Account
from relay.budget.answer import Answer, Parts, Taken, refusal
from relay.budget.journal import Batch, Journal
from relay.budget.limit import Charge, Limit, LimitTable, Place, Unit
from relay.budget.row import Row, sort_rows
from relay.budget.standing import Standing, standing_of
from relay.budget.usage import Usage, usage_of
from relay.message.priority import Priority

_BULK = Priority.BULK
_PATROL = 2
"""Accounts looked at for each new one, so that idle ones go faster than new ones come."""


class Ledger:
    """The use of all limits but those of connections (`connection.py`)."""

    def __init__(self, limits: Iterable[Limit], *, utc_offset_us: int = 0) -> None:
        """`utc_offset_us` is UTC less ledger time, for limits since midnight."""
        self._table = LimitTable(limit for limit in limits if limit.unit is not Unit.CONNECTIONS)
        self._utc_offset_us = utc_offset_us
        self._accounts: dict[tuple[object, ...], tuple[Account, ...]] = {}
        self._patrol: deque[Place] = deque()
        self._counts: dict[tuple[Limit, str], int] = {}
        self._journal = Journal()
        self._now = 0

    def take(self, charges: Iterable[Charge], now: int, priority: Priority = Priority.HIGH) -> Answer:
        """All of the charges or none of them. A place without a limit costs nothing."""
        if now < self._now:
            now = self._now
        self._now = now
        known = self._accounts
        parts: Parts = []
        fits = True
        for charge in charges:
            accounts = known.get(charge[:3])
            if accounts is None:
                accounts = self._opened(Place(*charge[:3]))
            amount = charge[3]
            for account in accounts:
                if account.steps_at <= now:
                    account.step(now)
                if account.releases and account.releases[0] <= now:
                    account.expire(now)
                if amount and not account.admits(amount, now, priority):
                    fits = False
                # At once, so that a place named twice is checked for both.
                account.open += amount
                parts.append((account, amount))
        if fits:
            return Taken(parts, self._cover(parts, now, priority))
        for account, amount in parts:
            account.open -= amount
        return refusal(parts, now, priority)

    def settle(self, taken: Taken, now: int, unsent: Iterable[Charge] = ()) -> None:
        """The send has ended and may have been counted: it is held for its windows from now on.

        `unsent` is the part that surely was not: recipients that were refused.
        """
        now = self._advance(now)
        less = {charge[:3]: charge[3] for charge in unsent}
        for account, amount in self._ended(taken):
            amount -= less.pop(account.place, 0) if less else 0
            assert amount >= 0
            if amount:
                account.stamp(now, amount)

    def refund(self, taken: Taken) -> None:
        """The send surely was not counted: none of its content left."""
        self._ended(taken)

    def note(self, charges: Iterable[Charge], now: int) -> None:
        """Something else used so much of these limits: it counts, even beyond them."""
        now = self._advance(now)
        for charge in charges:
            for account in self._opened(Place(*charge[:3])):
                account.expire(now)
                account.stamp(now, charge.amount)
                self._journal.dirty[account] = None

    def set_count(self, limit: Limit, key: str, count: int) -> None:
        """A learnt or changed count for one key of a limit; what was used stays used."""
        self._counts[limit, key] = count
        for account in self._accounts.get((limit.scope, key, limit.unit), ()):
            if account.limit == limit:
                account.adopt(count)
                self._journal.dirty[account] = None

    def used(self, place: Place, limit: Limit) -> int:
        """How much of one limit is in use, as of the last question."""
        accounts = self._accounts.get(place, ())
        return next((each.open + each.held for each in accounts if each.limit == limit), 0)

    @property
    def durable(self) -> int:
        """The last batch up to which all is on the disk; sends up to this serial may leave."""
        return self._journal.durable

    def changes(self) -> Batch | None:
        """Rows that changed since the last call, for the next commit; None: none did."""
        return self._journal.changes(self._now)

    def committed(self, batch: Batch) -> None:
        """The batch is on the disk."""
        self._journal.committed(batch)

    def failed(self, batch: Batch) -> None:
        """The batch is not on the disk; the next one says it again. Nothing need be refunded."""
        self._journal.failed(batch)

    def restore(self, rows: Iterable[Row], now: int) -> None:
        """Take over what an earlier process left; once, before anything else.

        Rows of limits that no longer are will be deleted. ValueError for a row that cannot be read.
        """
        kept, left_at = sort_rows(rows)
        now = self._advance(max(now, left_at))
        for place, uses in kept.items():
            accounts = self._opened(place)
            for account in accounts:
                own = [use for use in uses if use.belongs_to(account.limit)]
                account.restore(own, now)
                self._journal.dirty[account] = None
            strange = (use for use in uses if not any(use.belongs_to(account.limit) for account in accounts))
            self._journal.abandon(use.row_key for use in strange)

    def usage(self, now: int) -> Iterator[Usage]:
        """How each limit in use stands."""
        now = self._advance(now)
        for accounts in self._accounts.values():
            for account in accounts:
                if account.steps_at <= now:
                    account.step(now)
                account.expire(now)
                yield usage_of(account)

    def standings(self, places: Iterable[Place], now: int) -> tuple[Standing, ...]:
        """How all limits of these places stand; nothing is changed by asking."""
        now = self._advance(now)
        found: list[Standing] = []
        for place in places:
            accounts = self._accounts.get(place)
            if accounts is None:
                # Accounts that nobody has used yet, made for the question alone.
                accounts = tuple(self._new(limit, place) for limit in self._table.at(place))
            for account in accounts:
                if account.steps_at <= now:
                    account.step(now)
                account.expire(now)
                found.append(standing_of(account, account.place.key, now, account.ahead(now)))
        return tuple(found)

    def _advance(self, now: int) -> int:
        """Ledger time never goes back."""
        if now > self._now:
            self._now = now
        return self._now

    def _cover(self, parts: Parts, now: int, priority: Priority) -> int:
        """The charges are taken: which batch must be durable before the content leaves."""
        journal = self._journal
        dirty, durable, following = journal.dirty, journal.durable, journal.following
        serial = 0
        for account, amount in parts:
            needed = account.cover.take(amount, durable, following)
            if needed > serial:
                serial = needed
            dirty[account] = None
        if priority is _BULK:
            for account, amount in parts:
                account.pace(now, amount)
        return serial

    def _ended(self, taken: Taken) -> Parts:
        """Its charges, no longer open."""
        assert taken.is_open, "a send ends once"
        taken.is_open = False
        dirty = self._journal.dirty
        for account, amount in taken.parts:
            account.open -= amount
            dirty[account] = None
        return taken.parts

    def _opened(self, place: Place) -> tuple[Account, ...]:
        """The accounts of a place; a new one for each of its limits when there are none."""
        accounts = self._accounts.get(place)
        if accounts is None:
            accounts = tuple(self._new(limit, place) for limit in self._table.at(place))
            if accounts:
                self._accounts[place] = accounts
                self._forget_idle()
                self._patrol.append(place)
        return accounts

    def _new(self, limit: Limit, place: Place) -> Account:
        account = Account(limit, place, self._utc_offset_us)
        if limit.ramp:
            account.step(self._now)
        if (count := self._counts.get((limit, place.key))) is not None:
            account.adopt(count)
        return account

    def _forget_idle(self) -> None:
        """Bounds the memory: recipients' mailboxes come and go without end."""
        for _ in range(min(_PATROL, len(self._patrol))):
            place = self._patrol.popleft()
            accounts = self._accounts[place]
            for account in accounts:
                account.expire(self._now)
            if all(account.is_idle(self._now) for account in accounts):
                del self._accounts[place]
                for account in accounts:
                    self._journal.forget(account)
            else:
                self._patrol.append(place)
