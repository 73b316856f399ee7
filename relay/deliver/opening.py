"""How a connection of a route comes about: addresses in turn, TLS as the route says, then the session.

One story told by one task: fetch what to log in with, resolve, connect, greet, secure,
log in. Each address that fails leaves an event and is passed over for a while; what
the story ends with is a ready connection or the reason why there is none.
"""

import asyncio
from collections.abc import Callable

from relay import tls
from relay.clock import Clock
from relay.deliver.address import Address, AddressBook, Unresolved
from relay.deliver.connection import Connection, Owner, SessionRefused, TlsRefused
from relay.deliver.login import Logins, Ticket, Tokens
from relay.deliver.mx import Ask, MxHosts
from relay.deliver.mx_dns import ask
from relay.deliver.options import DelivererOptions
from relay.errors import ConfigurationError
from relay.identity.access import TokenRefused
from relay.route.route import Login, Route, TlsMode
from relay.smtp.client import Client, StartTls
from relay.smtp.reply import Reply
from relay.trace import event as trace

_START_TLS = {
    TlsMode.REQUIRED: StartTls.ALWAYS,
    TlsMode.OPPORTUNISTIC: StartTls.IF_OFFERED,
    TlsMode.NONE: StartTls.NEVER,
    TlsMode.IMPLICIT: StartTls.NEVER,
}

AGE_JITTER = 0.25
"""A connection lives for at least three quarters of the route's `connection_age`."""
LOGIN_REFUSED = 535
"""RFC 4954 section 6: "Authentication credentials invalid"."""


