"""The demo's plan: who writes to whom, and what must come of it.

Pure. What is expected follows from the plan and the tenant's limits alone, so that a
run can be judged and not only looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from relay.budget.headroom import headroom

SPEED = 30
"""The tenant's clock: its minute passes in 2 seconds, whole ones, as the relay's windows must be."""
DOMAIN = "contoso.example"
MAILERS = (f"mailer1@{DOMAIN}", f"mailer2@{DOMAIN}", f"mailer3@{DOMAIN}")
"""A pool: each may send as NEWS and as ACCOUNTS."""
ORDERS = f"orders@{DOMAIN}"
NEWS = f"news@{DOMAIN}"
ACCOUNTS = f"accounts@{DOMAIN}"
BILLING = f"billing@{DOMAIN}"
"""Written by ORDERS, whose right to send as BILLING somebody has withdrawn."""
CAMPAIGN = "May newsletter"
A_MINUTE = 30
A_DAY = 10_000
"""Messages and recipients of one mailbox: Microsoft's numbers."""
OUTSIDE_A_DAY = 1000
"""Recipients outside of the tenant, of all mailboxes: few, so that the demo reaches it."""
INTERVAL_S = 60 / A_MINUTE
"""The send interval of a mailbox, by the tenant's clock."""
FEWEST = 40


class Kind(Enum):
    """What a mail is."""

    NEWSLETTER = "newsletter"
    RESET = "password reset"
    ORDER = "order confirmation"
    INVOICE = "invoice"


PRIORITIES = {Kind.NEWSLETTER: "bulk", Kind.RESET: "high", Kind.ORDER: "normal", Kind.INVOICE: "normal"}
SENDERS = {Kind.NEWSLETTER: NEWS, Kind.RESET: ACCOUNTS, Kind.ORDER: ORDERS, Kind.INVOICE: BILLING}


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail; its number says which."""

    number: int
    kind: Kind
    recipients: tuple[str, ...]

    @property
    def sender(self) -> str:
        """In the envelope and in From."""
        return SENDERS[self.kind]

    @property
    def is_outside(self) -> bool:
        """Do its recipients count for the tenant's limit?"""
        return not self.recipients[0].endswith(f"@{DOMAIN}")


@dataclass(frozen=True, slots=True)
class Plan:
    """All mails, and how many of the newsletters to the outside there is room for."""

    mails: tuple[Mail, ...]
    outside_that_leave: int
    outside_newsletters: frozenset[int]
    """Numbers of the newsletters to the outside, some of which must wait."""
    denied: frozenset[int]
    """Numbers of the mails whose sender the mailbox may not use."""

    def of(self, *kinds: Kind) -> list[Mail]:
        """The mails of these kinds."""
        return [mail for mail in self.mails if mail.kind in kinds]

    @property
    def outside_that_wait(self) -> int:
        """Newsletters beyond the tenant's limit."""
        return len(self.outside_newsletters) - self.outside_that_leave

    @property
    def leave(self) -> int:
        """Mails that arrive today."""
        return len(self.mails) - len(self.denied) - self.outside_that_wait

    @property
    def minutes(self) -> float:
        """How long the pool needs at its limits, by the tenant's clock."""
        of_pool = len(self.of(Kind.NEWSLETTER, Kind.RESET)) - self.outside_that_wait
        return of_pool / (A_MINUTE * len(MAILERS))


def plan(newsletters: int) -> Plan:
    """A campaign of so many mails, an eighth of them to the outside, and what else happens that day."""
    if newsletters < FEWEST:
        raise ValueError(f"a campaign has {FEWEST} mails at least")
    outside = newsletters // 8
    # Half as many again as the tenant may send to.
    each = -(-OUTSIDE_A_DAY * 3 // (2 * outside))
    for_bulk = OUTSIDE_A_DAY - headroom(OUTSIDE_A_DAY)
    resets = max(4, newsletters // 24)
    # So many that it makes no difference whether they go before the campaign's or after.
    resets_outside = min(resets // 2, headroom(OUTSIDE_A_DAY), for_bulk % each)
    drafts = [
        *_newsletters(newsletters, outside, each),
        *((Kind.RESET, (_address(i, is_outside=i < resets_outside),)) for i in range(resets)),
        *((Kind.ORDER, (_address(i),)) for i in range(max(4, newsletters // 24))),
        *((Kind.INVOICE, (_address(i),)) for i in range(max(4, newsletters // 40))),
    ]
    mails = tuple(Mail(number, kind, to) for number, (kind, to) in enumerate(drafts))
    newsletters_outside = (mail for mail in mails if mail.kind is Kind.NEWSLETTER and mail.is_outside)
    return Plan(
        mails,
        min(outside, for_bulk // each),
        frozenset(mail.number for mail in newsletters_outside),
        frozenset(mail.number for mail in mails if mail.kind is Kind.INVOICE),
    )


def _newsletters(count: int, outside: int, each: int) -> Iterator[tuple[Kind, tuple[str, ...]]]:
    step = count // outside
    for i in range(count):
        group, place = divmod(i, step)
        if place == 0 and group < outside:
            recipients = tuple(_address(group * each + j, is_outside=True) for j in range(each))
            yield Kind.NEWSLETTER, recipients
        else:
            yield Kind.NEWSLETTER, (_address(i),)


def _address(number: int, *, is_outside: bool = False) -> str:
    return f"customer{number}@fabrikam.example" if is_outside else f"employee{number}@{DOMAIN}"
