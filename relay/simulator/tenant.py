"""The tenant's state: accounts with their windows, sessions and troubles; who is inside.

Pure: time is an argument. The services (`submission`, `high_volume`, `mx`) decide
with what stands here; what they decided they book here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from relay.m365.limit import terrl
from relay.simulator import texts
from relay.simulator.mail import domain_of, folded
from relay.simulator.options import LimitsTable, MailboxTable, TenantTable
from relay.simulator.window import Window


class Trouble(Enum):
    """Errors whose repetition blocks a mailbox: the last number of the reply, and its words."""

    MAILBOX_FULL = (251, "mailbox full")
    SEND_AS = (252, "send as denied")
    LICENCE = (253, "invalid license")
    TOO_MANY_RECIPIENTS = (254, "too many recipients")
    INVALID_RECIPIENT = (255, "invalid recipient")


@dataclass(eq=False, slots=True)
class Visit:
    """What is known of one session's client."""

    client: str
    session_id: str
    began: float
    certificate_names: tuple[str, ...] = ()
    """CN and SAN names of a client certificate that the CA signed."""
    account: "Account | None" = None
    token_ends: float = float("inf")
    """When the token it logged in with expires."""


class Account:
    """One mailbox."""

    def __init__(self, options: MailboxTable, limits: LimitsTable) -> None:
        self.address = options.address
        self.change(options)
        self.visits: list[Visit] = []
        """Its sessions, in order of login."""
        self.peak_sessions = 0
        self.accepted = 0
        self.refused = 0
        self.messages = Window(limits.messages, limits.messages_per)
        self.recipients = Window(limits.recipients, limits.recipients_per)
        self._limits = limits
        self._errors = {each: Window(limits.errors_before_block, limits.block) for each in Trouble}
        self._blocked_until: dict[Trouble, float] = {}

    def change(self, options: MailboxTable) -> None:
        """The administrator has changed it; windows, sessions and blocks stay."""
        self.options = options
        self._identities = {folded(each.encode()) for each in (options.address, *options.send_as)}

    def may_send_as(self, address: bytes) -> bool:
        """Its own address, or one it was granted SendAs on."""
        return folded(address) in self._identities

    def enter(self, visit: Visit) -> None:
        """A session has logged in."""
        visit.account = self
        self.visits.append(visit)
        self.peak_sessions = max(self.peak_sessions, len(self.visits))

    def is_beyond(self, visit: Visit) -> bool:
        """Are as many sessions as are allowed older than this one?"""
        allowed = self._limits.connections
        return bool(allowed) and len(self.visits) > allowed and visit not in self.visits[:allowed]

    def err(self, trouble: Trouble, now: float) -> None:
        """Count an error; the one that fills the measure blocks the mailbox."""
        errors = self._errors[trouble]
        errors.add(now)
        if errors.limit and errors.count(now) >= errors.limit:
            self._blocked_until[trouble] = now + self._limits.block

    def block(self, now: float) -> bytes | None:
        """The reply as long as the mailbox is blocked."""
        for trouble, until in self._blocked_until.items():
            if now < until:
                return texts.throttled(*trouble.value)
        return None


@dataclass(slots=True)
class Tenant:
    """All accounts, and what they share."""

    options: TenantTable
    limits: LimitsTable
    mailboxes: Sequence[MailboxTable]
    accounts: dict[bytes, Account] = field(init=False)
    external: Window = field(init=False)
    """Recipients outside, of all senders."""
    _domains: frozenset[bytes] = field(init=False)
    _missing: frozenset[bytes] = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self.accounts = {folded(each.address.encode()): Account(each, limits) for each in self.mailboxes}
        allowed = limits.external_recipients
        self.external = Window(
            terrl(limits.licences) if allowed is None else allowed, limits.external_recipients_per
        )
        self._domains = frozenset(domain.lower().encode() for domain in self.options.domains)
        self._missing = frozenset(folded(address.encode()) for address in self.options.missing)

    def is_accepted_domain(self, domain: bytes) -> bool:
        """`domain` in lower case."""
        return domain in self._domains

    def is_inside(self, address: bytes) -> bool:
        """An address of an accepted domain; `postmaster` alone is ours too."""
        return b"@" not in address or domain_of(address) in self._domains

    def is_missing(self, address: bytes) -> bool:
        """Nobody has this address, though its domain is ours."""
        return bool(self._missing) and folded(address) in self._missing

    def leave(self, visit: Visit) -> None:
        """The session is over."""
        if visit.account is not None:
            visit.account.visits.remove(visit)
