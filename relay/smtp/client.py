"""The client's state machine: replies in, events out; what is to be sent gathers until taken.

    greeting → EHLO → STARTTLS → EHLO → AUTH → ready ⇄ transactions → QUIT

Each command put on the wire leaves an entry in a queue of expected replies, and
each reply takes one from it, so a reply can never be booked on the wrong command
or the wrong mail; a reply to nothing is a ProtocolError.

With PIPELINING, MAIL, RCPT… and DATA go in one write, and so does the final dot
with the next transaction's commands: RFC 2920 section 3.1 lets "the message
content, its end, and whatever follows" be grouped, DATA alone must end a group. A
warm connection then costs one round trip a mail. With BDAT the whole transaction
is one group. Without PIPELINING each command waits for its reply.

Deliberately not here: time (the driver watches `is_waiting`), sockets, TLS itself,
what a reply means for the mail's future.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from relay._fastpath import stuff_dots
from relay.errors import ProtocolError
from relay.smtp import sasl
from relay.smtp.offer import Offer, read_offer
from relay.smtp.reply import Reply, ReplyReader
from relay.smtp.transaction import Phase, Transaction, commands


class StartTls(Enum):
    """When to ask for TLS."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Login:
    """What AUTH needs; `in_clear` allows it without TLS. The password never shows in a repr."""

    username: str
    password: str
    in_clear: bool = False

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, password=…)"

    def mechanism(self, offered: Collection[str]) -> sasl.Mechanism | None:
        """One of those the server offers; None when none will do."""
        return sasl.choose(offered, self.username, self.password)

    @property
    def wanted(self) -> str:
        """What will do, in words."""
        return "neither AUTH PLAIN nor LOGIN"


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """What AUTH XOAUTH2 needs. The token never shows in a repr."""

    username: str
    token: str
    in_clear: bool = False

    def __repr__(self) -> str:
        return f"TokenLogin(username={self.username!r}, token=…)"

    def mechanism(self, offered: Collection[str]) -> sasl.Mechanism | None:
        """XOAUTH2, where it is offered."""
        return sasl.XOAuth2(self.username, self.token) if "XOAUTH2" in offered else None

    @property
    def wanted(self) -> str:
        """What will do, in words."""
        return "no AUTH XOAUTH2"


@dataclass(frozen=True, slots=True)
class TlsWanted:
    """Upgrade the connection now, then call `tls_started`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Transactions may begin."""


@dataclass(frozen=True, slots=True)
class ContentWanted:
    """Call `send` with the content."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Completed:
    """Every recipient has its reply."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Unavailable:
    """This server takes no session now; another or a later one may."""

    reason: str
    reply: Reply | None = None
    """What it said, where a reply is the reason."""


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """No session will come about until somebody changes something: ours or theirs."""

    reason: str
    reply: Reply | None = None
    """What it said, where a reply is the reason."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ended the session (421, or the answer to QUIT); what is not Completed was not taken."""

    reply: Reply


Event = TlsWanted | Ready | ContentWanted | Completed | Unavailable | Misconfigured | Ended


class _Expect(Enum):
    """The command whose reply comes next."""

    GREETING = 0
    EHLO = 1
    HELO = 2
    STARTTLS = 3
    AUTH = 4
    MAIL = 5
    RCPT = 6
    DATA = 7
    DOT = 8
    CHUNK = 9
    LAST_CHUNK = 10
    RSET = 11
    QUIT = 12


_VERDICTS = frozenset({_Expect.DOT, _Expect.LAST_CHUNK})
_OPENING = frozenset({_Expect.GREETING, _Expect.EHLO, _Expect.HELO, _Expect.STARTTLS, _Expect.AUTH})
_LOCAL = Transaction.__new__(Transaction)
"""Stands where a reply belongs to no transaction, so that the queue has one type."""


