"""Who logs in, in one receiver: a `Login` of the protocol → the client, or the reply that refuses it. Of tokens, `token_logins`.

The reply is the same whatever is wrong, and the work too: a name that nobody has is
checked against a decoy. What was wrong is told to the log alone.
"""

import asyncio
import base64
from collections.abc import Sequence

from relay.clock import Clock
from relay.identity.directory import Directory
from relay.identity.password import Entropy, matches
from relay.receive.login_cache import KEY_BYTES, LoginCache
from relay.receive.options import Limits
from relay.receive.password_thread import Matches, PasswordThread
from relay.receive.token_logins import TokenLogins
from relay.receive.verdict import BUSY, Done, Granted, Refused, Verdict
from relay.smtp import bearer, scram
from relay.smtp.sasl_server import LOGIN, PLAIN, Login
from relay.smtp.scram import Verifier

NONCE_BYTES = 18


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
        tokens: TokenLogins | None = None,
    ) -> None:
        """`tokens` None: none are taken."""
        self._directory = directory
        self._loop = loop
        self._clock = clock
        self._entropy = entropy
        self._cache = LoginCache(entropy(KEY_BYTES), limits.logins_remembered, limits.login_remembered_s)
        self._thread = PasswordThread(loop, matches, limits.logins_waiting)
        self._under_way: dict[bytes, list[Done]] = {}
        names = (scram.NAME,) if directory.has_scram else ()
        # Last: a client that takes the first one it knows may have a password only.
        by_token = () if tokens is None else (bearer.OAUTHBEARER, bearer.XOAUTH2)
        self.mechanisms: Sequence[str] = (*names, PLAIN, LOGIN, *by_token)
        self._tokens = tokens

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
        if self._tokens is not None and login.mechanism in bearer.NAMES:
            return self._tokens.judge(login, done)
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
