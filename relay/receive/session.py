"""One client's connection: bytes into the session's buffer, the protocol over them, replies out.

The I/O-free `smtp.server` says what the bytes mean, `receive.policy` decides,
`receive.incoming` brings the mail to the disk. Here they meet the transport:

    buffer_updated → server.next_event → answer … → one write

While a commit runs nothing is read from the buffer; when it is full, reading
pauses. Everything that waits for the client is watched by `sweep`, which the
receiver calls once a second, so that no command costs a timer.
"""

import asyncio
import fcntl
import termios
from typing import cast

from msgspec import UNSET

from relay.message.envelope import Recipient
from relay.receive import policy
from relay.receive.accept import Origin
from relay.receive.brake import BANNED, Brake, Braked
from relay.receive.buffers import Inbox
from relay.receive.common import Common
from relay.receive.incoming import Incoming
from relay.receive.options import Auth, ListenerOptions, ListenerTls
from relay.receive.rewrite import Rule
from relay.receive.verdict import WELCOME, Granted, Verdict, braked_name, login_event
from relay.receive.visitor import Access, Visitor
from relay.route.table import Possible
from relay.smtp.command import MailCommand, RcptCommand
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import Login
from relay.smtp.server import Event, Phase, Server, ServerOptions, Signal
from relay.smtp.xclient import XClient
from relay.spool.change import MAX_RECORD_BYTES
from relay.tls import ServerContext, describe, explain, peer_certificate
from relay.trace.event import ClientBraked, CommandRefused, LoginFailed, SessionEnded

LEISURELY_COMMANDS_S = 5.0
"""Talk without a mail that is no faster than this is no flood: a pool of connections that is kept open overnight with
NOOP is sent away at the bound and not banned. At that pace 5,000 NOOP, which cost us 13 ms, take 17 minutes."""
LINGER_S = 3.0
"""After a refusal we read on so long: closing with bytes unread sends a reset, which can overtake the reply."""
UNREAD_BYTES = 8_192
"""Replies that wait here for a client to read them, beside what the kernel keeps; with more no command is taken."""
HANDSHAKE_ERRORS = (OSError, EOFError, RuntimeError)
"""ssl.SSLError and the time-out are OSErrors; uvloop raises RuntimeError for a transport that closed meanwhile."""


class Listener:
    """What all sessions of one listener share."""

    def __init__(
        self, options: ListenerOptions, server: ServerOptions, context: ServerContext | None, access: Access
    ) -> None:
        """`context` is needed unless the listener's `tls` is none."""
        if (context is None) != (options.tls is ListenerTls.NONE):
            raise ValueError(f"listener {options.name}: tls {options.tls.value} and context do not fit")
        self.options = options
        self.server = server
        self.context = context
        self.access = access


