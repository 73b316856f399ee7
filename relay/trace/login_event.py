"""Events of logins by clients."""

from msgspec import UNSET, UnsetType

from relay.trace.event_kind import Kind, Level


class LoginSucceeded(Kind, frozen=True):
    """A client logged in; told at debug when it has done so a moment ago."""

    client: str
    listener: str
    account: str
    mechanism: str
    level: Level = "info"


class LoginFailed(Kind, frozen=True):
    """Somebody did not get in."""

    client: str
    listener: str
    username: str
    """A client's, as given; a keyed hash of any other: it may be a password in the wrong place."""
    mechanism: str
    reason: str
    about: str | UnsetType = UNSET
    """Whose a token is, once its signature has been verified."""
    level: Level = "warning"
