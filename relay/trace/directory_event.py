"""Events of the tenant's directory, from which the list of recipients is made."""

from relay.trace.event_kind import Kind, Level


class DirectoryRead(Kind, frozen=True):
    """The tenant's directory was read, and the list of its addresses written."""

    addresses: int
    seconds: float
    level: Level = "info"


class DirectoryUnavailable(Kind, frozen=True):
    """It could not be; told once for each reason. The list before stays in force until it is too old."""

    reason: str
    age_seconds: float
    """Of the list there is; -1: there is none."""
    level: Level = "warning"


class RecipientsRead(Kind, frozen=True):
    """The list of the tenant's recipients was read, or could not be: then the one before stays in force."""

    path: str
    recipients: int
    """Lines in force; 0: nobody is refused."""
    reason: str = ""
    """What is wrong."""
    level: Level = "info"