class Session(asyncio.BufferedProtocol):
    """From accept to close. Its methods are called by the loop, the receiver and its own mail."""

    __slots__ = (
        "_active_at", "_body_hash", "_client", "_close_at", "_common", "_content_base", "_content_since", "_draining",
        "_eof", "_held", "_inbox", "_incoming", "_is_faulty", "_late", "_line_at", "_lines", "_listener", "_may_linger", "_origin", "_paused", "_reason", "_received",
        "_recipients", "_rule", "_sender", "_server", "_since", "_started", "_transaction_since", "_transport", "_unwritable",
        "_visitor",
    )  # fmt: skip

    def __init__(self, common: Common, listener: Listener, address: str = "") -> None:
        """`address`: whose connection it is, where a proxy has said so."""
        self._common = common
        self._listener = listener
        has_auth = listener.options.auth is not Auth.OFF
        self._server = Server(listener.server, common.logins if has_auth else None)
        self._visitor = Visitor(listener.access, address)
        self._body_hash = None if common.dkim is None else common.dkim.body_hash()
        if self._body_hash is not None:
            self._server.hash_body(self._body_hash)
        self._transport: asyncio.Transport | None = None
        self._client = ""
        self._origin = Origin(common.options.hostname, "", keeps_subject=common.options.keeps_subject)
        self._inbox = Inbox(common.buffers)
        self._received = 0
        self._held = 0
        self._recipients: list[Recipient] = []
        self._rule: Rule | None = None
        """Speaks of the sender of the mail that is coming in."""
        self._sender = b""
        """That sender as it goes on."""
        self._incoming: Incoming | None = None
        self._paused = False
        self._unwritable = False
        self._eof = False
        self._draining = False
        self._may_linger = True
        self._reason = ""
        self._late: tuple[float, Reply | None] | None = None
        """An answer that is held back, and until when; what is pipelined behind it waits. None: the greeting."""
        self._is_faulty = False
        """It came to a bad end, for which its address answers."""
        # Times on the clock of `common.now`; 0 is never.
        self._started = self._active_at = common.now
        self._line_at = 0.0
        """When the last line was whole, or nothing of the next one was there."""
        self._lines = 0
        self._since = 0.0
        self._transaction_since = 0.0
        self._content_since = 0.0
        self._content_base = 0
        self._close_at = 0.0

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, refuse, or start TLS."""
        self._transport = cast(asyncio.Transport, transport)  # a stream's transport is one
        self._transport.set_write_buffer_limits(UNREAD_BYTES)
        peer = transport.get_extra_info("peername")
        self._visitor = Visitor(self._listener.access, self._visitor.peer or (peer[0] if peer else ""))
        self._server.offers_xclient = self._listener.access.may_speak_for_others(self._visitor.peer)
        self._serve_address()
        refusal = self._refusal()
        self._common.add(self, self._client)
        if refusal is not None:
            self._turn_away(refusal)
        else:
            if not self._server.offers_xclient:
                # A proxy's clients count, each for itself, once it has named them.
                self._tell(self._common.brakes.connected(self._client, self._common.now))
            if self._listener.options.tls is ListenerTls.IMPLICIT:
                self._secured(self._transport)
            self._greet(self._common.brakes.greeting_delay(self._client, self._common.now))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Never empty: reading is paused before the buffer is full."""
        return self._inbox.room

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        self._received += nbytes
        self._active_at = self._common.now
        self._inbox.end += nbytes
        self._advance()

    def eof_received(self) -> bool:
        """The client sends no more. True keeps the connection open for the replies that are due."""
        self._eof = True
        return self._incoming is not None and self._server.phase is Phase.ANSWER

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, from either side."""
        if self._transport is None:
            return
        self._transport = None
        self._hold(0)
        if self._incoming is not None:
            self._incoming.disown()
            self._incoming = None
        self._inbox.close()
        self._common.leave(self, self._visitor.peer)
        self._settle_with_brakes()
        self._common.allowance.leave(self)
        reason = self._reason or (f"connection lost: {exc}" if exc else "client closed")
        self._common.record(
            SessionEnded(
                self._client,
                self._listener.options.name,
                reason,
                self._server.mails,
                self._common.clock.monotonic() - self._started,
                self._origin.tls,
                self._origin.account or UNSET,
            )
        )

    def _settle_with_brakes(self) -> None:
        brakes = self._common.brakes
        if self._is_faulty or self._server.was_too_much or self._was_flood():
            self._tell(brakes.session_failed(self._client, self._common.now))
        elif self._server.mails:
            brakes.session_sent(self._client)

    def _was_flood(self) -> bool:
        server, lived_s = self._server, self._common.now - self._started
        return server.was_idle_talk and server.lines > lived_s * LEISURELY_COMMANDS_S

    def pause_writing(self) -> None:
        """The client does not read our replies: produce no more."""
        self._unwritable = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._unwritable = False
        self._advance()

    @property
    def unsent_bytes(self) -> int:
        """Replies that the client has not read yet, as far as they have not left us."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # The mail's side

    def mail_done(self, reply: Reply) -> None:
        """The commit has ended: answer, and go on with what was pipelined behind it."""
        self._incoming = None
        self._answer_content(reply)
        self._advance()

    def stream_moved(self) -> None:
        """A record has left memory: read on."""
        if self._paused and self._incoming is not None and not self._incoming.is_congested:
            # The wait was ours: neither silence nor slowness of the client's.
            self._active_at = self._content_since = self._common.now
            self._content_base = self._received
            self._advance()

    # The receiver's side

    def sweep(self, now: float) -> None:
        """Once a second: end what has waited for too long."""
        if self._close_at:
            if now >= self._close_at:
                self._abort()
        elif self._late is not None:
            self._answer_late(now)
        elif self._server.phase is Phase.ANSWER:
            if self._incoming is not None and now - self._since > self._common.limits.commit_deadline_s:
                incoming, self._incoming = self._incoming, None
                incoming.give_up()
                self._answer_content(policy.DISK_SLOW)
                self._advance()
        elif self._incoming is not None and self._incoming.is_congested:
            if now - self._active_at > self._common.limits.commit_deadline_s:
                self._dismiss(policy.DISK_SLOW)
        else:
            self._sweep_client(now)

    def drain(self) -> None:
        """End now when no transaction is open, else after it."""
        self._draining = True
        self._leave_when_idle()
        self._flush()

    def abort(self, reason: str) -> None:
        """End at once."""
        self._reason = self._reason or reason
        self._abort()

    # Bytes and events

    def _advance(self) -> None:
        """Take from the buffer all that can be taken, and write all replies at once."""
        server, buffer, start, end = self._server, self._inbox.buffer, 0, self._inbox.end
        while not self._unwritable:
            event = server.next_event(buffer.data, start, end)
            start = server.position
            if event is None:
                break
            self._handle(event)
        if server.is_reading_content:
            self._stream()
        elif server.mail is None:
            # The end of a chunk that no MAIL came before, or whose MAIL was refused.
            self._content_since = 0.0
        self._settle_inbox(start)
        if self._draining:
            self._leave_when_idle()
        self._flush()
        if server.refused:
            self._record_refusals()

    def _handle(self, event: Event) -> None:
        if isinstance(event, RcptCommand):
            self._rcpt(event)
        elif isinstance(event, MailCommand):
            self._mail(event)
        elif isinstance(event, Login):
            self._login(event)
        elif isinstance(event, XClient):
            self._speak_for(event)
        elif event is Signal.END_OF_CONTENT:
            self._finish()
        elif event is Signal.START_TLS:
            self._start_tls()
        else:
            self._drop_mail()

    def _mail(self, command: MailCommand) -> None:
        self._recipients = []
        self._transaction_since = self._common.now
        self._visitor.stamp(self._origin)
        common = self._common
        rule = self._rule = common.rewrites.find(command.sender, self._client)
        self._sender = command.sender if rule is None else rule.address_for(command.sender)
        reply = policy.judge_mail(common.committer.refusing, common.content_bytes, common.limits)
        if command.mt_priority is not None and reply.is_positive:
            reply = policy.judge_priority(command.mt_priority, self._origin.priority_max)
        refusal = self._visitor.judge_mail(command.sender, is_tls=self._server.is_tls)
        if refusal is None:
            refusal = common.allowance.judge_mail(self, self._origin, command.size)
        if refusal is not None:
            common.seen.refused(self._origin, "MAIL", command.sender, refusal)
        self._server.answer(refusal or reply)

    def _login(self, event: Login) -> None:
        """Who it is may take a while; what is pipelined behind it waits."""

        def judged(verdict: Verdict) -> None:
            if self._transport is not None:
                self._answer_login(event, verdict)
                self._advance()

        if self._common.brakes.is_banned(self._client, self._common.now):
            self._server.answer(BANNED)
            return
        verdict = self._common.logins.judge(event, self._client, judged)
        if verdict is not None:
            self._answer_login(event, verdict)

    def _answer_login(self, event: Login, verdict: Verdict) -> None:
        common, client, now = self._common, self._client, self._common.now
        self._active_at = now
        told = login_event(event, verdict, client, self._listener.options.name, common.directory.shown)
        common.record(told)
        name = braked_name(event, client)
        if isinstance(verdict, Granted):
            self._visitor.logged_in(verdict.client, event.mechanism)
            self._answer(WELCOME, common.brakes.login_succeeded(client, name, now))
        elif verdict.reply.is_transient:
            self._server.answer(verdict.reply)
        else:
            brake = common.brakes.login_failed(client, name, event.password, now)
            self._answer(verdict.reply, brake)
            if isinstance(told, LoginFailed):
                common.seen.login_failed(self._visitor.who, self._origin.tls, told)

    def _answer(self, reply: Reply, brake: Brake) -> None:
        """Now, or as late as the brakes say."""
        self._tell(brake.begun)
        if brake.delay_s:
            self._late = (self._common.now + brake.delay_s, brake.reply or reply)
        else:
            self._server.answer(brake.reply or reply)

    def _answer_late(self, now: float) -> None:
        assert self._late is not None
        until, reply = self._late
        if now >= until:
            self._late = None
            self._active_at = now
            if reply is None:
                self._greet_late()
            else:
                self._server.answer(reply)
            self._advance()

    def _greet(self, delay_s: float) -> None:
        if delay_s:
            self._server.hold_greeting()
            self._late = (self._common.now + delay_s, None)
        else:
            self._server.greet()
            self._flush()

    def _greet_late(self) -> None:
        if self._received and self._listener.options.refuse_early_talkers:
            self._turn_away(policy.EARLY_TALKER)
        else:
            self._server.greet()

    def _tell(self, braked: Braked | None) -> None:
        if braked is not None:
            self._common.record(
                ClientBraked(braked.source, self._listener.options.name, braked.reason, braked.seconds)
            )

    def _speak_for(self, event: XClient) -> None:
        """A proxy names its client: as if that one had connected."""
        is_served = self._visitor.speaks_for(event.address)
        self._serve_address()
        banned = self._common.brakes.refusal(self._client, self._common.now)
        if is_served and banned is None:
            self._tell(self._common.brakes.connected(self._client, self._common.now))
            self._server.answer(self._server.greeting)
        else:
            self._turn_away(banned if is_served and banned else policy.CLIENT_NOT_ALLOWED)

    def _serve_address(self) -> None:
        self._client = self._origin.client = self._visitor.address
        self._server.login.without_tls = self._listener.access.may_log_in_without_tls(self._client)

    def _rcpt(self, command: RcptCommand) -> None:
        mail = self._server.mail
        assert mail is not None
        # The rewritten sender chooses the route: it is the one that the next hop must take.
        origin = self._origin
        domain = command.recipient.rpartition(b"@")[2]
        refusal = self._common.allowance.judge_recipient(origin, command.recipient, len(self._recipients))
        if refusal is not None:
            self._refuse_recipient(refusal, domain)
            return
        found = self._common.routes.possible(self._sender, command.recipient, origin.client, origin.account)
        reply = policy.judge_recipient(found, mail.size)
        if reply.is_permanent:
            self._refuse_recipient(reply, domain)
            return
        suppression = self._common.suppression
        if reply is policy.RECIPIENT_OK and suppression is not None:
            reply = policy.judge_suppressed(suppression.of(command.recipient))
        if isinstance(found, Possible) and reply is policy.RECIPIENT_OK:
            self._recipients.append(
                Recipient(command.recipient, found.route.name, command.notify, command.orcpt)
            )
        self._server.answer(reply)

    def _refuse_recipient(self, reply: Reply, domain: bytes) -> None:
        """It may have been tried out. One that we sent to and stopped sending to is no guess, nor is a quota."""
        self._common.seen.refused(self._origin, "RCPT", domain, reply)
        if reply.is_permanent:
            self._answer(reply, self._common.brakes.recipient_refused(self._client, self._common.now))
        else:
            self._server.answer(reply)

    def _finish(self) -> None:
        """The mail's data is whole: bring it to the disk."""
        server = self._server
        mail = server.mail
        assert mail is not None
        self._origin.helo = server.helo
        self._origin.is_extended = server.is_extended
        if self._incoming is None:
            self._incoming = Incoming(self._common, self)
        self._since = self._common.now
        refusal = self._visitor.judge_end(self._origin)
        if refusal is not None:
            self._incoming.abandon()
        else:
            refusal = self._incoming.finish(
                self._origin, mail, self._recipients, server.content, self._body_hash, self._rule
            )
        if refusal is not None:
            if refusal.code >= 400:
                self._common.seen.refused(self._origin, "mail", mail.sender, refusal)
            self._incoming = None
            self._answer_content(refusal)

    def _answer_content(self, reply: Reply) -> None:
        self._hold(0)
        self._transaction_since = self._content_since = 0.0
        self._active_at = self._common.now
        self._server.answer(reply)

    def _drop_mail(self) -> None:
        self._hold(0)
        self._transaction_since = self._content_since = 0.0
        if self._incoming is not None:
            self._incoming.abandon()
            self._incoming = None

    def _stream(self) -> None:
        """Content goes on: send full records ahead."""
        if not self._content_since:
            self._content_since = self._common.now
            self._content_base = self._received
        content, incoming = self._server.content, self._incoming
        if len(content) >= MAX_RECORD_BYTES:
            if incoming is None:
                incoming = self._incoming = Incoming(self._common, self)
            incoming.stream(content, self._origin.policy.message_bytes)
        self._hold(len(content) if incoming is None else len(content) + incoming.head_bytes)

    def _hold(self, size: int) -> None:
        """So much of a mail is in memory now."""
        self._common.content_bytes += size - self._held
        self._held = size

    def _settle_inbox(self, start: int) -> None:
        """Make room for the next read; pause reading where there is none or none is wanted."""
        inbox, server = self._inbox, self._server
        if server.phase is Phase.CLOSED:
            start = inbox.end
        inbox.keep(start, wants_large=server.is_reading_content)
        if not inbox.end or server.lines != self._lines:
            self._lines = server.lines
            self._line_at = self._common.now
        self._pause(inbox.is_full or (self._incoming is not None and self._incoming.is_congested))

    def _pause(self, wanted: bool) -> None:
        if wanted is self._paused or self._transport is None:
            return
        self._paused = wanted
        if wanted:
            self._transport.pause_reading()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _flush(self) -> None:
        """All replies in one write; then close, if the protocol is at its end."""
        server, transport = self._server, self._transport
        if transport is None:
            return
        if server.has_output:
            transport.write(server.take_output())
        if server.phase is Phase.CLOSED and not self._close_at:
            self._close()
        elif self._eof and server.phase is not Phase.ANSWER:
            transport.close()

    # TLS

    def _start_tls(self) -> None:
        transport = self._transport
        if transport is None:
            return
        self._flush()
        transport.pause_reading()
        self._common.spawn(self._handshake(transport))

    async def _handshake(self, transport: asyncio.Transport) -> None:
        context = self._listener.context
        assert context is not None
        try:
            secured = await self._common.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._common.limits.handshake_timeout_s,
            )
        except HANDSHAKE_ERRORS as error:
            self._reason = self._reason or explain(error, "the client")
            transport.abort()
            return
        if secured is None or self._transport is None:
            transport.abort()
            return
        self._secured(secured)
        self._advance()

    def _secured(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._origin.tls = describe(transport)
        self._visitor.secured(peer_certificate(transport))
        self._server.tls_started()

    # The end

    def _refusal(self) -> Reply | None:
        """Who is not served at all."""
        options = self._listener.options
        if not self._listener.access.may_connect(self._client):
            return policy.CLIENT_NOT_ALLOWED
        if options.refuse_early_talkers and options.tls is not ListenerTls.IMPLICIT and self._has_spoken():
            return policy.EARLY_TALKER
        return self._common.refusal(self._client)

    def _has_spoken(self) -> bool:
        """Do bytes lie in the socket before we have greeted? One system call a connection."""
        assert self._transport is not None
        socket = self._transport.get_extra_info("socket")
        waiting = fcntl.ioctl(socket.fileno(), termios.FIONREAD, b"\0\0\0\0")
        return waiting != b"\0\0\0\0"

    def _turn_away(self, reply: Reply) -> None:
        self._reason = str(reply)
        self._common.turned_away.tell(self._client, self._listener.options.name, self._reason)
        self._server.close(reply)
        # Only who has spoken has bytes here that are unread; the others must not hold a connection any longer.
        self._may_linger = self._is_faulty = reply is policy.EARLY_TALKER
        self._flush()

    def _dismiss(self, reply: Reply) -> None:
        self._reason = self._reason or str(reply)
        self._is_faulty = reply is policy.TOO_SLOW
        self._drop_mail()
        self._server.close(reply)
        self._settle_inbox(self._inbox.end)
        if self._unwritable:
            self._abort()
        self._flush()

    def _leave_when_idle(self) -> None:
        server = self._server
        is_greeted = self._late is None or self._late[1] is not None
        if (server.phase in (Phase.COMMAND, Phase.AUTH) and server.mail is None) or not is_greeted:
            self._late = None
            self._reason = self._reason or "the relay shuts down"
            server.close(policy.SHUTTING_DOWN)

    def _sweep_client(self, now: float) -> None:
        """The client is to speak: has it been silent or slow for too long?"""
        # A chunk may come without a transaction, and must be read to its end all the same: not for ever.
        begun = self._transaction_since or self._content_since
        is_within_line = self._inbox.end and not self._server.is_reading_content
        reply = policy.judge_pace(
            self._common.limits,
            now - self._active_at,
            now - self._line_at if is_within_line else 0.0,
            now - begun if begun else 0.0,
            now - self._content_since if self._content_since else 0.0,
            self._received - self._content_base,
        )
        if reply is not None:
            self._dismiss(reply)

    def _close(self) -> None:
        """Close so that the last reply arrives."""
        assert self._transport is not None
        self._drop_mail()
        if self._server.said_quit:
            self._reason = self._reason or "client quit"
            self._may_linger = False
        self._reason = self._reason or "refused"
        if not self._may_linger or self._eof or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._close_at = self._common.now + LINGER_S
            # What is read on needs room: with a buffer full of commands that nobody takes any more, reading is a fault.
            self._settle_inbox(self._inbox.end)
            self._pause(False)
            self._transport.write_eof()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _record_refusals(self) -> None:
        for command, reply in self._server.refused:
            self._common.record(
                CommandRefused(self._client, self._listener.options.name, command, str(reply))
            )
            if command == "AUTH":
                mechanism = self._server.login.mechanism
                self._common.seen.login_not_taken(self._visitor.who, self._origin.tls, mechanism, reply)
        self._server.refused.clear()
