"""Events of what administrators order: actions on mail, suspensions, the control socket."""

from relay.trace.event_kind import Kind, Level


class Steered(Kind, frozen=True):
    """An order of somebody's was carried out on a mail: it was held, released, retried, cancelled, rebound."""

    id: str
    do: str
    recipients: tuple[str, ...]
    by: str
    reason: str = ""
    delivered: int = 0
    """To so many of them it was delivered before the order could hold: it was under way."""
    level: Level = "info"


class Commanded(Kind, frozen=True):
    """Somebody wants something of the deliverer that changes something; what came of it follows."""

    do: str
    by: str
    uid: int
    pid: int
    detail: str
    """Which mails, or what is stopped or goes on."""
    level: Level = "info"


class CommandEnded(Kind, frozen=True):
    """What came of it."""

    do: str
    by: str
    uid: int
    pid: int
    detail: str
    selected: int
    changed: int
    under_way: int
    failed: int
    problem: str
    """Why not all was done; empty: it was."""
    seconds: float
    level: Level = "info"


class ControlUnavailable(Kind, frozen=True):
    """There is no control socket: no command reaches the deliverer. Mail flows."""

    reason: str
    level: Level = "error"


class Suspended(Kind, frozen=True):
    """Somebody has stopped a route, a mailbox, a campaign or a domain; its mail waits."""

    kind: str
    name: str
    by: str
    reason: str
    until: float
    """Seconds since the epoch, when it goes on by itself; 0: when somebody says so."""
    level: Level = "warning"


class Resumed(Kind, frozen=True):
    """It goes on."""

    kind: str
    name: str
    by: str
    """Who said so; empty: its time had come."""
    seconds: float
    """How long it was suspended."""
    level: Level = "info"
