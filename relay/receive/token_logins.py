"""Who logs in with a token, in one receiver: a `Login` of OAUTHBEARER or XOAUTH2 → the client, or the reply that refuses it.

A token is verified in the loop: PyJWT and OpenSSL take 0.06 to 0.13 ms for one of 1 to 3 KB,
a third of what the handshake took that came before, and half of it Python, for which a
thread would want the interpreter too. Who tries many is braked as who guesses passwords.
One that was good is remembered (3 µs), no longer than it lives. Only where its key is not
known does it wait, for the authority.

What a client is told is the same whatever is wrong; what was wrong is told to the log.
"""

import asyncio
from collections.abc import Callable

from relay.clock import Clock
from relay.identity.bearer import Claims, Inbound, Seen, claims_of, fault, peek
from relay.identity.client import Client
from relay.identity.directory import Directory
from relay.identity.issuer_cache import IssuerCache
from relay.receive.login_cache import LoginCache
from relay.receive.sender_rule import judge_sender
from relay.receive.verdict import BUSY, Done, Granted, Refused, Verdict
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import WRONG_TOKEN, Login

NO_KEYS = Reply(454, "4.7.0", "Tokens cannot be verified just now; try again later")


class TokenLogins:
    """One a receiver that has `[oauth_inbound]`."""

    def __init__(
        self,
        inbound: Inbound,
        directory: Directory,
        issuers: IssuerCache,
        cache: LoginCache,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self._inbound = inbound
        self._directory = directory
        self._issuers = issuers
        self._cache = cache
        self._loop = loop
        self._clock = clock

    def judge(self, login: Login, done: Done) -> Verdict | None:
        """Who it is; None: the authority is asked first, and `done` is called in the loop."""
        key = self._cache.key(login.username, login.password)
        client = self._cache.get(key, self._clock.monotonic())
        if client is not None:
            return Granted(client, is_cached=True)
        seen = peek(login.password)
        if seen is None:
            return _refused("malformed token")
        verdict = self._judge(login, key, seen)
        if verdict is not None:
            return verdict
        if self._issuers.ask(self._answering(login, key, seen, done)):
            return None
        return self._unknown()

    def look(self) -> None:
        """Now and then: fetch keys ahead of need."""
        self._issuers.look()

    async def close(self) -> None:
        """Nobody comes any more."""
        await self._issuers.close()

    def _answering(self, login: Login, key: bytes, seen: Seen, done: Done) -> Callable[[], None]:
        def answer() -> None:
            try:
                done(self._judge(login, key, seen) or self._unknown())
            except Exception as problem:
                # One session's fault must not leave the others without their answer.
                self._loop.call_exception_handler({"message": "a token was judged", "exception": problem})

        return answer

    def _judge(self, login: Login, key: bytes, seen: Seen) -> Verdict | None:
        """None: it says that a key has signed it which is not known."""
        known = self._issuers.known
        if known is None:
            return None
        if seen.issuer not in known.names:
            return _refused("wrong issuer")
        public = known.keys.get((seen.issuer, seen.key_id))
        if public is None:
            return None
        payload = public.payload(login.password)
        if payload is None:
            return _refused("bad signature")
        claims = claims_of(payload)
        if claims is None:
            return _refused("malformed token")
        return self._of_claims(login, key, claims, seen.issuer)

    def _of_claims(self, login: Login, key: bytes, claims: Claims, issuer: str) -> Verdict:
        now = self._clock.now()
        reason = fault(claims, issuer, self._inbound, now)
        if reason:
            return _refused(reason, claims)
        client = self._directory.by_token(claims.application, claims.user)
        if client is None:
            return _refused("unknown application", claims)
        if client.is_disabled:
            return _refused("disabled", claims)
        if not _may_be_called(client, login.username):
            return _refused("wrong name", claims)
        self._cache.put(key, client, self._clock.monotonic(), claims.exp - now)
        return Granted(client)

    def _unknown(self) -> Refused:
        """Its key is not known: if that may be for want of an answer, it may come again."""
        if self._issuers.known is None or self._issuers.is_failing:
            return Refused("no signing keys", NO_KEYS)
        # Or too many wait for the answer already.
        return Refused("busy", BUSY) if self._issuers.is_asking else _refused("unknown key")


def _refused(reason: str, claims: Claims | None = None) -> Refused:
    return Refused(reason, WRONG_TOKEN, "" if claims is None else str(claims))


def _may_be_called(client: Client, name: str) -> bool:
    """RFC 7628 section 3.1: the name, where one is given, is whom the client wants to be. It may be what it is
    called here, its application's id, or an address that it may send as."""
    if not name or name.lower() in (client.name.lower(), client.username.lower(), client.oauth_app):
        return True
    return "@" in name and judge_sender(client.policy, name.encode("utf-8", "replace")) is None
