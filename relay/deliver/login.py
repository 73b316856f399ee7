"""What connections of a route log in with: a password as it is, or a token fetched before there is a connection.

A token that a server refuses is given up. One that was there before is replaced once, at
once: it may have been revoked, or lack a role that was granted since. A fresh one that is
refused is a fault of configuration, and its claims say which.
"""

from dataclasses import dataclass
from typing import Protocol

from relay.clock import Clock
from relay.identity.access import AccessToken
from relay.identity.claims import explain
from relay.m365.classify import classify
from relay.m365.row import LogInAgain, Stage
from relay.route.oauth import OAuth
from relay.route.route import Credentials, Route, TlsMode, Withheld
from relay.smtp.client import Login, TokenLogin
from relay.smtp.reply import Reply


class Tokens(Protocol):
    """In life a `relay.identity.token_cache.TokenCache`; TokenRefused when there is no token."""

    async def token(self, oauth: OAuth) -> AccessToken: ...
    def forget(self, oauth: OAuth, token: AccessToken) -> None: ...


@dataclass(frozen=True, slots=True)
class Ticket:
    """One login, and until when it holds."""

    login: Login | TokenLogin | None = None
    token: AccessToken | None = None
    is_fresh: bool = True
    """Fetched for whoever asked, so that another one would be no better."""
    ends_at: float = float("inf")
    """Monotonic: a session that it opened ends before."""


class Logins:
    """Tickets for one login of a route."""

    def __init__(
        self,
        route: Route,
        credentials: Credentials | OAuth | Withheld | None,
        tokens: Tokens | None,
        clock: Clock,
    ) -> None:
        self._credentials = credentials
        # In clear only where the administrator asked for a connection without TLS.
        self._in_clear = route.tls is TlsMode.NONE
        self._tokens = tokens
        self._clock = clock

    async def ticket(self) -> Ticket:
        """What to log in with now; TokenRefused."""
        match self._credentials:
            case None:
                return Ticket()
            case Credentials(username, password):
                return Ticket(Login(username, password, in_clear=self._in_clear))
            case OAuth():
                return await self._by_token(self._credentials)
            case Withheld(username):
                raise AssertionError(f"the login of {username} is withheld from this process")

    async def _by_token(self, oauth: OAuth) -> Ticket:
        # Whoever wires a route with OAuth wires tokens too.
        assert self._tokens is not None
        asked_at = self._clock.monotonic()
        token = await self._tokens.token(oauth)
        ends_at = float("inf")
        if oauth.ends_session:
            # The mail under way has half of the margin to end in.
            ends_at = token.expires_at - min(oauth.margin_s, (token.expires_at - token.fetched_at) / 2) / 2
        login = TokenLogin(oauth.username, token.text, in_clear=self._in_clear)
        return Ticket(login, token, token.fetched_at >= asked_at, ends_at)

    def refused(self, ticket: Ticket, reply: Reply | None) -> bool:
        """A server refused it; True when a fresh one may do better."""
        if ticket.token is None or reply is None or not _is_about_the_token(reply):
            return False
        assert self._tokens is not None and isinstance(self._credentials, OAuth)
        # A fresh one, too: what the administrator grants meanwhile is in the next one only.
        self._tokens.forget(self._credentials, ticket.token)
        return not ticket.is_fresh

    def explained(self, ticket: Ticket, reply: Reply | None) -> str:
        """What the token shows of why it was refused; empty where a token is not the reason."""
        if ticket.token is None or reply is None or not _is_about_the_token(reply):
            return ""
        assert isinstance(self._credentials, OAuth)
        return explain(ticket.token.text, self._credentials)


def _is_about_the_token(reply: Reply) -> bool:
    """Not so a switch of the tenant or a locked account: another token changes nothing about these."""
    row = classify(reply, Stage.AUTH)
    return reply.code == 535 if row is None else isinstance(row.action, LogInAgain)
