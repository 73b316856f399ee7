"""A situation: all that is needed to say when mail will leave, at one moment.

Who may send and how fast, how the limits stand, and what waits. It is put together where
the queue is (`relay.deliver.outlook`) or from the disk while no relay runs, travels as
JSON, and is walked through wherever somebody asks (`relay.queue.forecast`). Times are
seconds from its moment.
"""

from msgspec import Struct

from relay.budget.limit import Unit
from relay.budget.standing import Standing
from relay.route.hours import Hours

ASSUMED_S = 0.5
"""What a mail takes on a connection while none was measured: Microsoft's servers take 0.3 to 1 s."""


class Sender(Struct, frozen=True, omit_defaults=True):
    """One login of a route, or a route without any."""

    route: str
    identity: str
    """The mailbox; empty where nobody logs in."""
    standings: tuple[int, ...] = ()
    """The limits that its mail is charged to, by their place in the situation."""
    connections: int = 1
    """At once, as the route, the mailbox and what was learnt allow."""
    seconds: float = ASSUMED_S
    """That a mail takes on one of them."""
    every_s: float = 0.0
    """Between two ends while only connections held it back; 0: nobody has seen that yet."""
    is_measured: bool = False
    closed_s: float = 0.0
    """Nothing leaves before."""
    stopped_for_good: bool = False
    """Nothing leaves until somebody has acted."""
    stopped: str = ""
    """Why nothing leaves now."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.identity} ({self.route})" if self.identity else self.route

    @property
    def rate(self) -> float:
        """Mails a second, where no limit holds."""
        return 1.0 / self.every_s if self.every_s else self.connections / self.seconds


class Kind(Struct, frozen=True):
    """What one mail takes, in the mean."""

    recipients: float = 1.0
    external: float = 1.0
    """Of these outside the tenant."""
    size: float = 20_000.0

    def takes(self, unit: Unit) -> float:
        """Of a limit in that unit."""
        match unit:
            case Unit.RECIPIENTS:
                return self.recipients
            case Unit.EXTERNAL_RECIPIENTS:
                return self.external
            case Unit.BYTES:
                return self.size
        return 1.0


class Backlog(Struct, frozen=True, omit_defaults=True):
    """Mail of one priority that waits for the same senders."""

    senders: tuple[int, ...]
    """Any of which may send it, by their place in the situation."""
    priority: int
    mails: float
    kind: Kind = Kind()
    from_s: float = 0.0
    """It does not leave before."""
    client: str = ""
    """Whose it is: clients of a lane take turns."""
    weight: int = 1
    campaign: str = ""
    """Campaigns of a client take turns; of one the oldest mail goes first."""
    campaign_weight: int = 1
    hours: tuple[Hours, ...] = ()
    """It leaves in these only; none: at any time."""


class Aside(Struct, frozen=True, omit_defaults=True):
    """Something that holds back some mail, whoever sends it."""

    what: str
    """campaign, sender-domain or outside."""
    name: str
    reason: str
    until_s: float | None = None
    """None: until somebody has acted."""


class Situation(Struct, frozen=True, omit_defaults=True):
    """Of one relay."""

    at: float
    """Seconds since the epoch."""
    senders: tuple[Sender, ...]
    standings: tuple[Standing, ...] = ()
    backlogs: tuple[Backlog, ...] = ()
    asides: tuple[Aside, ...] = ()
    notes: tuple[str, ...] = ()
    """What is assumed, for people."""

    def senders_of(self, route: str, identities: tuple[str, ...]) -> tuple[int, ...]:
        """Those of a route with these mailboxes, by their place."""
        wanted = {identity.lower() for identity in identities}
        return tuple(
            index
            for index, sender in enumerate(self.senders)
            if sender.route == route and sender.identity.lower() in wanted
        )


class Errand(Struct, frozen=True, omit_defaults=True):
    """Mail of which is asked when it will have left: it comes behind what waits of its client and campaign."""

    senders: tuple[int, ...]
    priority: int
    mails: float
    kind: Kind = Kind()
    from_s: float = 0.0
    stopped: str = ""
    """Why none of it leaves, whoever sends it: its campaign is suspended."""
    stopped_for_good: bool = False
    client: str = ""
    weight: int = 1
    campaign: str = ""
    campaign_weight: int = 1
    hours: tuple[Hours, ...] = ()


class Stretch(Struct, frozen=True):
    """A time in which the same thing holds it up."""

    begin_s: float
    end_s: float
    mails: float
    """Of those that are asked for, that leave in it."""
    limit: str
    """For people."""
    standing: int = -1
    """Which limit, by its place in the situation; -1: none."""


class Forecast(Struct, frozen=True, omit_defaults=True):
    """What is to be expected."""

    done_s: float | None
    """When the last of it has left; None: nobody knows, `trouble` says why."""
    first_s: float | None = None
    """When the first of it leaves."""
    stretches: tuple[Stretch, ...] = ()
    trouble: str = ""
