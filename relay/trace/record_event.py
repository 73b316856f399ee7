"""Events of the records themselves: log, history and audit log."""

from relay.trace.event_kind import Kind, Level


class HistoryDropped(Kind, frozen=True):
    """The history's disk was too slow, or failed: so many steps are missing there; mail went on."""

    steps: int
    reason: str
    level: Level = "warning"


class HistoryMovedAside(Kind, frozen=True):
    """The history's file was damaged or gone: a new one was begun."""

    path: str
    aside: str
    """Where the damaged one is now; empty when it was gone."""
    reason: str
    level: Level = "error"


class AuditTrouble(Kind, frozen=True):
    """The audit log cannot be written; mail goes on, and rows wait for it within a bound. Told once until it can."""

    reason: str
    waiting: int
    """Rows."""
    level: Level = "error"


class AuditHead(Kind, frozen=True):
    """Where the audit log's chain stands: known here too, an end that is cut off shows."""

    seq: int
    hash: str
    level: Level = "info"


class HistoryErased(Kind, frozen=True):
    """Somebody erased a person from the history (`trace erase`)."""

    by: str
    """Which user of this machine."""
    person: str
    """A keyed hash of the address: the log is not to keep what the history forgot."""
    mails: int
    steps: int
    level: Level = "warning"


class HistorySize(Kind, frozen=True):
    """How much the history holds, sampled for the metrics."""

    rows: int
    size: int
    level: Level = "debug"


class LogDropped(Kind, frozen=True):
    """The log's reader was too slow: so many lines are missing here."""

    lines: int
    level: Level = "warning"