class OpeningFailed(Exception):
    """No address gave a session; `is_fault`: each failed for a reason that somebody must mend."""

    def __init__(self, reason: str, *, is_fault: bool, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.is_fault = is_fault
        self.reply = reply
        """What a next hop said, where that is the reason; of several the last."""


class Opener:
    """Opens connections of one login of a route."""

    def __init__(
        self,
        route: Route,
        login: Login | None,
        options: DelivererOptions,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        tokens: Tokens | None = None,
        ask_mx: Ask = ask,
    ) -> None:
        """`tokens` where it logs in with one; `ask_mx` where its hosts are those of an MX."""
        self.seconds = 0.0
        """How long the last one took."""
        self._route = route
        self._rng = rng
        self._is_ipv4_only = False
        self._options = options
        self._record = record
        self._clock = clock
        mx = MxHosts(route.name, route.mx_of, record, clock, rng, ask_mx) if route.mx_of else None
        self._book = AddressBook(route, options, clock, rng, mx=mx)
        self._logins = Logins(route, login, tokens, clock)
        self._context: tls.ClientContext | None = None

    async def open(self, owner: Owner) -> Connection:
        """A connection that is Ready; OpeningFailed. Cancelled, it leaves nothing open."""
        try:
            context = self._tls_context()
            addresses = await self._book.candidates()
            ticket = await self._logins.ticket()
        except ConfigurationError as error:
            raise OpeningFailed(str(error), is_fault=True) from None
        except (Unresolved, TokenRefused) as error:
            raise OpeningFailed(str(error), is_fault=error.is_fault) from None
        if self._is_ipv4_only:
            addresses = [each for each in addresses if not each.is_ipv6] or addresses
        failures: list[tuple[Address, SessionRefused]] = []
        refused_at: set[str] = set()
        for address in addresses:
            if address.host in refused_at:
                continue
            try:
                connection = await self._log_in_at(address, context, owner, ticket)
            except SessionRefused as error:
                self._book.failed(address)
                failures.append((address, error))
                if error.reply is not None and error.reply.code == LOGIN_REFUSED:
                    # Its other addresses know the same accounts, and accounts lock on many bad logins.
                    refused_at.add(address.host)
                continue
            for failed, why in failures:
                self._record(
                    trace.ConnectionFailed(self._route.name, str(failed), f"{why}; {address} is used")
                )
            return connection
        is_fault = all(why.is_fault for _, why in failures)
        reason = "; ".join(f"{failed}: {why}" for failed, why in failures)
        raise OpeningFailed(reason, is_fault=is_fault, reply=failures[-1][1].reply)

    def logs_in_again(self, connection: Connection, reply: Reply) -> bool:
        """A session's mail is refused for its login: whether the next session has another token to try."""
        return self._logins.refused(connection.ticket, reply)

    def use_ipv4(self) -> None:
        """The next hop wants it so; nothing else, where the host has no such address."""
        self._is_ipv4_only = True

    async def _log_in_at(
        self, address: Address, context: tls.ClientContext | None, owner: Owner, ticket: Ticket
    ) -> Connection:
        """With a fresh token once more, where the one there was is refused."""
        try:
            return await self._open_at(address, context, owner, ticket)
        except SessionRefused as error:
            if not self._logins.refused(ticket, error.reply):
                raise self._explained(error, ticket) from None
        try:
            ticket = await self._logins.ticket()
        except TokenRefused as error:
            raise SessionRefused(f"refused the token there was; {error}", is_fault=error.is_fault) from None
        try:
            return await self._open_at(address, context, owner, ticket)
        except SessionRefused as error:
            self._logins.refused(ticket, error.reply)
            raise self._explained(error, ticket) from None

    def _explained(self, error: SessionRefused, ticket: Ticket) -> SessionRefused:
        why = self._logins.explained(ticket, error.reply)
        return SessionRefused(f"{error}; {why}", is_fault=True, reply=error.reply) if why else error

    async def _open_at(
        self, address: Address, context: tls.ClientContext | None, owner: Owner, ticket: Ticket
    ) -> Connection:
        began_at = self._clock.monotonic()
        start_tls = _START_TLS[self._route.tls]
        try:
            connection = await self._try(address, context, owner, start_tls, ticket)
        except TlsRefused:
            if start_tls is not StartTls.IF_OFFERED:
                raise
            # RFC 7435 section 3: a handshake that fails must not stop mail that may go without.
            connection = await self._try(address, context, owner, StartTls.NEVER, ticket)
        connection.ticket = ticket
        self._book.worked(address)
        self.seconds = seconds = self._clock.monotonic() - began_at
        self._record(trace.ConnectionOpened(self._route.name, str(address), connection.tls, seconds))
        return connection

    async def _try(
        self,
        address: Address,
        context: tls.ClientContext | None,
        owner: Owner,
        start_tls: StartTls,
        ticket: Ticket,
    ) -> Connection:
        connection = await self._connect(address, context, owner, start_tls, ticket)
        try:
            async with asyncio.timeout(self._route.command_timeout_s):
                await connection.open(context, address.host)
        except TimeoutError:
            connection.abort("no session in time")
            raise SessionRefused(f"no session within {self._route.command_timeout_s:g} seconds") from None
        except BaseException:
            connection.abort("the session could not be opened")
            raise
        return connection

    async def _connect(
        self,
        address: Address,
        context: tls.ClientContext | None,
        owner: Owner,
        start_tls: StartTls,
        ticket: Ticket,
    ) -> Connection:
        route, loop = self._route, asyncio.get_running_loop()
        is_implicit = route.tls is TlsMode.IMPLICIT
        try:
            async with asyncio.timeout(route.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(
                        self._client(start_tls, ticket),
                        route,
                        address.host,
                        self._clock,
                        owner,
                        ticket.ends_at,
                        # Where there is nothing else, IPv4 is no way out.
                        address.is_ipv6 and not self._is_ipv4_only,
                        # Those that were opened together do not all end together.
                        route.connection_age_s * (1 - AGE_JITTER * self._rng()),
                    ),
                    address.ip,
                    address.port,
                    ssl=context if is_implicit else None,
                    server_hostname=address.host if is_implicit else None,
                )
        except TimeoutError:
            raise SessionRefused(f"no connection within {route.connect_timeout_s:g} seconds") from None
        except tls.TlsError as error:
            is_fault = tls.is_verification_failure(error)
            raise SessionRefused(tls.explain(error, address.host), is_fault=is_fault) from None
        except OSError as error:
            raise SessionRefused(f"cannot connect: {error.strerror or error}") from None
        return connection

    def _client(self, start_tls: StartTls, ticket: Ticket) -> Client:
        route = self._route
        return Client(
            self._options.hostname.encode("idna" if not self._options.hostname.isascii() else "ascii"),
            start_tls=start_tls,
            is_encrypted=route.tls is TlsMode.IMPLICIT,
            login=ticket.login,
            use_bdat=route.use_bdat,
        )

    def _tls_context(self) -> tls.ClientContext | None:
        route = self._route
        if route.tls is TlsMode.NONE:
            return None
        if self._context is None:
            self._context = tls.client_context(
                verify=route.tls is not TlsMode.OPPORTUNISTIC,
                ca_file=route.ca_file,
                certificate=route.client_certificate,
                key=route.client_key,
            )
        return self._context
