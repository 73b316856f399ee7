"""A client: a name, how it proves that it is the one, and what it may do.

Plain data; `relay.config` builds it, `relay.identity.directory` finds the one who came.
"""

from dataclasses import dataclass

from relay.budget.ring import Quota
from relay.message.priority import Priority
from relay.smtp.scram import Verifier

INSIDE = "inside"
"""Among recipients: all of the tenant's."""


@dataclass(frozen=True, slots=True)
class Password:
    """A password that is good, as far as we keep it."""

    hash: str
    """Argon2id, as a PHC string."""
    scram: Verifier | None = None
    """For SCRAM-SHA-256; a hash alone cannot serve it."""
    until: float | None = None
    """Good until then, seconds since the epoch; None: until it is replaced."""

    def __repr__(self) -> str:
        return f"Password(until={self.until}, …)"

    def is_good(self, now: float) -> bool:
        """Does it open the door now?"""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Policy:
    """What a client may do. None: nothing is ruled about it."""

    senders: tuple[str, ...] | None = None
    """Envelope senders, written as in routes: an address, a domain, `*.domain`, `<>` for the null sender."""
    authors: tuple[str, ...] | None = None
    """Addresses in the header's From, written alike."""
    recipients: tuple[str, ...] | None = None
    """To whom, written alike; `inside` stands for all of the tenant's."""
    routes: tuple[str, ...] | None = None
    """Names of the routes its mail may take."""
    priority: Priority | None = None
    """Of a mail that asks for none; None: the listener's."""
    priority_max: Priority = Priority.HIGH
    """The highest that a mail may have; the listener's counts too."""
    message_bytes: int = 0
    """The largest mail; 0: as for everybody."""
    recipients_per_message: int = 0
    """0: as for everybody."""
    connections: int = 0
    """Sessions at once that send, over all receivers; 0: as for everybody."""
    quotas: tuple[Quota, ...] = ()
    """How much in which time, over all receivers."""
    weight: int = 1
    """Turns that its mail takes in the queue where others take one."""
    campaign: str = ""
    """Of a mail that names none."""


ANYTHING = Policy()


@dataclass(frozen=True, slots=True)
class Client:
    """One `[[client]]`; each of its ways in is enough."""

    name: str
    username: str = ""
    """For AUTH; empty: it has no password."""
    passwords: tuple[Password, ...] = ()
    """The newest first."""
    certificates: tuple[str, ...] = ()
    """Names (DNS or e-mail) or SHA-256 fingerprints, lower case, of certificates of its own."""
    networks: tuple[str, ...] = ()
    """In CIDR form."""
    policy: Policy = ANYTHING
    is_disabled: bool = False
    """It is known, and let in nowhere."""
    oauth_app: str = ""
    """Client id of its application, lower case, whose tokens log it in; empty: none do."""
    oauth_users: tuple[str, ...] = ()
    """Object ids, lower case: tokens that the application has for one of these users; none: those for itself."""


@dataclass(frozen=True, slots=True)
class Clients:
    """All of them."""

    clients: tuple[Client, ...] = ()
    seed: str = ""
    """Secret, and the same over restarts: what is made up for names that nobody has must not change, or it would tell."""

    def bounds(self) -> dict[str, tuple[str, ...]]:
        """The routes of those who are held to some, by their names."""
        return {each.name: each.policy.routes for each in self.clients if each.policy.routes is not None}

    def weights(self) -> dict[str, int]:
        """Those that weigh more than others, by their names."""
        return {each.name: each.policy.weight for each in self.clients if each.policy.weight != 1}

    def __repr__(self) -> str:
        return f"Clients({len(self.clients)})"
