"""The control socket: a Unix socket for commands, the thin side of it.

A client can hurt nobody: connections, requests, times and what waits to be sent are
bounded. One that reads slowly misses progress and is hung up on at the end; one that goes
away ends its order at the next slice.
"""

import asyncio
import os
import socket
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from relay.config.configuration import ControlOptions
from relay.control.answer import Answer, Progress, Refused, line
from relay.control.caller import Caller, caller_of
from relay.control.office import Office
from relay.control.request import Problem, Request
from relay.control.session import Session
from relay.errors import ConfigurationError

CONNECTIONS_MAX = 16
"""People and their scripts; who comes when as many are there is told so."""
REQUEST_WITHIN_S = 30.0
"""Between two requests, or two parts of one; a command sends its own at once."""
TAKE_WITHIN_S = 10.0
"""How long a client may take to read what is left of an answer."""
UNSENT_MAX_BYTES = 65_536
"""What waits for a slow client, before progress is left out and the rest waits for him."""
CLOSE_WITHIN_S = 2.0
"""How long orders under way have, when the deliverer ends, to say how far they came."""
READ_BYTES = 65_536


class ControlServer:
    """Listens for commands."""

    def __init__(self, options: ControlOptions, office: Office) -> None:
        self._options = options
        self._office = office
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._resting: set[asyncio.StreamWriter] = set()
        """Connections with nothing under way."""
        self._is_closing = False

    async def listen(self) -> None:
        """Bind the socket; ConfigurationError when it cannot be. What a dead deliverer left of it goes."""
        path = self._options.path
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _drop_stale(path)
            # fchmod before bind: there is no moment in which others may connect.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(str(path))
            if self._options.group is not None:
                os.chown(path, -1, self._options.group)
            os.chmod(path, self._options.mode)
            self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=READ_BYTES)
        except OSError as error:
            listener.close()
            raise ConfigurationError(
                f"the control socket {path} cannot be made: {error.strerror}; see path, mode and group in [control]"
            ) from error
        except BaseException:
            listener.close()
            raise

    async def close(self) -> None:
        """Nothing more is taken; orders under way say how far they came."""
        self._is_closing = True
        self._office.close()
        if self._server is not None:
            self._server.close()
            self._options.path.unlink(missing_ok=True)
        for writer in list(self._resting):
            writer.transport.abort()
        await self._ended()
        for writer in list(self._tasks.values()):
            writer.transport.abort()
        await self._ended()

    async def _ended(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CLOSE_WITHIN_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        try:
            # Reset by the client, or too slow: nobody is left to be told.
            with suppress(OSError, TimeoutError):
                await self._serve(reader, writer)
        finally:
            self._tasks.pop(task)
            # What a client did not take by now, it does not get: close() would wait for it.
            writer.transport.abort() if _unsent(writer) else writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=UNSENT_MAX_BYTES)
        if len(self._tasks) > CONNECTIONS_MAX:
            problem = Problem(
                f"there are {CONNECTIONS_MAX} connections already", "try again when one has ended"
            )
            await _send(writer, Refused.of(problem))
            return
        caller = caller_of(writer.get_extra_info("socket"))
        session = Session()
        while not session.is_over and not self._is_closing:
            self._resting.add(writer)
            try:
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    data = await reader.read(READ_BYTES)
            finally:
                self._resting.discard(writer)
            if not data:
                return
            for request in session.feed(data):
                await self._answer(request, caller, reader, writer)

    async def _answer(
        self,
        request: Request | Problem,
        caller: Caller,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if isinstance(request, Problem):
            await _send(writer, Refused.of(request))
            return

        def is_wanted() -> bool:
            return not (writer.is_closing() or reader.at_eof())

        for answer in await self._office.answer(request, caller, partial(_tell, writer), is_wanted):
            await _send(writer, answer)


def _tell(writer: asyncio.StreamWriter, progress: Progress) -> None:
    """Progress is for who reads along: it waits for nobody."""
    if not writer.is_closing() and _unsent(writer) < UNSENT_MAX_BYTES:
        writer.write(line(progress))


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    """TimeoutError, ConnectionError."""
    writer.write(line(answer))
    async with asyncio.timeout(TAKE_WITHIN_S):
        await writer.drain()


def _unsent(writer: asyncio.StreamWriter) -> int:
    return writer.transport.get_write_buffer_size()


def _drop_stale(path: Path) -> None:
    """A socket that nobody listens on any more; anything else at that place is not ours to remove."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            path.unlink()
