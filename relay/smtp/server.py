"""The server's side of an SMTP session, without I/O (RFC 5321, 2920, 3030, 3207, 4954).

Pull style. The driver owns the bytes it has read and asks for what they mean:

    event = server.next_event(buffer, start, end)     # start = server.position afterwards
    server.answer(reply)                              # where the event wants an answer
    transport.write(server.take_output())             # all replies to one read at once

What needs no decision (EHLO, RSET, syntax, order) is answered here; what needs one
comes out as an event, and until it is answered nothing further is read from the
buffer, so pipelined commands wait. Content gathers decoded in `content`; the driver
may take what is there at any time.

Strict where lenience lets one mail pass for two (SMTP smuggling): a command ends
with CRLF and holds no CR, LF or NUL; only CRLF.CRLF ends data; nothing that came
together with STARTTLS is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from relay._fastpath import BodyHash
from relay.smtp.authentication import NOT_OFFERED, Authentication
from relay.smtp.command import (
    MailCommand,
    RcptCommand,
    is_domain_argument,
    parse_bdat,
    parse_mail,
    parse_rcpt,
)
from relay.smtp.content import ContentReader
from relay.smtp.extension import Extensions, ehlo_lines
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import Doorkeeper, Login, Step
from relay.smtp.xclient import XClient, parse_xclient

BEGINNING_BYTES = 32
"""Of a line, by which is known how long it may be: AUTH, and the longest name of a mechanism (RFC 4422: 20)."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The protocol's limits; `relay.receive.options` has their defaults and reasons."""

    hostname: str
    starttls: bool
    refuse_bare_lf: bool
    message_bytes: int
    content_line_bytes: int
    command_line_bytes: int
    recipients_per_message: int
    mails_per_session: int
    errors_per_session: int
    commands_without_mail: int


class Phase(Enum):
    """What the next bytes are."""

    COMMAND = auto()
    DATA = auto()
    CHUNK = auto()
    AUTH = auto()
    """A line of a login."""
    ANSWER = auto()
    """An event waits for its answer; bytes wait."""
    CLOSED = auto()
    """Send what is there and close; bytes are of no interest."""


class Signal(Enum):
    """Events without content."""

    END_OF_CONTENT = auto()
    """The mail is whole. Wants an answer."""
    CONTENT_REFUSED = auto()
    """The mail ended and was refused here: drop what was taken of it."""
    RESET = auto()
    """A transaction ended before its mail did: drop what was taken of it."""
    START_TLS = auto()
    """Send the output, start TLS, then call `tls_started`."""


Event = MailCommand | RcptCommand | Login | XClient | Signal


