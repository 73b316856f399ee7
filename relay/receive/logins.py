"""Who logs in, in one receiver: a `Login` of the protocol → the client, or the reply that refuses it.

The reply is the same whatever is wrong, and the work too: a name that nobody has is
checked against a decoy. What was wrong is told to the log alone.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence

from msgspec import Struct

from relay.clock import Clock
from relay.identity.client import Client
from relay.identity.directory import Directory
from relay.identity.password import Entropy, matches
from relay.receive.login_cache import KEY_BYTES, LoginCache
from relay.receive.options import Limits
from relay.receive.password_thread import Matches, PasswordThread
from relay.smtp import scram
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import LOGIN, PLAIN, WRONG, Login
from relay.smtp.scram import Verifier
from relay.trace.event import Level, LoginFailed, LoginSucceeded

NONCE_BYTES = 18
BUSY = Reply(454, "4.7.0", "Too many logins just now; try again later")


class Granted(Struct, frozen=True):
    """It is this client."""

    client: Client
    is_cached: bool = False


class Refused(Struct, frozen=True):
    """It is nobody, or nobody knows."""

    reason: str
    """One of a few: `unknown user`, `wrong password`, `disabled`, `busy`."""
    reply: Reply = WRONG


Verdict = Granted | Refused
Done = Callable[[Verdict], None]


WELCOME = Reply(235, "2.7.0", "Welcome")
USERNAME_SHOWN_MAX = 64


def login_event(login: Login, verdict: Verdict, address: str, listener: str) -> LoginSucceeded | LoginFailed:
    """What the trace is told of a login."""
    if isinstance(verdict, Granted):
        level: Level = "debug" if verdict.is_cached else "info"
        return LoginSucceeded(address, listener, verdict.client.name, login.mechanism, level)
    shown = login.username[:USERNAME_SHOWN_MAX].encode("unicode_escape").decode()
    return LoginFailed(address, listener, shown, login.mechanism, verdict.reason)


class Logins:
    """One a receiver; `smtp.sasl_server.Doorkeeper` for its sessions."""

    def __init__(
        self,
        directory: Directory,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        entropy: Entropy,
        matches: Matches = matches,
    ) -> None:
        self._directory = directory
        self._loop = loop
        self._clock = clock
        self._entropy = entropy
        self._cache = LoginCache(entropy(KEY_BYTES), limits.logins_remembered, limits.login_remembered_s)
        self._thread = PasswordThread(loop, matches, limits.logins_waiting)
        self._under_way: dict[bytes, list[Done]] = {}
        names = (scram.NAME,) if directory.has_scram else ()
        self.mechanisms: Sequence[str] = (*names, PLAIN, LOGIN)

    def verifiers(self, username: str) -> Sequence[Verifier]:
        """For SCRAM."""
        return self._directory.verifiers(username, self._clock.now())

    def nonce(self) -> str:
        """Never the same again."""
        return base64.b64encode(self._entropy(NONCE_BYTES)).decode()

    def judge(self, login: Login, address: str, done: Done) -> Verdict | None:
        """Who it is; None: that takes a while, and `done` is called in the loop."""
        if login.mechanism == scram.NAME:
            return self._known(login.username, login.is_proved)
        key = self._cache.key(login.username, login.password)
        client = self._cache.get(key, self._clock.monotonic())
        if client is not None:
            return Granted(client, is_cached=True)
        # An application that opens a hundred connections at once is checked once.
        if key in self._under_way:
            self._under_way[key].append(done)
            return None
        now = self._clock.now()
        words = self._directory.passwords(login.username, now)

        def checked(index: int | None) -> None:
            verdict = self._known(login.username, index is not None and bool(login.password))
            if isinstance(verdict, Granted) and index is not None:
                until = words[index].until
                good_for_s = float("inf") if until is None else until - now
                self._cache.put(key, verdict.client, self._clock.monotonic(), good_for_s)
            self._tell(self._under_way.pop(key), verdict)

        hashes = [word.hash for word in words]
        if not self._thread.submit(hashes, login.password, address, checked):
            return Refused("busy", BUSY)
        self._under_way[key] = [done]
        return None

    def close(self) -> None:
        """Nobody comes any more."""
        self._thread.close()

    def _tell(self, waiting: Sequence[Done], verdict: Verdict) -> None:
        for done in waiting:
            try:
                done(verdict)
            except Exception as problem:
                # One session's fault must not leave the others without their answer.
                self._loop.call_exception_handler({"message": "a login was judged", "exception": problem})

    def _known(self, username: str, is_proved: bool) -> Verdict:
        client = self._directory.by_username(username)
        if client is None:
            return Refused("unknown user")
        if not is_proved:
            return Refused("wrong password")
        return Refused("disabled") if client.is_disabled else Granted(client)
