"""An HTTP receiver on loopback that answers byte by byte as a test says."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from relay import tls

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """One request."""

    line: str
    fields: dict[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Asked:
    """The next one of a connection; IncompleteReadError when there is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rows = head.removesuffix("\r\n\r\n").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    return Asked(line, fields, await reader.readexactly(int(fields.get("content-length", "0"))))


@dataclass
class HttpReceiver:
    """`async with`; `answers` are given in order, the last one for ever."""

    certificate: tuple[Path, Path] | None = None
    answers: list[bytes] = field(default_factory=lambda: [OK])
    closes: bool = False
    """After each answer."""
    answer: Callable[[Asked], bytes] | None = None
    """Instead of `answers`; what is not `OK` is the end of the connection."""
    behave: Behave | None = None
    """Instead, after a request was read."""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> "HttpReceiver":
        context = None if self.certificate is None else tls.server_context(*map(str, self.certificate))
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.open:
            writer.transport.abort()
        await self.served()

    async def served(self) -> None:
        """Until every connection that was made is over."""
        await asyncio.gather(*self._tasks)

    @property
    def url(self) -> str:
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://localhost:{self.port}/events?of=mail"

    def _next(self) -> bytes:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                self.asked.append(await read_request(reader))
                if self.behave is not None:
                    await self.behave(reader, writer)
                    return
                said = self._next() if self.answer is None else self.answer(self.asked[-1])
                writer.write(said)
                await writer.drain()
                if self.closes or (self.answer is not None and said != OK):
                    return
        # RuntimeError: uvloop's, of a connection that the other side has ended.
        except (OSError, RuntimeError, asyncio.IncompleteReadError):
            return
        finally:
            self.open.discard(writer)
            self._tasks.discard(task)
            writer.close()
