"""A next hop that does what a test tells it: records mail, refuses, stalls, hangs up.

It reads as a server must (commands may stand behind the final dot in one read) and
checks what the client may not do: a second command before a reply when PIPELINING
was not offered, content nobody asked for.
"""

import asyncio
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType

PLAIN_EXTENSIONS = (
    "PIPELINING",
    "SIZE 209715200",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "CHUNKING",
    "ENHANCEDSTATUSCODES",
)


@dataclass
class Sunk:
    """One mail that was taken."""

    mail: bytes
    rcpts: list[bytes]
    content: bytes


@dataclass
class Script:
    """What the sink does; all of it may change while it runs."""

    extensions: tuple[str, ...] = PLAIN_EXTENSIONS
    greeting: bytes = b"220 sink.test ESMTP"
    replies: dict[bytes, bytes] = field(default_factory=dict)
    """Beginning of a command → reply instead of the usual one; b"." is the end of the content."""
    once: dict[bytes, bytes] = field(default_factory=dict)
    """As `replies`, but each only once."""
    hang_up_at: set[bytes] = field(default_factory=set)
    """Beginnings of commands at which the connection is dropped, each once."""
    stall_at: set[bytes] = field(default_factory=set)
    """Beginnings of commands that are never answered."""
    hang_up_after_mails: int = 0
    """Say 421 after so many mails of a connection; 0 is never."""
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    login: tuple[str, str] | None = None
    tokens: Container[str] | None = None
    """AUTH XOAUTH2 is offered and takes these."""
    token_complaint: bytes = b""
    """Sent behind a 334 before a token is refused, as Google does."""
    injected: bytes = b""
    """Sent in one write with the reply to STARTTLS."""
    verdict_delay_s: float = 0.0


