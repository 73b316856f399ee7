"""How much a client may send, and to whom: what its policy says beyond senders and From.

Each rule is asked as soon as it can be: at MAIL, at RCPT, at the end of the mail. What is
not written costs a look at an attribute. Quotas and connections are counted over all
receivers (`relay.spool.usage`); a mail uses its quotas when everything else is good, in one
turn for all of them, so that never more is used than there is.
"""

import math
from collections.abc import Hashable

from relay.budget.ring import RING_BYTES, Counted, Quota, Ring
from relay.clock import Clock
from relay.errors import SpoolError
from relay.identity.client import INSIDE, Policy
from relay.receive.accept import Origin
from relay.receive.policy import DISK_TROUBLE, TOO_MANY_RECIPIENTS, too_large
from relay.receive.roll import Roll
from relay.route.pattern import keys_of, rule_key
from relay.route.tenant import Tenant, Unknown
from relay.smtp.reply import Reply
from relay.spool.usage import RINGS, Busy, Usage

RECIPIENT_NOT_ALLOWED = Reply(550, "5.7.1", "You may not send to this recipient")
NO_SUCH_RECIPIENT = Reply(550, "5.1.1", "There is no such recipient here")
NOT_KNOWN = Reply(451, "4.4.3", "It is not known just now who there is here; try again later")
TOO_MANY_SESSIONS = Reply(421, "4.7.0", "Too many connections of yours send at once")
BUSY = Reply(450, "4.7.1", "Your quota cannot be looked at just now; try again in a moment")


class Allowance:
    """One a receiver."""

    def __init__(self, tenant: Tenant, usage: Usage, clock: Clock) -> None:
        self.rolls: list[Roll] = []
        """Who is on any of them is there."""
        if tenant.recipients_file is not None:
            self.rolls.append(Roll(tenant.recipients_file))
        if tenant.recipients is not None:
            self.rolls.append(Roll(tenant.recipients, tenant.recipients_stale_s))
        self._unknown = None if tenant.recipients_unknown is Unknown.ACCEPT else NOT_KNOWN
        self._is_inside = tenant.is_inside
        self._usage = usage
        self._clock = clock
        self._seats: dict[Hashable, tuple[str, int]] = {}
        """By session, whose place it has; as many as there are sessions."""
        self._taken: dict[str, set[int]] = {}

    def judge_mail(self, session: Hashable, origin: Origin, size: int) -> Reply | None:
        """MAIL with the declared size, 0: none; None: it may begin."""
        policy = origin.policy
        if policy.message_bytes and size > policy.message_bytes:
            return too_large(policy.message_bytes)
        if policy.connections:
            if not self._has_seat(session, origin.account, policy.connections):
                return TOO_MANY_SESSIONS
        elif self._seats and session in self._seats:
            self.leave(session)
        return self._look(origin.account, policy, 1) if policy.quotas else None

    def judge_recipient(self, origin: Origin, recipient: bytes, before: int) -> Reply | None:
        """RCPT, when so many were taken before it; None: it may be one."""
        policy = origin.policy
        if policy.recipients is not None and not self._is_allowed(policy.recipients, recipient):
            return RECIPIENT_NOT_ALLOWED
        if self.rolls and self._is_inside(recipient) and (refusal := self._missing(recipient)) is not None:
            return refusal
        if policy.recipients_per_message and before >= policy.recipients_per_message:
            return TOO_MANY_RECIPIENTS
        return self._look(origin.account, policy, before + 1) if policy.quotas and before else None

    def _missing(self, recipient: bytes) -> Reply | None:
        """None: it is there, or may be."""
        if any(roll.knows(recipient) for roll in self.rolls):
            return None
        now = self._clock.now()
        return NO_SUCH_RECIPIENT if all(roll.is_current(now) for roll in self.rolls) else self._unknown

    def charge(self, client: str, policy: Policy, recipients: int) -> Reply | None:
        """The mail is good: use its quotas, all of them or none; None: done."""
        return self._ask(client, policy, recipients, is_used=True)

    def give_back(self, client: str, policy: Policy, recipients: int) -> None:
        """It was not stored after all."""
        try:
            with self._usage:
                page, now = self._usage.page(client), self._clock.monotonic()
                for quota in policy.quotas:
                    ring = _ring(page, quota)
                    ring.used(now)
                    ring.give_back(_amount(quota, recipients))
        except (Busy, SpoolError):
            # Too much is counted, and comes back with the window.
            return

    def leave(self, session: Hashable) -> None:
        """The session is over, or another's now."""
        seat = self._seats.pop(session, None)
        if seat is not None:
            client, place = seat
            taken = self._taken[client]
            taken.discard(place)
            if not taken:
                del self._taken[client]
            self._usage.rise(client, place)

    def _is_allowed(self, rules: tuple[str, ...], recipient: bytes) -> bool:
        if INSIDE in rules and self._is_inside(recipient):
            return True
        keys = frozenset(keys_of(recipient))
        return any(rule_key(rule) in keys for rule in rules if rule != INSIDE)

    def _has_seat(self, session: Hashable, client: str, connections: int) -> bool:
        seat = self._seats.get(session)
        if seat is not None:
            if seat[0] == client:
                return True
            self.leave(session)
        taken = self._taken.get(client, set())
        for place in range(connections):
            if place not in taken and self._usage.sit(client, place):
                taken.add(place)
                self._taken[client] = taken
                self._seats[session] = client, place
                return True
        return False

    def _look(self, client: str, policy: Policy, recipients: int) -> Reply | None:
        """Would a mail for so many be taken? One that would not need not come."""
        return self._ask(client, policy, recipients, is_used=False)

    def _ask(self, client: str, policy: Policy, recipients: int, *, is_used: bool) -> Reply | None:
        try:
            with self._usage:
                page, now = self._usage.page(client), self._clock.monotonic()
                rings = [(quota, _ring(page, quota)) for quota in policy.quotas]
                for quota, ring in rings:
                    over = ring.used(now) + _amount(quota, recipients) - quota.count
                    if over > 0:
                        return _used_up(quota, ring.wait_s(now, over))
                if is_used:
                    for quota, ring in rings:
                        ring.add(_amount(quota, recipients))
        except Busy:
            return BUSY
        except SpoolError:
            return DISK_TROUBLE
        return None


def _ring(page: memoryview, quota: Quota) -> Ring:
    start = RINGS[quota.of, quota.per] * RING_BYTES
    return Ring(page[start : start + RING_BYTES], quota.per.value)


def _amount(quota: Quota, recipients: int) -> int:
    return 1 if quota.of is Counted.MESSAGES else recipients


def _used_up(quota: Quota, wait_s: float) -> Reply:
    seconds = max(math.ceil(wait_s), 1)
    of, per = quota.of.value, quota.per.name.lower()
    return Reply(450, "4.7.1", f"Your {of} for this {per} are used up; try again in {seconds} seconds")