class Client:
    """One connection. `receive` → events; `take_output` → bytes for the wire."""

    def __init__(
        self,
        hostname: bytes,
        *,
        start_tls: StartTls = StartTls.NEVER,
        is_encrypted: bool = False,
        login: Login | TokenLogin | None = None,
        use_bdat: bool = False,
    ) -> None:
        """`hostname` is what EHLO says; `is_encrypted`: TLS stands already (RFC 8314)."""
        self.offer = Offer()
        self.greeting: Reply | None = None
        self.is_encrypted = is_encrypted
        self._hostname = hostname
        self._start_tls = start_tls
        self._login = login
        self._use_bdat = use_bdat
        self._mechanism: sasl.Mechanism | None = None
        self._reader = ReplyReader()
        self._out = bytearray()
        self._expected: deque[tuple[_Expect, Transaction]] = deque([(_Expect.GREETING, _LOCAL)])
        self._held_back: deque[tuple[_Expect, Transaction, bytes]] = deque()
        self._events: list[Event] = []
        self._awaits_tls = False
        self._is_ready = False
        self._is_over = False
        self._is_open_at_server = False
        self._sending: Transaction | None = None
        self._open: list[Transaction] = []
        self._at_line_start = True

    @property
    def can_begin(self) -> bool:
        """A transaction may begin: none has content left to send, and not too many await their reply.

        Two at most: the next one stands behind the final dot of the one before.
        """
        if not self._is_ready or self._sending is not None:
            return False
        return len(self._open) < (2 if self.offer.pipelining else 1)

    @property
    def is_idle(self) -> bool:
        """Ready, and nothing is under way."""
        return self._is_ready and not self._expected and not self._open

    @property
    def is_waiting(self) -> bool:
        """The server owes a reply."""
        return bool(self._expected)

    @property
    def awaits_verdict(self) -> bool:
        """The next reply is the one to a mail's content."""
        return bool(self._expected) and self._expected[0][0] in _VERDICTS

    @property
    def unfinished(self) -> tuple[Transaction, ...]:
        """What was begun and not Completed, oldest first."""
        return tuple(self._open)

    def take_output(self) -> bytearray:
        """What is to be written; the caller owns it."""
        out, self._out = self._out, bytearray()
        return out

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Events out of what the server sent; ProtocolError when it cannot be understood."""
        if self._awaits_tls:
            # What comes before the handshake was not sent by the server we shall verify (CVE-2011-0411).
            raise ProtocolError("the server sent more after its reply to STARTTLS")
        events = self._events = []
        expected = self._expected
        for reply in self._reader.feed(data):
            if self._is_over:
                break
            if reply.code == 421:
                self._shut_down(reply)
            elif not expected:
                raise ProtocolError(f"a reply to no command: {reply}")
            else:
                expect, transaction = expected.popleft()
                _ANSWERS[expect](self, reply, transaction)
                if self._held_back and not expected:
                    self._release()
        return events

    def tls_started(self) -> None:
        """The handshake succeeded: start over, forgetting what was said in clear (RFC 3207 section 4.2)."""
        assert self._awaits_tls
        self._awaits_tls = False
        self.is_encrypted = True
        self.offer = Offer()
        self._say_ehlo()

    def begin(self, transaction: Transaction) -> bool:
        """Ask for a mail; True when its content may follow at once (BDAT), else ContentWanted says when.

        Only when `can_begin`, and when `transaction.refusal` knows of nothing against it.
        """
        assert self.can_begin
        lines = commands(transaction, self.offer)
        uses_bdat = self._uses_bdat
        # Behind a BDAT whose fate is unknown too: were it refused, the server would take our MAIL for a nested one.
        if uses_bdat if self._open else self._is_open_at_server:
            self._command(_Expect.RSET, b"RSET\r\n")
        transaction.phase = Phase.ENVELOPE
        self._open.append(transaction)
        self._sending = transaction
        if not self.offer.pipelining:
            self._begin_in_steps(transaction, lines)
            return False
        self._group(transaction, lines)
        if uses_bdat:
            transaction.phase = Phase.CONTENT
        return uses_bdat

    def send(self, transaction: Transaction, data: bytes | bytearray, *, is_last: bool) -> None:
        """Content records, in order; the last one ends the mail."""
        assert transaction is self._sending and transaction.phase is Phase.CONTENT
        if self._uses_bdat:
            last = b" LAST" if is_last else b""
            self._out += b"BDAT %d%b\r\n" % (len(data), last)
            self._out += data
            self._expected.append((_Expect.LAST_CHUNK if is_last else _Expect.CHUNK, transaction))
        else:
            if not transaction.content_begun:
                self._at_line_start = True
            self._at_line_start = stuff_dots(data, self._out, self._at_line_start)
            if is_last:
                # A mail that came by BDAT may lack the last line end; DATA cannot say so.
                self._out += b".\r\n" if self._at_line_start else b"\r\n.\r\n"
                self._expected.append((_Expect.DOT, transaction))
        transaction.content_begun = True
        if is_last:
            transaction.phase = Phase.VERDICT
            self._sending = None

    def quit(self) -> None:
        """Say goodbye; Ended follows. Only when idle."""
        self._is_ready = False
        self._command(_Expect.QUIT, b"QUIT\r\n")

    # How commands leave.

    @property
    def _uses_bdat(self) -> bool:
        # Without PIPELINING each chunk would wait for its reply; no server offers the one without the other.
        return self._use_bdat and self.offer.chunking and self.offer.pipelining

    def _command(self, expect: _Expect, line: bytes, transaction: Transaction = _LOCAL) -> None:
        self._expected.append((expect, transaction))
        self._out += line

    def _group(self, transaction: Transaction, lines: list[bytes]) -> None:
        """The envelope in one piece (RFC 2920 section 3.1)."""
        expected = self._expected
        expected.append((_Expect.MAIL, transaction))
        expected.extend([(_Expect.RCPT, transaction)] * (len(lines) - 1))
        if not self._uses_bdat:
            expected.append((_Expect.DATA, transaction))
            lines.append(b"DATA\r\n")
        text = b"".join(lines)
        # An address with a line end in it would be a command; the receiver lets none in, and none goes out.
        assert text.count(b"\n") == len(lines)
        self._out += text

    def _begin_in_steps(self, transaction: Transaction, lines: list[bytes]) -> None:
        """The envelope a command at a time: each leaves when the reply to the one before has come."""
        assert all(line.count(b"\n") == 1 for line in lines)
        held_back = self._held_back
        held_back.append((_Expect.MAIL, transaction, lines[0]))
        held_back.extend((_Expect.RCPT, transaction, line) for line in lines[1:])
        held_back.append((_Expect.DATA, transaction, b"DATA\r\n"))
        if not self._expected:
            self._release()

    def _release(self) -> None:
        expect, transaction, line = self._held_back.popleft()
        self._command(expect, line, transaction)

    def _say_ehlo(self) -> None:
        self._command(_Expect.EHLO, b"EHLO %b\r\n" % self._hostname)

    # What replies do; each is called with the reply to the command it is named after.

    def _on_greeting(self, reply: Reply, _: Transaction) -> None:
        self.greeting = reply
        if not reply.is_positive:
            self._fail(Unavailable(f"refused the session: {reply}", reply))
        else:
            self._say_ehlo()

    def _on_ehlo(self, reply: Reply, _: Transaction) -> None:
        if reply.is_positive:
            self.offer = read_offer(reply)
            self._secure()
        elif reply.is_permanent and not self.is_encrypted:
            # RFC 5321 section 3.2: a server that does not know EHLO must know HELO.
            self._command(_Expect.HELO, b"HELO %b\r\n" % self._hostname)
        else:
            self._fail(Unavailable(f"refused EHLO: {reply}", reply))

    def _on_helo(self, reply: Reply, _: Transaction) -> None:
        if reply.is_positive:
            self._secure()
        else:
            self._fail(Unavailable(f"refused HELO: {reply}", reply))

    def _secure(self) -> None:
        """STARTTLS, where it is wanted and offered."""
        if self.is_encrypted or self._start_tls is StartTls.NEVER:
            self._authenticate()
        elif self.offer.starttls:
            self._command(_Expect.STARTTLS, b"STARTTLS\r\n")
        elif self._start_tls is StartTls.ALWAYS:
            self._fail(Misconfigured("does not offer STARTTLS, and the route requires TLS"))
        else:
            self._authenticate()

    def _on_starttls(self, reply: Reply, _: Transaction) -> None:
        if reply.code == 220:
            if not self._reader.is_empty:
                raise ProtocolError("the server sent more after its reply to STARTTLS")
            self._awaits_tls = True
            self._events.append(TlsWanted())
        elif self._start_tls is StartTls.ALWAYS:
            self._fail(Unavailable(f"refused STARTTLS: {reply}", reply))
        else:
            self._authenticate()

    def _authenticate(self) -> None:
        login = self._login
        if login is None:
            self._become_ready()
            return
        if not self.is_encrypted and not login.in_clear:
            self._fail(Misconfigured("offers no TLS, and the login is not sent without"))
            return
        mechanism = self._mechanism = login.mechanism(self.offer.mechanisms)
        if mechanism is None:
            offered = " ".join(sorted(self.offer.mechanisms)) or "no AUTH at all"
            self._fail(Misconfigured(f"offers {login.wanted} but {offered}"))
            return
        initial = mechanism.initial()
        line = (
            b"AUTH %b\r\n" % mechanism.name
            if initial is None
            else b"AUTH %b %b\r\n" % (mechanism.name, initial)
        )
        self._command(_Expect.AUTH, line)

    def _on_auth(self, reply: Reply, _: Transaction) -> None:
        if reply.code == 334:
            assert self._mechanism is not None
            self._command(_Expect.AUTH, self._mechanism.answer(reply.lines[0]) + b"\r\n")
        elif reply.is_positive:
            self._become_ready()
        elif reply.is_transient:
            self._fail(Unavailable(f"cannot check the login now: {reply}", reply))
        else:
            complaint = self._mechanism.complaint if self._mechanism is not None else ""
            said = f"; it said of the token: {complaint}" if complaint else ""
            self._fail(Misconfigured(f"refused the login: {reply}{said}", reply))

    def _become_ready(self) -> None:
        self._is_ready = True
        self._events.append(Ready())

    def _on_mail(self, reply: Reply, transaction: Transaction) -> None:
        transaction.mail_reply = reply
        if reply.is_positive:
            self._is_open_at_server = True
        elif not self.offer.pipelining:
            self._held_back.clear()
            self._complete(transaction)

    def _on_rcpt(self, reply: Reply, transaction: Transaction) -> None:
        replies = transaction.rcpt_replies
        replies.append(reply)
        if reply.is_positive:
            transaction.accepted += 1
        if len(replies) < len(transaction.recipients) or self.offer.pipelining:
            return
        if transaction.accepted == 0:
            self._held_back.clear()
            self._complete(transaction)

    def _on_data(self, reply: Reply, transaction: Transaction) -> None:
        if reply.code == 354 and transaction.accepted:
            transaction.phase = Phase.CONTENT
            self._events.append(ContentWanted(transaction))
        elif reply.code == 354:
            # No recipient was taken: RFC 2920 section 3.1 has the client send an empty message, which is refused.
            transaction.phase = Phase.CONTENT
            self.send(transaction, b"", is_last=True)
        elif reply.is_positive:
            raise ProtocolError(f"the answer to DATA is neither 354 nor a refusal: {reply}")
        else:
            transaction.final = reply
            self._complete(transaction)

    def _on_dot(self, reply: Reply, transaction: Transaction) -> None:
        transaction.final = reply
        # RFC 5321 section 4.1.1.4: the server's buffers are empty whether it took the mail or not.
        self._is_open_at_server = False
        self._complete(transaction)

    def _on_chunk(self, reply: Reply, transaction: Transaction) -> None:
        if not reply.is_positive and transaction.phase is not Phase.DONE:
            transaction.final = reply
            self._complete(transaction)

    def _on_last_chunk(self, reply: Reply, transaction: Transaction) -> None:
        if transaction.phase is Phase.DONE:
            return
        transaction.final = reply
        if reply.is_positive:
            self._is_open_at_server = False
        self._complete(transaction)

    def _on_rset(self, reply: Reply, _: Transaction) -> None:
        if not reply.is_positive:
            raise ProtocolError(f"the answer to RSET: {reply}")
        self._is_open_at_server = False

    def _on_quit(self, reply: Reply, _: Transaction) -> None:
        self._shut_down(reply)

    def _complete(self, transaction: Transaction) -> None:
        transaction.phase = Phase.DONE
        self._open.remove(transaction)
        if self._sending is transaction:
            self._sending = None
        self._events.append(Completed(transaction))

    def _fail(self, event: Unavailable | Misconfigured) -> None:
        self._is_over = True
        self._events.append(event)

    def _shut_down(self, reply: Reply) -> None:
        """The session is over; 421 may come at any time (RFC 5321 section 3.8)."""
        expect, transaction = self._expected[0] if self._expected else (_Expect.QUIT, _LOCAL)
        self._is_ready = False
        self._is_over = True
        if expect in _OPENING:
            self._events.append(Unavailable(f"refused the session: {reply}", reply))
            return
        if expect in _VERDICTS and transaction.phase is not Phase.DONE:
            # In answer to the content 421 is a verdict on this mail: not taken, and we know it.
            transaction.final = reply
            self._complete(transaction)
        self._events.append(Ended(reply))


_ANSWERS = {
    _Expect.GREETING: Client._on_greeting,
    _Expect.EHLO: Client._on_ehlo,
    _Expect.HELO: Client._on_helo,
    _Expect.STARTTLS: Client._on_starttls,
    _Expect.AUTH: Client._on_auth,
    _Expect.MAIL: Client._on_mail,
    _Expect.RCPT: Client._on_rcpt,
    _Expect.DATA: Client._on_data,
    _Expect.DOT: Client._on_dot,
    _Expect.CHUNK: Client._on_chunk,
    _Expect.LAST_CHUNK: Client._on_last_chunk,
    _Expect.RSET: Client._on_rset,
    _Expect.QUIT: Client._on_quit,
}
