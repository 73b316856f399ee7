"""The demo's smarthost: takes every mail, after STARTTLS only, and counts it."""

import asyncio
from collections.abc import Callable

from relay.tls import ServerContext

CONTENT_MAX_BYTES = 1_048_576
IDLE_S = 120.0


class Smarthost:
    """Listens on loopback; `arrived` is called with each content, unstuffed."""

    def __init__(self, context: ServerContext, arrived: Callable[[bytes], None]) -> None:
        self._context = context
        self._arrived = arrived
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.StreamWriter] = set()

    async def listen(self) -> int:
        """Begin; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CONTENT_MAX_BYTES)
        port = self._server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    async def close(self) -> None:
        """End, and hang up on those who are still there."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._sessions):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sessions.add(writer)
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # The relay hung up; it tries again if it has reason to.
        finally:
            self._sessions.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_safe = False
        writer.write(b"220 smarthost.example.net ESMTP\r\n")
        while True:
            async with asyncio.timeout(IDLE_S):
                line = await reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            if verb == b"STAR":
                writer.write(b"220 2.0.0 go on\r\n")
                await writer.drain()
                await writer.start_tls(self._context)
                is_safe = True
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                writer.write(await self._take(reader))
            else:
                writer.write(_reply(verb, is_safe))

    async def _take(self, reader: asyncio.StreamReader) -> bytes:
        stuffed = await reader.readuntil(b"\r\n.\r\n")
        self._arrived((b"\r\n" + stuffed[:-3]).replace(b"\r\n.", b"\r\n")[2:])
        return b"250 2.0.0 taken\r\n"


def _reply(verb: bytes, is_safe: bool) -> bytes:
    if verb == b"EHLO":
        last = b"250 8BITMIME\r\n" if is_safe else b"250 STARTTLS\r\n"
        return b"250-smarthost.example.net\r\n250-PIPELINING\r\n" + last
    if verb in (b"MAIL", b"RCPT") and not is_safe:
        return b"530 5.7.0 STARTTLS first\r\n"
    return b"250 2.0.0 fine\r\n"
