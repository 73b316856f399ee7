"""Events of the spool and its disk."""

from relay.trace.event_kind import Kind, Level


class SpoolRefusing(Kind, frozen=True):
    """The spool takes no new mail; clients get 452 until SpoolAccepting."""

    reason: str
    level: Level = "error"


class SpoolAccepting(Kind, frozen=True):
    """The spool takes mail again."""

    level: Level = "info"


class SpoolTrouble(Kind, frozen=True):
    """A commit failed; every mail in it was answered with 4xx."""

    reason: str
    mails: int
    level: Level = "error"


class Committed(Kind, frozen=True):
    """One durable commit."""

    changes: int
    size: int
    seconds: float
    level: Level = "debug"


class RecordQuarantined(Kind, frozen=True):
    """A damaged spool record was moved aside with its reason."""

    table: str
    id: str
    reason: str
    level: Level = "error"
