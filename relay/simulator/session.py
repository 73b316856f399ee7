"""One SMTP session as Exchange Online holds it, without I/O.

The driver owns the bytes and the time:

    start = session.receive(buffer, start, end, now)     # as far as bytes were taken
    transport.write(session.take_output())

and then looks at `want`: start TLS, close, reset. A session that waits (a slow AUTH, a
mail that the mailbox's minute has no room for) takes no bytes until `wake_at`; then the
driver calls `receive` again. What is judged is judged by the service; what goes wrong
on purpose strikes first.
"""

from collections.abc import Callable
from enum import Enum, auto

from relay.simulator import texts
from relay.simulator.content import Content
from relay.simulator.dialogue import Dialogue, Judged
from relay.simulator.fault import Faults
from relay.simulator.ledger import Ledger
from relay.simulator.login import Doorkeeper
from relay.simulator.mail import Later, Mail
from relay.simulator.options import LimitsTable
from relay.simulator.service import Service
from relay.simulator.tenant import Visit
from relay.smtp.command import is_domain_argument, parse_bdat, parse_mail, parse_rcpt
from relay.smtp.reply import Reply

LINE_MAX_BYTES = 12_288
"""Holds AUTH XOAUTH2 with a token of 3 KiB and to spare; a longer command is refused."""


class Want(Enum):
    """What the driver is to do once the output is written."""

    NOTHING = auto()
    START_TLS = auto()
    CLOSE = auto()
    RESET = auto()
    """End the connection so that the client sees a reset."""


class _Phase(Enum):
    COMMAND = auto()
    AUTH = auto()
    DATA = auto()
    CHUNK = auto()
    DEAF = auto()
    """Stalled, or over: bytes are dropped."""