class Sink:
    """`async with Sink(script) as sink:` listens on `sink.port` of the loopback."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.mails: list[Sunk] = []
        self.commands: list[bytes] = []
        self.logins: list[tuple[str, str]] = []
        """Mailboxes with the tokens that were tried."""
        self.connections = 0
        self.open_connections = 0
        self.peak_connections = 0
        self.broken_rules: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> "Sink":
        context = self.script.tls if self.script.implicit_tls else None
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, limit=1 << 20, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        assert not self.broken_rules, self.broken_rules

    async def close(self) -> None:
        """No new connections; those there are end."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def received(self, count: int, timeout_s: float = 10.0) -> list[Sunk]:
        """The mails, once there are `count` of them."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    async def heard(self, beginning: bytes, times: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until a command came."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(
                lambda: sum(line.startswith(beginning) for line in self.commands) >= times
            )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        self.peak_connections = max(self.peak_connections, self.open_connections)
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.open_connections -= 1
            writer.transport.abort()

    async def note(self, line: bytes) -> None:
        self.commands.append(line)
        async with self._changed:
            self._changed.notify_all()

    async def take(self, mail: Sunk) -> None:
        self.mails.append(mail)
        async with self._changed:
            self._changed.notify_all()


class _HangUp(ConnectionError):
    pass


class _Session:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink = sink
        self.script = sink.script
        self.reader = reader
        self.writer = writer
        self.is_tls = sink.script.implicit_tls
        self.is_pipelining = False
        self.is_known = False
        self.mail: bytes | None = None
        self.rcpts: list[bytes] = []
        self.chunks = b""
        self.taken = 0

    async def run(self) -> None:
        self.say(self.script.greeting)
        if not self.script.greeting.startswith(b"2"):
            await self.writer.drain()
            return
        while line := await self.reader.readline():
            await self.obey(line.rstrip(b"\r\n"))
            await self.writer.drain()
            if line.upper().startswith(b"QUIT"):
                return

    def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))

    def told(self, line: bytes) -> bytes | None:
        """The scripted reply to a command, if there is one; may hang up instead."""
        for beginning in list(self.script.hang_up_at):
            if line.startswith(beginning):
                self.script.hang_up_at.discard(beginning)
                raise _HangUp
        for beginning in list(self.script.once):
            if line.startswith(beginning):
                return self.script.once.pop(beginning)
        return next((reply for start, reply in self.script.replies.items() if line.startswith(start)), None)

    async def obey(self, line: bytes) -> None:
        await self.sink.note(line)
        # What waits behind this command came before our reply to it.
        waiting = len(self.reader._buffer)  # type: ignore[attr-defined]  # asyncio shows it no other way
        verb = line.split(b" ", 1)[0].upper()
        if waiting and not self.is_pipelining and verb not in (b"DATA", b"BDAT"):
            self.sink.broken_rules.append(f"more followed {line!r} without PIPELINING")
        if any(line.startswith(beginning) for beginning in self.script.stall_at):
            await asyncio.Event().wait()
        reply = self.told(line)
        if verb == b"BDAT":
            await self.bdat(line, reply)
        elif reply is not None:
            self.say(reply)
            if reply.startswith(b"421"):
                await self.writer.drain()
                raise _HangUp
            if reply.startswith(b"354"):
                await self.content()
        else:
            await self.usual(verb, line)

    async def usual(self, verb: bytes, line: bytes) -> None:
        match verb:
            case b"EHLO":
                self.ehlo()
            case b"HELO":
                self.say(b"250 sink.test")
            case b"STARTTLS":
                await self.starttls()
            case b"AUTH":
                await self.auth(line)
            case b"MAIL":
                self.begin(line)
            case b"RCPT" if self.mail is not None:
                self.rcpts.append(line)
                self.say(b"250 2.1.5 Ok")
            case b"DATA" if self.rcpts:
                self.say(b"354 Go ahead")
                await self.content()
            case b"DATA" if self.mail is not None:
                self.say(b"554 5.5.1 No valid recipients")
            case b"RSET":
                self.forget()
                self.say(b"250 2.0.0 Ok")
            case b"QUIT":
                self.say(b"221 2.0.0 Bye")
            case _:
                self.say(b"503 5.5.1 Bad sequence or unknown command")

    def begin(self, line: bytes) -> None:
        if self.mail is not None:
            self.say(b"503 5.5.1 Nested MAIL")
        elif (self.script.login or self.script.tokens is not None) and not self.is_known:
            self.say(b"530 5.7.0 Authentication required")
        else:
            self.mail = line
            self.say(b"250 2.1.0 Ok")

    def ehlo(self) -> None:
        keywords = list(self.script.extensions)
        if self.script.tls is not None and not self.is_tls:
            keywords.append("STARTTLS")
        if self.script.login is not None and not any(k.startswith("AUTH") for k in keywords):
            keywords.append("AUTH PLAIN LOGIN")
        if self.script.tokens is not None:
            keywords.append("AUTH XOAUTH2")
        self.is_pipelining = "PIPELINING" in keywords
        lines = ["sink.test", *keywords]
        self.say(*(f"250-{text}".encode() for text in lines[:-1]), f"250 {lines[-1]}".encode())

    async def starttls(self) -> None:
        assert self.script.tls is not None
        self.writer.write(b"220 2.0.0 Go ahead\r\n" + self.script.injected)
        await self.writer.drain()
        await self.writer.start_tls(self.script.tls)
        self.is_tls = True
        self.forget()

    async def auth(self, line: bytes) -> None:
        words = line.split(b" ")
        if words[1] == b"XOAUTH2":
            await self.xoauth2()
            return
        if words[1] == b"PLAIN":
            if len(words) < 3:
                self.say(b"334 ")
                words.append((await self.reader.readline()).rstrip())
            _, name, password = b64decode(words[2]).split(b"\0")
        else:
            answers = []
            for prompt in (b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6"):
                self.say(prompt)
                answers.append(b64decode((await self.reader.readline()).rstrip()))
            name, password = answers
        assert self.script.login is not None
        self.is_known = (name.decode(), password.decode()) == self.script.login
        self.say(b"235 2.7.0 Welcome" if self.is_known else b"535 5.7.8 Wrong name or password")

    async def xoauth2(self) -> None:
        self.say(b"334 ")
        blob = b64decode((await self.reader.readline()).rstrip())
        user, auth, *rest = blob.split(b"\x01")
        assert user.startswith(b"user=") and auth.startswith(b"auth=Bearer ") and rest == [b"", b""], blob
        mailbox, token = user[5:].decode(), auth[12:].decode()
        self.sink.logins.append((mailbox, token))
        assert self.script.tokens is not None
        self.is_known = token in self.script.tokens
        if not self.is_known and self.script.token_complaint:
            self.say(b"334 " + b64encode(self.script.token_complaint))
            assert await self.reader.readline() == b"\r\n"
        refusal = b"535 5.7.3 Authentication unsuccessful [SY5P282CA0097.AUSP282.PROD.OUTLOOK.COM]"
        self.say(b"235 2.7.0 Authentication successful" if self.is_known else refusal)

    async def content(self) -> None:
        lines: list[bytes] = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _HangUp
            lines.append(line[1:] if line.startswith(b".") else line)
        await self.verdict(b"".join(lines))

    async def bdat(self, line: bytes, reply: bytes | None) -> None:
        words = line.split(b" ")
        self.chunks += await self.reader.readexactly(int(words[1]))
        is_last = words[-1] == b"LAST"
        if reply is not None:
            self.say(reply)
        elif not self.rcpts:
            self.say(b"503 5.5.1 No valid recipients")
        elif is_last:
            await self.verdict(self.chunks)
        else:
            self.say(b"250 2.0.0 Chunk Ok")

    async def verdict(self, content: bytes) -> None:
        await self.sink.note(b".")
        mail, rcpts = self.mail or b"", self.rcpts
        self.forget()
        if b"." in self.script.stall_at:
            await asyncio.Event().wait()
        if self.script.verdict_delay_s:
            await asyncio.sleep(self.script.verdict_delay_s)
        reply = self.told(b".")
        if reply is None and not rcpts:
            reply = b"554 5.5.1 No valid recipients"
        if reply is not None:
            self.say(reply)
            return
        self.taken += 1
        self.say(b"250 2.0.0 Ok: queued as %d" % (len(self.sink.mails) + 1))
        await self.sink.take(Sunk(mail, rcpts, content))
        if self.taken == self.script.hang_up_after_mails:
            self.say(b"421 4.7.0 Enough for now")
            await self.writer.drain()
            raise _HangUp

    def forget(self) -> None:
        self.mail, self.rcpts, self.chunks = None, [], b""


@asynccontextmanager
async def closed_port() -> AsyncIterator[int]:
    """A port of the loopback at which nobody listens."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    yield int(port)
