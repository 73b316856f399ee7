"""Events in the life of the relay's processes, and of the configuration they follow."""

from relay.trace.event_kind import Kind, Level


class ProcessStarted(Kind, frozen=True):
    """A process of the relay is at work."""

    role: str
    detail: str = ""
    level: Level = "info"


class ProcessEnded(Kind, frozen=True):
    """A child process ended; `restart_in` is negative when it will not be started again."""

    role: str
    status: int
    restart_in: float
    level: Level = "warning"


class Ready(Kind, frozen=True):
    """The relay accepts mail on these addresses."""

    listeners: tuple[str, ...]
    level: Level = "info"


class Draining(Kind, frozen=True):
    """The process was told to end: it accepts nothing new and finishes what is in flight."""

    role: str
    level: Level = "info"


class ConfigurationRead(Kind, frozen=True):
    """The configuration is in force."""

    path: str
    warnings: tuple[str, ...] = ()
    level: Level = "info"


class ConfigurationRefused(Kind, frozen=True):
    """A new configuration is wrong; the old one stays in force."""

    path: str
    problems: tuple[str, ...]
    level: Level = "error"


class Waiting(Kind, frozen=True):
    """A process cannot begin yet."""

    role: str
    reason: str
    level: Level = "warning"


class ProcessFailed(Kind, frozen=True):
    """A process ends because of this."""

    role: str
    reason: str
    level: Level = "error"


class Fault(Kind, frozen=True):
    """A fault of this program, with its trail; what it was about to do was not done."""

    role: str
    reason: str
    level: Level = "error"