class Session:
    """Attributes are for reading."""

    def __init__(
        self,
        service: Service,
        doorkeeper: Doorkeeper | None,
        visit: Visit,
        limits: LimitsTable,
        faults: Faults,
        ledger: Ledger,
        *,
        keep_content: Callable[[bytes, int], None] | None = None,
    ) -> None:
        """`doorkeeper` is needed where AUTH is offered; `keep_content` is given each mail that was taken and its number."""
        self.visit = visit
        self.want = Want.NOTHING
        self.wake_at = 0.0
        """Until then no byte is taken; 0: it does not wait."""
        self.is_secured = False
        self.said_quit = False
        self.active_at = visit.began
        self._service = service
        self._doorkeeper = doorkeeper
        self._limits = limits
        self._faults = faults
        self._ledger = ledger
        self._keep_content = keep_content
        self._content = Content(service.message_size, is_kept=keep_content is not None)
        self._out: list[bytes] = []
        self._phase = _Phase.COMMAND
        self._greeted = False
        self._mail: Mail | None = None
        self._dialogue: Dialogue | None = None
        self._is_utf8 = False
        self._is_binary = False
        self._is_chunked = False
        self._is_whole = False
        """The mail's content has ended; the verdict is due."""
        self._pending: bytes = b""
        """The reply that a slow AUTH gives at `wake_at`."""
        self._errors = 0
        self._failures = 0
        self._has_left = False

    def take_output(self) -> bytes:
        """All replies since the last call."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def greet(self, now: float) -> None:
        """The first thing; a client may be turned away."""
        refusal = self._service.turn_away(now)
        self._service.enter()
        if self._strikes("connect", now):
            return
        if refusal is None:
            self._say(texts.banner(self._service.front, now, self.visit.session_id))
        else:
            self._refuse(refusal)
            self._end(Want.CLOSE)

    def secured(self, certificate_names: tuple[str, ...]) -> None:
        """TLS stands: all that was said before is forgotten (RFC 3207 section 4.2)."""
        self.visit.certificate_names = certificate_names
        self.is_secured = True
        self.want = Want.NOTHING
        self._greeted = False
        self._reset()

    def leave(self) -> None:
        """The session is over. Who has read our 221 may log in again at once, so its end counts from there."""
        if not self._has_left:
            self._has_left = True
            self._service.leave(self.visit)

    def sweep(self, now: float) -> None:
        """Time has passed: a session ends at its age, or when its client is silent."""
        if self.want is not Want.NOTHING or self.wake_at:
            return
        if self._limits.session and now - self.visit.began >= self._limits.session:
            self._ledger.violations["session"] += 1
            self._say(texts.SESSION_CUT)
            self._end(Want.CLOSE)
        elif self._limits.idle and now - self.active_at >= self._limits.idle:
            self._say(texts.TIMED_OUT)
            self._end(Want.CLOSE)

    def receive(self, buffer: bytearray, start: int, end: int, now: float) -> int:
        """Take what can be taken of buffer[start:end]; the index of the first byte that was not."""
        self.active_at = now
        if self.wake_at and not self._wake(now):
            return start
        while self.want is Want.NOTHING and not self.wake_at:
            if self._phase is _Phase.DATA:
                if start == end:
                    break
                start = self._read_data(buffer, start, end, now)
            elif self._phase is _Phase.CHUNK:
                if start == end and self._content.chunk_left:
                    break
                start = self._read_chunk(buffer, start, end, now)
            elif self._phase is _Phase.DEAF:
                return end
            else:
                eol = buffer.find(b"\n", start, end)
                if eol == -1:
                    return self._judge_rest(start, end)
                line = bytes(buffer[start:eol])
                start = eol + 1
                self._take_line(line, now)
        # Nothing that came in clear behind STARTTLS may be read as if TLS had brought it (CVE-2011-0411).
        return start if self.want is Want.NOTHING else end

    # Waiting

    def _wake(self, now: float) -> bool:
        if now < self.wake_at:
            return False
        self.wake_at = 0.0
        if self._pending:
            pending, self._pending = self._pending, b""
            self._answer_login(pending)
        elif self._is_whole:
            self._judge(now)
        return not self.wake_at

    # Lines

    def _judge_rest(self, start: int, end: int) -> int:
        """A line without an end; one that is too long already ends the session, as what follows is no command."""
        if end - start > LINE_MAX_BYTES:
            self._refuse(texts.TOO_LONG)
            self._end(Want.CLOSE)
            return end
        return start

    def _take_line(self, line: bytes, now: float) -> None:
        line = line.removesuffix(b"\r")
        if self._phase is _Phase.COMMAND:
            verb, _, rest = line.partition(b" ")
            command = _COMMANDS.get(verb) or _COMMANDS.get(verb.upper())
            if command is None:
                self._err(texts.UNRECOGNIZED)
            else:
                command(self, rest.strip(), now)
        else:
            self._respond(line, now)

    def _hello(self, rest: bytes, now: float, *, is_extended: bool = True) -> None:
        if self._strikes("ehlo", now):
            return
        if not is_domain_argument(rest):
            self._err(texts.BAD_DOMAIN)
            return
        self._greeted = True
        self._reset()
        first = f"{self._service.front} Hello [{self.visit.client}]".encode()
        lines = (first, *(self._service.keywords(self.is_secured) if is_extended else ()))
        self._out.extend(b"250-%b\r\n" % line for line in lines[:-1])
        self._say(b"250 " + lines[-1])

    def _helo(self, rest: bytes, now: float) -> None:
        self._hello(rest, now, is_extended=False)

    def _starttls(self, rest: bytes, now: float) -> None:
        if self._strikes("starttls", now):
            return
        if self.is_secured:
            self._err(texts.BAD_SEQUENCE)
        elif rest:
            self._err(texts.BAD_ARGUMENTS)
        else:
            self._say(texts.STARTTLS_READY)
            self.want = Want.START_TLS

    def _mail_from(self, rest: bytes, now: float) -> None:
        if self._strikes("mail", now):
            return
        refusal = self._out_of_order()
        if refusal is not None:
            self._err(refusal)
            return
        rest, self._is_binary = _without_binarymime(rest)
        command = parse_mail(rest)
        if isinstance(command, Reply):
            self._err(texts.BAD_SENDER if command.enhanced == "5.1.7" else texts.BAD_ARGUMENTS)
            return
        if self._service.message_size and command.size > self._service.message_size:
            self._ledger.violations["message_size"] += 1
            self._refuse(texts.MESSAGE_TOO_LARGE)
            return
        reply = self._service.judge_sender(self.visit, command.sender, now)
        if reply[:1] == b"2":
            self._mail = Mail(command.sender, now)
            self._is_utf8 = command.is_utf8
        self._answer(reply)

    def _rcpt_to(self, rest: bytes, now: float) -> None:
        if self._strikes("rcpt", now):
            return
        mail = self._mail
        if mail is None or self._is_chunked:
            self._err(texts.NEED_MAIL if mail is None else texts.BAD_SEQUENCE)
            return
        command = parse_rcpt(rest, is_utf8=self._is_utf8)
        if isinstance(command, Reply):
            self._err(texts.BAD_RECIPIENT)
            return
        reply = self._service.judge_recipient(self.visit, mail, command.recipient, now)
        if reply[:1] == b"2":
            mail.recipients.append(command.recipient)
        self._answer(reply)

    def _data(self, rest: bytes, now: float) -> None:
        if self._strikes("data", now):
            return
        if self._mail is None or not self._mail.recipients:
            self._err(texts.NEED_MAIL if self._mail is None else texts.NEED_RCPT)
        elif self._is_chunked or self._is_binary:
            self._err(texts.BAD_SEQUENCE)
        else:
            self._say(texts.START_MAIL)
            self._content.begin()
            self._phase = _Phase.DATA
            self._strikes("content", now)

    def _bdat(self, rest: bytes, now: float) -> None:
        command = parse_bdat(rest)
        if isinstance(command, Reply):
            self._refuse(texts.BAD_ARGUMENTS)
            self._end(Want.CLOSE)
            return
        self._phase = _Phase.CHUNK
        is_wanted = self._mail is not None and bool(self._mail.recipients)
        self._content.begin_chunk(command.size, is_last=command.is_last, is_wanted=is_wanted)
        if is_wanted and not self._is_chunked:
            self._content.begin()
            self._is_chunked = True
            self._strikes("content", now)

    def _rset(self, rest: bytes, now: float) -> None:
        self._reset()
        self._say(texts.RESETTING)

    def _noop(self, rest: bytes, now: float) -> None:
        self._say(texts.OK)

    def _vrfy(self, rest: bytes, now: float) -> None:
        self._say(texts.CANNOT_VERIFY)

    def _help(self, rest: bytes, now: float) -> None:
        self._say(texts.HELP)

    def _quit(self, rest: bytes, now: float) -> None:
        self.said_quit = True
        self._say(texts.BYE)
        self._end(Want.CLOSE)

    def _out_of_order(self) -> bytes | None:
        if not self._greeted:
            return texts.HELLO_FIRST
        if self._mail is not None:
            return texts.SENDER_ALREADY
        if self._service.offers_auth and not self.is_secured:
            return texts.STARTTLS_FIRST
        return None

    # AUTH

    def _auth(self, rest: bytes, now: float) -> None:
        if self._strikes("auth", now):
            return
        mechanism, _, initial = rest.partition(b" ")
        if not self._service.offers_auth or not self._greeted:
            self._err(texts.UNRECOGNIZED if self._greeted else texts.HELLO_FIRST)
        elif not self.is_secured:
            self._err(texts.STARTTLS_FIRST)
        elif self.visit.account is not None:
            self._err(texts.AUTH_ALREADY)
        elif mechanism.upper() not in Dialogue.MECHANISMS:
            self._err(texts.AUTH_UNKNOWN)
        else:
            assert self._doorkeeper is not None, "AUTH is refused where nobody judges it"
            self._dialogue = Dialogue(mechanism.upper(), self._doorkeeper, self.visit)
            self._phase = _Phase.AUTH
            if initial:
                self._respond(initial, now)
            else:
                self._say(self._dialogue.question)

    def _respond(self, line: bytes, now: float) -> None:
        assert self._dialogue is not None
        answer = self._dialogue.respond(line, now)
        if isinstance(answer, bytes):
            self._say(answer)
            return
        self._phase, self._dialogue = _Phase.COMMAND, None
        if isinstance(answer, Judged):
            self._end_dialogue(answer.reply, now)
        else:
            self._err(texts.BAD_ARGUMENTS)

    def _end_dialogue(self, reply: bytes, now: float) -> None:
        assert self._doorkeeper is not None
        delay_s = self._doorkeeper.tenant.options.auth_delay
        if delay_s:
            self._pending, self.wake_at = reply, now + delay_s
        else:
            self._answer_login(reply)

    def _answer_login(self, reply: bytes) -> None:
        self._answer(reply)
        if reply[:1] != b"2":
            self._ledger.violations["logon"] += 1
            self._failures += 1
            if self._limits.logon_failures and self._failures >= self._limits.logon_failures:
                self._refuse(texts.TOO_MANY_ERRORS)
                self._end(Want.CLOSE)

    # Content

    def _read_data(self, buffer: bytearray, start: int, end: int, now: float) -> int:
        start = self._content.read_data(buffer, start, end)
        if self._content.data_has_ended:
            self._end_content(now)
        return start

    def _read_chunk(self, buffer: bytearray, start: int, end: int, now: float) -> int:
        content = self._content
        start = content.read_chunk(buffer, start, end)
        if content.chunk_left:
            return start
        self._phase = _Phase.COMMAND
        if not self._is_chunked:
            self._err(texts.NEED_MAIL if self._mail is None else texts.NEED_RCPT)
        elif content.is_last_chunk:
            self._end_content(now)
        else:
            self._say(b"250 2.6.0 CHUNK received OK, %d octets" % content.size)
        return start

    def _end_content(self, now: float) -> None:
        mail = self._mail
        assert mail is not None
        self._phase = _Phase.COMMAND
        if self._strikes("end", now):
            self._reset()
            return
        mail.size = self._content.size
        mail.read_header(self._content.header())
        refusal = self._unfit(mail)
        if refusal is not None:
            self._reset()
            self._refuse(refusal)
            return
        self._is_whole = True
        self._judge(now)

    def _unfit(self, mail: Mail) -> bytes | None:
        """What no rule of a service is needed for."""
        if self._content.is_too_large:
            self._ledger.violations["message_size"] += 1
            return texts.MESSAGE_TOO_LARGE
        if self._content.is_damaged:
            return texts.BAD_CONTENT
        if self._limits.header_size and mail.header_size > self._limits.header_size:
            self._ledger.violations["header_size"] += 1
            return texts.HEADER_TOO_LARGE
        return None

    def _judge(self, now: float) -> None:
        mail = self._mail
        assert mail is not None
        reply = self._service.judge_mail(self.visit, mail, now)
        if isinstance(reply, Later):
            self.wake_at = reply.at
            return
        if reply[:1] == b"2" and self._keep_content is not None:
            self._keep_content(bytes(self._content.decoded), self._ledger.accepted)
        self._reset()
        if reply[:1] != b"2" or not self._strikes("accepted", now):
            self._answer(reply)

    # What they lean on

    def _reset(self) -> None:
        self._mail = None
        self._is_chunked = self._is_binary = self._is_utf8 = self._is_whole = False
        self._content.drop()

    def _strikes(self, step: str, now: float) -> bool:
        """Does a fault happen here? Then it has."""
        if not self._faults:
            return False
        account = self.visit.account
        strike = self._faults.strike(step, account.address if account else "", now)
        if strike is None:
            return False
        self._ledger.faults[f"{step}: {strike.reply.decode() or strike.action}"] += 1
        if strike.action == "stall":
            self._phase = _Phase.DEAF
        elif strike.action == "reset":
            self._end(Want.RESET)
        else:
            self._refuse(strike.reply)
            if strike.reply.startswith(b"421") or step == "connect":
                self._end(Want.CLOSE)
        return True

    def _end(self, want: Want) -> None:
        self.want = want
        self._phase = _Phase.DEAF
        self.leave()

    def _say(self, reply: bytes) -> None:
        self._out.append(reply + b"\r\n")

    def _answer(self, reply: bytes) -> None:
        if reply[:1] in b"45":
            self._ledger.refuse(reply)
        self._out.append(reply + b"\r\n")

    _refuse = _answer

    def _err(self, reply: bytes) -> None:
        """A fault of the client's; too many end the session."""
        self._refuse(reply)
        # What follows from a MAIL or RCPT that was refused, as in a pipelined group, is no further fault.
        self._errors += reply not in (texts.NEED_MAIL, texts.NEED_RCPT)
        if self._limits.protocol_errors and self._errors >= self._limits.protocol_errors:
            self._refuse(texts.TOO_MANY_ERRORS)
            self._end(Want.CLOSE)


def _without_binarymime(rest: bytes) -> tuple[bytes, bool]:
    """MAIL's arguments without BODY=BINARYMIME (RFC 3030), and whether it was there."""
    words = rest.split(b" ")
    kept = [word for word in words if word.upper() != b"BODY=BINARYMIME"]
    return (rest, False) if len(kept) == len(words) else (b" ".join(kept), True)


_COMMANDS: dict[bytes, Callable[[Session, bytes, float], None]] = {
    b"EHLO": Session._hello,
    b"HELO": Session._helo,
    b"STARTTLS": Session._starttls,
    b"AUTH": Session._auth,
    b"MAIL": Session._mail_from,
    b"RCPT": Session._rcpt_to,
    b"DATA": Session._data,
    b"BDAT": Session._bdat,
    b"RSET": Session._rset,
    b"NOOP": Session._noop,
    b"VRFY": Session._vrfy,
    b"HELP": Session._help,
    b"QUIT": Session._quit,
}
