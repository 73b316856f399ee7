"""One connection to a next hop: bytes between the transport and `smtp.client`.

The only work here is to move: replies in, events to the pool, commands and content
out. A small mail is one write together with the commands of the next; a large one
flows a record at a time as the transport takes it, so that a connection holds
some 768 KiB at most whatever the size of the mail.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, cast

from relay import tls
from relay.clock import Clock
from relay.deliver.login import Ticket
from relay.deliver.work import Work
from relay.errors import ProtocolError, SpoolError
from relay.m365.acceptance import session_id
from relay.m365.classify import classify
from relay.route.route import Route
from relay.smtp.client import (
    Client,
    Completed,
    ContentWanted,
    Ended,
    Event,
    Misconfigured,
    Ready,
    TlsWanted,
    Unavailable,
)
from relay.smtp.reply import Reply
from relay.smtp.transaction import Phase, Transaction, refusal

READ_BYTES = 4096
"""Replies to one write are some 200 bytes; a longer one takes more than one read."""
WRITE_HIGH_BYTES = 524_288
"""Two content records wait for the network at most, so that one is always at hand."""


class Owner(Protocol):
    """Who lends the connection its mails and hears what became of them."""

    def next_work(self, connection: "Connection") -> Work | None: ...
    def content(self, work: Work, index: int) -> bytes: ...
    def completed(self, connection: "Connection", work: Work, replies: Sequence[Reply]) -> None: ...
    def became_idle(self, connection: "Connection") -> None: ...
    def damaged(self, work: Work, error: SpoolError) -> None: ...
    def when_durable(self, work: Work, go: Callable[[], None]) -> None: ...
    def lost(self, connection: "Connection", works: Sequence[Work], reason: str) -> None: ...


class SessionRefused(Exception):
    """The next hop, or we, would not open a session; `is_fault`: somebody must change something."""

    def __init__(self, reason: str, *, is_fault: bool = False, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.is_fault = is_fault
        self.reply = reply
        """What the next hop said, where that is the reason."""


class TlsRefused(SessionRefused):
    """The handshake failed."""


class Connection(asyncio.BufferedProtocol):
    """From the first byte to the last; used again and again between."""

    def __init__(
        self,
        client: Client,
        route: Route,
        host: str,
        clock: Clock,
        owner: Owner,
        ends_at: float = float("inf"),
        is_ipv6: bool = False,
        age_s: float | None = None,
    ) -> None:
        """`ends_at` (monotonic): what it logs in with holds no longer; `is_ipv6`, where IPv4 was not asked for
        before; `age_s` instead of the route's."""
        self.client = client
        self.host = host
        self.is_ipv6 = is_ipv6
        self.ticket = Ticket()
        """What it has logged in with."""
        self.place: object = None
        """What it holds of the connections that several pools share."""
        self.ended_by: Reply | None = None
        """What the next hop said when it ended the session of its own accord."""
        self.session = ""
        """The next hop's id of the session, where it tells one; known once it is open."""
        self._age_s = route.connection_age_s if age_s is None else age_s
        self.mails = 0
        """Transactions that came to an end."""
        self.opened_at = self.active_at = clock.monotonic()
        self.tls = ""
        self._route = route
        self._clock = clock
        self._owner = owner
        self._ends_at = ends_at
        self._buffer = bytearray(READ_BYTES)
        self._view = memoryview(self._buffer)
        self._transport: asyncio.Transport | None = None
        self._works: dict[Transaction, Work] = {}
        self._held: Work | None = None
        """Its charge is on the way to the disk; nothing else begins before it."""
        self._is_opening = True
        self._early: deque[Event] = deque()
        """What the opening task has not taken yet: a greeting can be here before it runs."""
        self._waiter: asyncio.Future[None] | None = None
        self._is_paused = False
        self._is_leaving = False
        self._is_cut = False
        self._next_record = 0
        self._reason = ""
        self.was_asked_to_leave = False
        """We ended it."""
        self.retired_for = ""
        """Why it is to take no more mail; empty while it may."""

    # Opening: a short story told by one task, before there is any mail.

    async def open(self, context: tls.ClientContext | None, server_name: str) -> None:
        """Greeting to Ready, with TLS and AUTH as the client wants it; SessionRefused."""
        while True:
            match await self._next_event():
                case TlsWanted():
                    assert context is not None
                    await self._start_tls(context, server_name)
                case Unavailable(reason, reply):
                    raise _refused(reason, reply, is_fault=False)
                case Misconfigured(reason, reply):
                    raise _refused(reason, reply, is_fault=True)
                case Ended(reply):
                    raise SessionRefused(f"ended the session: {reply}")
                case Ready():
                    self.opened_at = self._clock.monotonic()
                    if self.client.greeting is not None:
                        self.session = session_id(self.client.greeting)
                    self._is_opening = False
                    for event in self._early:
                        # A 421 right behind the last reply.
                        self._take(event)
                    return
                case event:
                    raise AssertionError(f"{event} before the session is open")

    async def _next_event(self) -> Event:
        if not self._early:
            if self._reason:
                raise SessionRefused(self._reason)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._early.popleft()

    def _hand_over(self, events: list[Event]) -> None:
        """Keep events for the opening task, which may not have come to ask for them yet."""
        self._early += events
        if events and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _start_tls(self, context: tls.ClientContext, server_name: str) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(self._transport, self, context, server_hostname=server_name)
        except (OSError, tls.TlsError) as error:
            is_fault = tls.is_verification_failure(error)
            raise TlsRefused(tls.explain(error, self.host), is_fault=is_fault) from None
        if transport is None:
            raise TlsRefused(f"{self.host} closed the connection during the TLS handshake")
        self._take_transport(transport)
        self.client.tls_started()
        self._flush()

    def _take_transport(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.tls = tls.describe(transport)

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio types it as the base class; a stream protocol is always given a Transport.
        self._take_transport(cast(asyncio.Transport, transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self.active_at = self._clock.monotonic()
        try:
            events = self.client.receive(self._view[:nbytes])
        except ProtocolError as error:
            self.abort(f"broke the protocol: {error}")
            return
        if self._is_opening:
            self._hand_over(events)
        elif events:
            for event in events:
                self._take(event)
            self.advance()
        self._flush()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self.active_at = self._clock.monotonic()
        sending = next((t for t in self._works if t.phase is Phase.CONTENT), None)
        if sending is not None:
            self._send_content(sending)
            self.advance()
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reason = self._reason or _why(exc)
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(SessionRefused(self._reason))
        works, self._works = list(self._works.values()), {}
        if self._held is not None:
            works.append(self._held)
            self._held = None
        self._owner.lost(self, works, self._reason)

    # Mail.

    def advance(self) -> None:
        """Begin what can begin; the driver flushes."""
        client = self.client
        while client.can_begin and not self._is_leaving and self._held is None:
            work = self._owner.next_work(self)
            if work is None:
                break
            refused = refusal(work.transaction, client.offer)
            if refused is not None:
                self._owner.completed(self, work, (refused,) * len(work.indices))
                continue
            if work.serial:
                self._held = work
                self._owner.when_durable(work, partial(self._let_go, work))
                return
            self._begin(work)
        if client.is_idle and not self._is_leaving and self._held is None:
            self._owner.became_idle(self)

    def _begin(self, work: Work) -> None:
        self._works[work.transaction] = work
        if self.client.begin(work.transaction):
            self._send_content(work.transaction)

    def _let_go(self, work: Work) -> None:
        """Its charge is on the disk. When the connection is over or about to be, `lost` gives the mail back."""
        if self._held is work and not self._is_leaving:
            self._held = None
            self._begin(work)
            self.start()

    def start(self) -> None:
        """Take up work after a rest."""
        self.active_at = self._clock.monotonic()
        self.advance()
        self._flush()

    def _take(self, event: Event) -> None:
        match event:
            case ContentWanted(transaction):
                if not self._is_cut:
                    self._send_content(transaction)
            case Completed(transaction):
                self.mails += 1
                work = self._works.pop(transaction)
                self._owner.completed(self, work, transaction.replies())
            case Ended(reply):
                self.ended_by = reply
                self._reason = self._reason or f"the next hop ended the session: {reply}"
                self._is_leaving = True
                self._close()
            case _:
                raise AssertionError(f"{event} while the session is open")

    def _send_content(self, transaction: Transaction) -> None:
        """As many records as the transport takes now."""
        if transaction.chunks == 1:
            self.client.send(transaction, transaction.head, is_last=True)
            return
        if not transaction.content_begun:
            self._next_record = 0
        while not self._is_paused and transaction.phase is Phase.CONTENT and self._transport is not None:
            index = self._next_record
            work = self._works[transaction]
            try:
                data = self._owner.content(work, index) if index else transaction.head
            except SpoolError as error:
                # DATA knows no way to take back what was begun but to hang up (RFC 5321 section 3.8).
                self._owner.damaged(self._works.pop(transaction), error)
                self.abort(f"the spool gave up in the middle of a mail: {error}")
                return
            self._next_record = index + 1
            self.client.send(transaction, data, is_last=self._next_record == transaction.chunks)
            self._flush()

    def _flush(self) -> None:
        out = self.client.take_output()
        if out and self._transport is not None:
            self._transport.write(out)

    # Closing.

    @property
    def is_open(self) -> bool:
        """It may carry mail."""
        return self._transport is not None and not self._is_leaving

    @property
    def is_worn(self) -> bool:
        """It has carried enough mails, is too old, or was retired."""
        if self.retired_for:
            return True
        route, offered = self._route, self.client.offer.mails_max
        limit = min(route.mails_per_connection, offered) if offered else route.mails_per_connection
        if self.mails + len(self._works) >= limit:
            return True
        now = self._clock.monotonic()
        return now >= self._ends_at or now - self.opened_at >= self._age_s

    @property
    def carries_large(self) -> bool:
        """A large mail is under way."""
        return any([work.job.flow.is_large for work in self._works.values()])

    @property
    def can_be_cut(self) -> bool:
        """Nothing that is under way can have been taken: it may be hung up on."""
        return not any(work.transaction.content_begun for work in self._works.values())

    def cut(self, reason: str) -> None:
        """Hang up, where nothing can have been taken: what is under way goes back untried."""
        self.was_asked_to_leave = self._is_cut = True
        self.abort(reason)

    def retire(self, reason: str) -> None:
        """Take no more mail, end what is under way, then say goodbye."""
        self.retired_for = reason

    def leave(self, reason: str) -> None:
        """Say goodbye and close; only when idle."""
        self._is_leaving = self.was_asked_to_leave = True
        self._reason = reason
        self.active_at = self._clock.monotonic()
        self.client.quit()
        self._flush()

    def check(self, now: float, quit_timeout_s: float) -> None:
        """Once a second or so: is a reply overdue, has an idle connection rested too long?"""
        silent_s = now - self.active_at
        client, route = self.client, self._route
        if self._is_leaving:
            if silent_s >= quit_timeout_s:
                self.abort(self._reason)
        elif self._held is not None and client.is_idle:
            # The disk is slow, not the next hop.
            self.active_at = now
        elif client.is_idle:
            if silent_s >= route.connection_idle_s:
                self.leave("idle")
            elif self.is_worn:
                self.leave(self.retired_for or "age")
        elif silent_s >= (route.data_timeout_s if client.awaits_verdict else route.command_timeout_s):
            self.abort(f"no answer for {silent_s:.0f} seconds")

    def abort(self, reason: str) -> None:
        """Hang up."""
        self._reason = self._reason or reason
        self._is_leaving = True
        if self._transport is not None:
            self._transport.abort()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _refused(reason: str, reply: Reply | None, *, is_fault: bool) -> SessionRefused:
    """With the next step, where the reply is known; some of those that look temporary need somebody too."""
    row = None if reply is None else classify(reply)
    if row is None:
        return SessionRefused(reason, is_fault=is_fault, reply=reply)
    is_fault = is_fault or row.needs_somebody
    return SessionRefused(f"{reason} ({row.advice})", is_fault=is_fault, reply=reply)


def _why(error: Exception | None) -> str:
    return f"the connection was lost: {error}" if error else "the next hop closed the connection"
