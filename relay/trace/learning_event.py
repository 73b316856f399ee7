"""Events of the learning mode, and of the record of who was seen."""

from relay.trace.event_kind import Kind, Level


class LearningBegan(Kind, frozen=True):
    """Unknown devices are let in: said at each start and reload as long as it is so."""

    networks: tuple[str, ...]
    route: str
    until: str
    """Date and time, UTC."""
    at: float
    """The same, seconds since the epoch."""
    level: Level = "warning"


class LearningEnded(Kind, frozen=True):
    """The time is up: no unknown device is let in any more, whatever the configuration still says."""

    networks: tuple[str, ...]
    until: str
    level: Level = "warning"


class DeviceAdmitted(Kind, frozen=True):
    """An unknown device sends for the first time, and may."""

    client: str
    listener: str
    account: str
    route: str
    level: Level = "warning"


class DeviceRefused(Kind, frozen=True):
    """An unknown device inside the networks may not send after all; told once for each."""

    client: str
    listener: str
    reason: str
    """full, over."""
    level: Level = "warning"


class SeenTrouble(Kind, frozen=True):
    """Who was seen cannot be written down; mail goes on. Told once until it can."""

    reason: str
    level: Level = "error"


class SeenDropped(Kind, frozen=True):
    """So many sightings are missing in the record: too many at once, or its disk failed."""

    sightings: int
    level: Level = "warning"
