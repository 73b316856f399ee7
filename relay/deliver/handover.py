"""The receivers' hints, server's side: frames from a Unix socket to the queue.

A hint is believed only so far as to look: the spool decides. While the queue is
being rebuilt nothing is read, so that the kernel's buffer and the receivers' own
bounds hold what comes; they ask for a scan when theirs overflow. A connection that
ends, however it ends, costs a scan from its first id on: its receiver may have
died between commit and hint.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from relay.spool.handover import FrameReader, Hello, Queued

READ_BYTES = 65_536
"""Some 1,000 hints; a receiver sends a frame a commit, which has 512 at most."""


class Intake(Protocol):
    """Where hints go."""

    def take(self, mails: Sequence[Queued]) -> None: ...
    def rescan(self, slot: int, first_id: int) -> None: ...


class HandoverServer:
    """Listens for receivers."""

    def __init__(self, path: Path, connections_max: int, intake: Intake) -> None:
        self._path = path
        self._connections_max = connections_max
        self._intake = intake
        self._server: asyncio.Server | None = None
        self._connections: set[_Receiver] = set()
        self.is_reading = False

    async def listen(self) -> None:
        """Bind the socket, for this user only; what a dead deliverer left of it goes."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # fchmod before bind: there is no moment in which others may connect.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(str(self._path))
            os.chmod(self._path, 0o600)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._accept, sock=listener)
        except BaseException:
            listener.close()
            raise

    def read(self) -> None:
        """The queue is rebuilt: hints are welcome."""
        self.is_reading = True
        for connection in list(self._connections):
            connection.resume()

    def close(self) -> None:
        """Nothing more is taken; the spool keeps what was not said."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> "_Receiver":
        return _Receiver(self, self._intake)

    def opened(self, connection: "_Receiver") -> bool:
        """A receiver came; False when there are too many."""
        if len(self._connections) >= self._connections_max:
            return False
        self._connections.add(connection)
        return True

    def ended(self, connection: "_Receiver") -> None:
        """A receiver went."""
        self._connections.discard(connection)


class _Receiver(asyncio.BufferedProtocol):
    """One receiver's connection."""

    def __init__(self, server: HandoverServer, intake: Intake) -> None:
        self._server = server
        self._intake = intake
        self._reader = FrameReader()
        self._view = memoryview(bytearray(READ_BYTES))
        self._early = b""
        """Read before hints were welcome."""
        self._hello: Hello | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio types it as the base class; a stream protocol is always given a Transport.
        self._transport = cast(asyncio.Transport, transport)
        if not self._server.opened(self):
            self._transport.abort()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
            early, self._early = self._early, b""
            self._feed(early)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        if self._server.is_reading:
            self._feed(self._view[:nbytes])
        elif self._transport is not None:
            # Not before: uvloop begins to read after connection_made, whatever was paused there.
            self._transport.pause_reading()
            self._early += self._view[:nbytes]

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            for frame in self._reader.feed(data):
                if isinstance(frame, Hello):
                    self._greet(frame)
                else:
                    self._intake.take(frame)
        except ValueError:
            # Out of step: hang up, which scans; the receiver comes again with a new Hello.
            self.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.ended(self)
        if self._hello is not None:
            self._intake.rescan(self._hello.slot, self._hello.first_id)

    def _greet(self, hello: Hello) -> None:
        self._hello = hello
        self._intake.rescan(hello.slot, hello.first_id)
