"""What becomes of a login, and what the trace is told of it."""

from collections.abc import Callable

from msgspec import UNSET, Struct

from relay.identity.client import Client
from relay.smtp import bearer
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import WRONG, Login
from relay.trace.event import Level, LoginFailed, LoginSucceeded

BUSY = Reply(454, "4.7.0", "Too many logins just now; try again later")
WELCOME = Reply(235, "2.7.0", "Welcome")


class Granted(Struct, frozen=True):
    """It is this client."""

    client: Client
    is_cached: bool = False


class Refused(Struct, frozen=True):
    """It is nobody, or nobody knows."""

    reason: str
    """One of a few, such as `unknown user`, `wrong password`, `disabled`, `busy`; docs/operations.md lists them."""
    reply: Reply = WRONG
    about: str = ""
    """Whose a token is that was verified."""


Verdict = Granted | Refused
Done = Callable[[Verdict], None]


def braked_name(login: Login, address: str) -> str:
    """By which name a login counts for the brakes. A token cannot be guessed, and its name is mostly left out: many
    addresses that fail without one must not slow down all others without one, so it counts for its address."""
    return address if login.mechanism in bearer.NAMES else login.username


def login_event(
    login: Login, verdict: Verdict, address: str, listener: str, shown: Callable[[str], str]
) -> LoginSucceeded | LoginFailed:
    """What the trace is told of a login; `shown` says what of a name may be written down."""
    if isinstance(verdict, Granted):
        level: Level = "debug" if verdict.is_cached else "info"
        return LoginSucceeded(address, listener, verdict.client.name, login.mechanism, level)
    name = shown(login.username)
    return LoginFailed(address, listener, name, login.mechanism, verdict.reason, verdict.about or UNSET)