class Server:
    """One session. Attributes are for reading."""

    __slots__ = (
        "_begun", "_commands", "_content", "_errors", "_options", "_out", "_overlong", "_waiting_for",
        "helo", "is_chunked", "is_extended", "is_tls", "lines", "login", "mail", "mails", "offers_xclient", "phase", "position",
        "recipients", "refused", "said_quit", "was_idle_talk", "was_too_much",
    )  # fmt: skip

    def __init__(
        self, options: ServerOptions, doorkeeper: Doorkeeper | None = None, *, is_tls: bool = False
    ) -> None:
        """`doorkeeper` None: there is no AUTH."""
        self._options = options
        self._content = ContentReader(
            refuse_bare_lf=options.refuse_bare_lf,
            max_line_bytes=options.content_line_bytes,
            max_bytes=options.message_bytes,
        )
        self._out: list[bytes] = []
        self._commands = 0
        self._errors = 0
        self._begun = bytearray()
        """Of a line of a login that is longer than the driver's buffer need be."""
        self._overlong = False
        self._waiting_for: Event | None = None
        self.phase = Phase.COMMAND
        self.lines = 0
        """Whole lines of commands and logins that were taken."""
        self.position = 0
        """Index of the first byte that `next_event` has not taken."""
        self.is_tls = is_tls
        self.login = Authentication(doorkeeper)
        self.offers_xclient = False
        """The client is a proxy that may speak for others. The driver's to say."""
        self.helo = b""
        self.is_extended = False
        self.mail: MailCommand | None = None
        self.recipients = 0
        self.is_chunked = False
        """The mail comes in BDAT chunks, and the first has begun."""
        self.mails = 0
        self.said_quit = False
        self.was_too_much = False
        """The client was sent away for its errors."""
        self.was_idle_talk = False
        """The client was sent away for talk without a mail."""
        self.refused: list[tuple[str, Reply]] = []
        """Commands that got 4yz or 5yz since the driver last emptied it."""

    def hash_body(self, body_hash: BodyHash | None) -> None:
        """Hash the body of every mail from now on while it is read; at its end the driver asks for the hash."""
        self._content.hash_body(body_hash)

    @property
    def content(self) -> bytearray:
        """What was decoded of the mail and not yet taken; the driver may take from it, and has it all at its end."""
        return self._content.decoded

    @property
    def greeting(self) -> Reply:
        """The banner."""
        return Reply(220, "", f"{self._options.hostname} ESMTP m365-relay")

    @property
    def has_output(self) -> bool:
        """Replies wait to be taken."""
        return bool(self._out)

    @property
    def is_reading_content(self) -> bool:
        """The next bytes are content."""
        return self.phase is Phase.DATA or self.phase is Phase.CHUNK

    def take_output(self) -> bytes:
        """All replies since the last call."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def greet(self) -> None:
        """The driver calls it when it has decided to serve this client."""
        self.phase = Phase.COMMAND
        self._say(self.greeting)

    def hold_greeting(self) -> None:
        """Read nothing until `greet` or `close`."""
        self.phase = Phase.ANSWER

    def close(self, reply: Reply) -> None:
        """Say why, and read nothing more."""
        self._say(reply)
        self.phase = Phase.CLOSED

    def tls_started(self) -> None:
        """The handshake is done. RFC 3207 section 4.2: forget all that was said before it."""
        self.is_tls = True
        self._forget(b"", is_extended=False)
        self.phase = Phase.COMMAND

    def next_event(self, buffer: bytearray, start: int, end: int) -> Event | None:
        """What buffer[start:end] begins with, or None when more bytes are needed, an answer is due or all is said."""
        self.position = start
        while True:
            if self.phase is Phase.COMMAND or self.phase is Phase.AUTH:
                eol = buffer.find(b"\n", self.position, end)
                if eol == -1:
                    self._take_unfinished(buffer, end)
                    return None
                begin, self.position = self.position, eol + 1
                line = bytes(buffer[begin:eol])
                if self._begun:
                    line = bytes(self._begun) + line
                    self._begun.clear()
                event = self._take_line(line, self.position < end)
            elif self.phase is Phase.DATA:
                self.position = self._content.read_data(buffer, self.position, end)
                if not self._content.data_has_ended:
                    return None
                event = self._end_content("DATA")
            elif self.phase is Phase.CHUNK:
                self.position = self._content.read_chunk(buffer, self.position, end)
                if not self._content.chunk_has_ended:
                    return None
                event = self._end_chunk()
            else:
                return None
            if event is not None:
                return event

    def answer(self, reply: Reply) -> None:
        """The driver's reply to the event that wants one. A 421 closes the session."""
        event, self._waiting_for = self._waiting_for, None
        self.phase = Phase.COMMAND
        if isinstance(event, RcptCommand):
            self.recipients += reply.is_positive
            self._answer("RCPT", reply)
        elif isinstance(event, MailCommand):
            self.mail = event if reply.is_positive else None
            self._answer("MAIL", reply)
        elif isinstance(event, Login):
            self._end_login(self.login.judged(event, reply))
        elif isinstance(event, XClient):
            if reply.is_positive:
                self._forget(event.helo, is_extended=event.is_extended)
            self._answer("XCLIENT", reply)
        else:
            assert event is Signal.END_OF_CONTENT, "an answer without a question"
            if reply.is_positive:
                self.mails += 1
                self._commands = self._errors = 0
            self._answer("BDAT" if self.is_chunked else "DATA", reply)
            self._end_transaction()

    def _answer(self, command: str, reply: Reply) -> None:
        self._out.append(reply.encode())
        if reply.code >= 400:
            self.refused.append((command, reply))
            if reply.code == 421:
                self.phase = Phase.CLOSED

    # Command lines

    def _take_line(self, line: bytes, more_follows: bool) -> Event | None:
        self.lines += 1
        if not line.endswith(b"\r"):
            # Whoever ends lines so cannot be told apart from one who smuggles: read no more.
            self.close(Reply(500, "5.5.2", "A command ends with CRLF, not with a bare LF"))
            self.refused.append(("", Reply(500, "5.5.2", "bare LF")))
            return None
        if self.phase is Phase.AUTH:
            return self._take_login_line(line)
        is_long = len(line) > self._options.command_line_bytes + 1
        if self._overlong or (is_long and len(line) > self._line_bytes(line) + 1):
            self._overlong = False
            return self._refuse("", Reply(500, "5.5.2", "The command line is too long"))
        line = line[:-1].rstrip(b" \t")
        verb, _, rest = line.partition(b" ")
        if b"\r" in line or b"\0" in line:
            return self._refuse("", Reply(500, "5.5.2", "A command holds no CR and no NUL"))
        self._commands += 1
        if self._commands > self._options.commands_without_mail:
            self._refuse("", Reply(421, "4.7.0", "Too many commands without a mail"))
            self.was_idle_talk = True
            self.phase = Phase.CLOSED
            return None
        command = _COMMANDS.get(verb) or _COMMANDS.get(verb.upper())
        if command is None:
            return self._refuse("", Reply(500, "5.5.1", "The command is not known here"))
        return command(self, rest, more_follows)

    def _line_bytes(self, line: bytes | bytearray) -> int:
        """How long the line that begins so may be, without its CRLF."""
        longest = self._options.command_line_bytes
        if self.phase is Phase.AUTH:
            return self.login.line_bytes(longest, is_tls=self.is_tls)
        if line[:5].upper() == b"AUTH ":
            return self.login.line_bytes(longest, bytes(line[5:BEGINNING_BYTES]), is_tls=self.is_tls)
        return longest

    def _take_unfinished(self, buffer: bytearray, end: int) -> None:
        """Of a line that is too long for the buffer keep a login's and drop any other; its last byte may be CR."""
        length = len(self._begun) + end - self.position
        if length <= self._options.command_line_bytes + 1 and not self._overlong:
            return
        begin = self._begun or buffer[self.position : self.position + BEGINNING_BYTES]
        self._overlong = self._overlong or length > self._line_bytes(begin) + 1
        if self._overlong:
            self._begun.clear()
        else:
            self._begun += buffer[self.position : end - 1]
        self.position = max(self.position, end - 1)

    def _mail(self, rest: bytes, more_follows: bool) -> Event | None:
        if not self.helo:
            return self._refuse("MAIL", Reply(503, "5.5.1", "Say EHLO first"))
        if self.mail is not None:
            return self._refuse("MAIL", Reply(503, "5.5.1", "A transaction is open already"))
        if self.mails >= self._options.mails_per_session:
            self._refuse("MAIL", Reply(421, "4.7.0", "Enough mails in one session; connect again"))
            self.phase = Phase.CLOSED
            return None
        command = parse_mail(rest)
        if isinstance(command, Reply):
            return self._refuse("MAIL", command)
        if command.size > self._options.message_bytes:
            return self._refuse("MAIL", self._content.too_large())
        return self._ask(command)

    def _rcpt(self, rest: bytes, more_follows: bool) -> Event | None:
        if self.mail is None:
            return self._refuse("RCPT", _NO_TRANSACTION)
        if self.is_chunked:
            return self._refuse("RCPT", Reply(503, "5.5.1", "The mail's content has begun"))
        command = parse_rcpt(rest, is_utf8=self.mail.is_utf8)
        if isinstance(command, Reply):
            return self._refuse("RCPT", command)
        if self.recipients >= self._options.recipients_per_message:
            # RFC 5321 section 4.5.3.1.10: 452, and the client sends the rest in a further mail. No error of the client's.
            self._answer("RCPT", Reply(452, "4.5.3", "Too many recipients; send the rest in another mail"))
            return None
        return self._ask(command)

    def _data(self, rest: bytes, more_follows: bool) -> Event | None:
        if rest:
            return self._refuse("DATA", _NO_ARGUMENT)
        if self.mail is None:
            return self._refuse("DATA", _NO_TRANSACTION)
        if self.is_chunked:
            return self._refuse("DATA", Reply(503, "5.5.1", "BDAT and DATA do not mix"))
        if not self.recipients:
            return self._refuse("DATA", _NO_RECIPIENTS)
        self._content.begin()
        self._out.append(_GO_ON)
        self.phase = Phase.DATA
        return None

    def _bdat(self, rest: bytes, more_follows: bool) -> Event | None:
        command = parse_bdat(rest)
        if isinstance(command, Reply):
            # How many bytes follow is not known, so what follows cannot be told from commands.
            self._refuse("BDAT", command)
            self.phase = Phase.CLOSED
            return None
        refusal = None
        if self.mail is None:
            refusal = _NO_TRANSACTION
        elif not self.recipients:
            refusal = _NO_RECIPIENTS
        elif not self.is_chunked:
            self._content.begin()
            self.is_chunked = True
        self._content.begin_chunk(command, refusal)
        self.phase = Phase.CHUNK
        return None

    def _ehlo(self, rest: bytes, more_follows: bool) -> Event | None:
        return self._hello("EHLO", rest, is_extended=True)

    def _helo(self, rest: bytes, more_follows: bool) -> Event | None:
        return self._hello("HELO", rest, is_extended=False)

    def _hello(self, command: str, name: bytes, *, is_extended: bool) -> Event | None:
        if not is_domain_argument(name):
            return self._refuse(command, Reply(501, "5.5.4", f"Syntax: {command} <name of the client>"))
        self.helo = name
        self.is_extended = is_extended
        options = self._options
        if is_extended:
            starttls = options.starttls and not self.is_tls
            limits = Extensions(
                options.message_bytes,
                options.mails_per_session,
                options.recipients_per_message,
                starttls,
                tuple(self.login.offered(is_tls=self.is_tls)),
                self.offers_xclient,
            )
            self._out.append(ehlo_lines(options.hostname, name.decode(), limits))
        else:
            self._say(Reply(250, "", options.hostname))
        # RFC 5321 section 4.1.4: EHLO in the middle of a session clears all state, as RSET does.
        return self._abort()

    def _rset(self, rest: bytes, more_follows: bool) -> Event | None:
        if rest:
            return self._refuse("RSET", _NO_ARGUMENT)
        self._say(Reply(250, "2.0.0", "The transaction is forgotten"))
        return self._abort()

    def _noop(self, rest: bytes, more_follows: bool) -> Event | None:
        self._say(Reply(250, "2.0.0", "Here I am"))
        return None

    def _help(self, rest: bytes, more_follows: bool) -> Event | None:
        text = ("Commands:", "EHLO HELO MAIL RCPT DATA BDAT RSET", "NOOP VRFY HELP STARTTLS QUIT")
        self._say(Reply(214, "2.0.0", text))
        return None

    def _vrfy(self, rest: bytes, more_follows: bool) -> Event | None:
        if not rest:
            return self._refuse("VRFY", Reply(501, "5.5.4", "Syntax: VRFY <address>"))
        # RFC 5321 section 3.5.3: 252 when the server cannot tell; only delivery can.
        self._say(Reply(252, "2.5.0", "Not verified, but mail for it is taken if a route leads there"))
        return None

    def _quit(self, rest: bytes, more_follows: bool) -> Event | None:
        self.said_quit = True
        self.close(Reply(221, "2.0.0", f"{self._options.hostname} closes the connection"))
        return None

    def _starttls(self, rest: bytes, more_follows: bool) -> Event | None:
        if self.is_tls:
            return self._refuse("STARTTLS", Reply(503, "5.5.1", "TLS is active already"))
        if not self._options.starttls:
            return self._refuse("STARTTLS", Reply(502, "5.5.1", "TLS is not offered here"))
        if rest:
            return self._refuse("STARTTLS", _NO_ARGUMENT)
        if more_follows:
            # Plain text that an attacker put behind STARTTLS must not be read as if TLS had brought it (CVE-2011-0411).
            self._refuse("STARTTLS", Reply(503, "5.5.1", "Nothing may follow STARTTLS before TLS does"))
            self.phase = Phase.CLOSED
            return None
        self._say(Reply(220, "2.0.0", "Start TLS"))
        self.phase = Phase.ANSWER
        return Signal.START_TLS

    # AUTH (RFC 4954)

    def _auth(self, rest: bytes, more_follows: bool) -> Event | None:
        in_transaction = self.mail is not None
        return self._take_step(
            self.login.begin(
                rest, is_tls=self.is_tls, is_extended=self.is_extended, in_transaction=in_transaction
            )
        )

    def _take_login_line(self, line: bytes) -> Event | None:
        is_too_long = self._overlong or len(line) > self._line_bytes(line) + 1
        self._overlong = False
        refusal = self.login.refusal()
        if refusal is not None:
            # Whatever the client makes of the complaint (RFC 7628 section 3.2.3 wants one byte, XOAUTH2 none).
            self._end_login(refusal)
            return None
        return self._take_step(self.login.take(line[:-1], is_too_long=is_too_long))

    def _take_step(self, step: Step) -> Event | None:
        if isinstance(step, Login):
            return self._ask(step)
        if step.is_intermediate:
            self.phase = Phase.AUTH
            self._say(step)
            return None
        self.phase = Phase.COMMAND
        return self._refuse("AUTH", step)

    def _end_login(self, reply: Reply) -> None:
        """It got its reply, or a complaint that wants an answer first."""
        self._say(reply)
        self.phase = Phase.AUTH if reply.is_intermediate else Phase.COMMAND
        if reply.code == 421:
            self.phase = Phase.CLOSED
        self._count_error(reply.is_permanent)

    def _xclient(self, rest: bytes, more_follows: bool) -> Event | None:
        if not self.offers_xclient:
            return self._not_offered(rest, more_follows)
        if self.mail is not None:
            return self._refuse("XCLIENT", Reply(503, "5.5.1", "A transaction is open"))
        command = parse_xclient(rest)
        return self._refuse("XCLIENT", command) if isinstance(command, Reply) else self._ask(command)

    def _not_offered(self, rest: bytes, more_follows: bool) -> Event | None:
        return self._refuse("", NOT_OFFERED)

    # Content

    def _end_chunk(self) -> Event | None:
        content = self._content
        refusal = content.chunk_refusal
        if refusal is None and content.is_last_chunk:
            return self._end_content("BDAT")
        self.phase = Phase.COMMAND
        refusal = refusal or content.fault()
        if refusal is not None:
            # RFC 3030 section 2: after a failure the transaction is over; further chunks get 503.
            self._refuse("BDAT", refusal)
            return self._drop_content()
        self._say(Reply(250, "2.0.0", f"{content.size} bytes so far"))
        return None

    def _end_content(self, command: str) -> Event | None:
        fault = self._content.fault()
        if fault is None:
            return self._ask(Signal.END_OF_CONTENT)
        self.phase = Phase.COMMAND
        self._refuse(command, fault)
        return self._drop_content()

    def _drop_content(self) -> Event | None:
        had_content = self.mail is not None
        self._end_transaction()
        return Signal.CONTENT_REFUSED if had_content else None

    # What they lean on

    def _ask(self, event: Event) -> Event:
        self._waiting_for = event
        self.phase = Phase.ANSWER
        return event

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.encode())

    def _refuse(self, command: str, reply: Reply) -> Event | None:
        """A fault of the client's; too many of them end the session. No event, as a convenience."""
        self._answer(command, reply)
        # What follows from a MAIL that was refused, as in a pipelined group, is no further fault.
        self._count_error(reply is not _NO_TRANSACTION and reply is not _NO_RECIPIENTS)
        return None

    def _count_error(self, is_one: bool) -> None:
        self._errors += is_one
        if self._errors > self._options.errors_per_session and self.phase is not Phase.CLOSED:
            self.was_too_much = True
            self.close(Reply(421, "4.7.0", "Too many errors"))

    def _abort(self) -> Event | None:
        was_open = self.mail is not None
        self._end_transaction()
        return Signal.RESET if was_open else None

    def _forget(self, helo: bytes, *, is_extended: bool) -> None:
        """As if the client had just come, and said no more than this."""
        self.helo = helo
        self.is_extended = is_extended
        self.login.forget()
        self._end_transaction()

    def _end_transaction(self) -> None:
        self.mail = None
        self.recipients = 0
        self.is_chunked = False
        self._content.drop()


_GO_ON = Reply(354, "", "End the mail with <CR><LF>.<CR><LF>").encode()
_NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
_NO_TRANSACTION = Reply(503, "5.5.1", "Say MAIL first")
_NO_RECIPIENTS = Reply(554, "5.5.1", "No recipient was accepted")
_COMMANDS: dict[bytes, Callable[[Server, bytes, bool], Event | None]] = {
    b"MAIL": Server._mail,
    b"RCPT": Server._rcpt,
    b"DATA": Server._data,
    b"BDAT": Server._bdat,
    b"EHLO": Server._ehlo,
    b"HELO": Server._helo,
    b"RSET": Server._rset,
    b"NOOP": Server._noop,
    b"HELP": Server._help,
    b"VRFY": Server._vrfy,
    b"QUIT": Server._quit,
    b"STARTTLS": Server._starttls,
    b"EXPN": Server._not_offered,
    b"AUTH": Server._auth,
    b"XCLIENT": Server._xclient,
    b"ETRN": Server._not_offered,
    b"TURN": Server._not_offered,
}
