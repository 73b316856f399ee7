"""A row of the reply catalogue: how a reply is known, what it means, what is to be done.

The scope says *what* is in trouble, the action *what becomes of it*: `RetryLater` with
the scope SENDER pauses a mailbox, with TENANT_EXTERNAL all mail that leaves the tenant.
So few actions carry the whole table, and no action names a thing that may stop.
"""

from dataclasses import dataclass
from enum import Enum

READ_ON = "2026-11-23"
"""When the sources were read last, for rows that say nothing else."""


class Certainty(Enum):
    """How a fact is known. None was probed on the wire by us."""

    PRIMARY = "P"
    """Microsoft's own text."""
    PRESS = "B"
    """Blogs and vendors only."""
    LOG = "L"
    """Seen in public logs and code of third parties."""
    DERIVED = "D"
    """A default or constant of Exchange Server, the same code family; not promised for the service."""
    MEMORY = "M"
    """Not confirmed by a source."""
    CONFLICT = "C"
    """Sources say different things."""


class Scope(Enum):
    """What a reply speaks of."""

    CONNECTION = "connection"
    MESSAGE = "message"
    RECIPIENT = "recipient"
    SENDER = "sender"
    """The mailbox or credential the session has logged in with."""
    SENDER_AS = "sender as"
    """That mailbox together with one From address."""
    SENDER_DOMAIN = "sender domain"
    ROUTE = "route"
    """The connector, or the settings all mail of a route shares."""
    SOURCE_ADDRESS = "source address"
    FOREST = "forest"
    """Microsoft's servers behind one MX address, shared with other tenants."""
    TENANT = "tenant"
    TENANT_EXTERNAL = "tenant, external"
    """All mail of the tenant to recipients outside of it."""


class Stage(Enum):
    """What a reply answered."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    """The final dot, or the last chunk."""
    REPORT = "report"
    """Not a session: a non-delivery report that came after the mail had been taken."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The scope rests for a time between the two, then goes on by itself."""

    after_min_s: int
    after_max_s: int


@dataclass(frozen=True, slots=True)
class ReduceConnections:
    """As RetryLater, and fewer connections from then on."""

    after_min_s: int
    after_max_s: int


@dataclass(frozen=True, slots=True)
class ReduceRate:
    """As RetryLater, and slower from then on."""

    after_min_s: int
    after_max_s: int


@dataclass(frozen=True, slots=True)
class LogInAgain:
    """Once, with a fresh token where there are tokens; refused again, as OpenBreaker."""

    probe_every_s: int


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """The scope stops and its mail waits; somebody must act. One mail tries in each interval."""

    probe_every_s: int


@dataclass(frozen=True, slots=True)
class Stop:
    """As OpenBreaker, but without a probe: each further try makes it worse. The administrator lets it go on."""


@dataclass(frozen=True, slots=True)
class UseIpv4:
    """Again at once, over IPv4."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Nobody has failed: the recipients that are left go at once in another envelope."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Final for the recipient, or for the whole mail, as the scope says."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The mail is kept for the administrator: neither trying again nor a bounce would be right."""


@dataclass(frozen=True, slots=True)
class Note:
    """Nothing for the relay to do."""


Action = (
    RetryLater
    | ReduceConnections
    | ReduceRate
    | LogInAgain
    | OpenBreaker
    | Stop
    | UseIpv4
    | Requeue
    | Fail
    | Hold
    | Note
)


@dataclass(frozen=True, slots=True)
class Row:
    """One known reply.

    It is known by all of code, enhanced code, text and stage; what is empty, matches all.
    """

    name: str
    sample: str
    """A reply as servers send it; only the codes where no source has the text."""
    codes: tuple[int, ...]
    enhanced: tuple[str, ...]
    """Exact (`5.7.139`), or a range of the last number, both ends in it (`4.7.500-699`)."""
    texts: tuple[str, ...]
    """Parts of the text, any of them, in any case."""
    scope: Scope
    action: Action
    meaning: str
    advice: str
    """The administrator's next step."""
    source: str
    certainty: Certainty
    stages: tuple[Stage, ...] = ()
    narrower: Scope | None = None
    """What it may be about instead: one reply alone cannot tell, several in a row speak of `scope`."""
    date: str = READ_ON

    @property
    def needs_somebody(self) -> bool:
        """It does not pass by itself: an administrator must act."""
        return isinstance(self.action, OpenBreaker | LogInAgain | Stop)
