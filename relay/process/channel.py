"""The line between the supervisor and a child: a pair of Unix sockets.

The child's end is its descriptor 0. Down goes one assignment, length first; up come
single bytes: `r` ready, `a` alive. Nothing else is said. When either end closes, the
other process knows that its peer is gone, however it ended.
"""

import asyncio
import socket
from collections.abc import Callable

READY = b"r"
ALIVE = b"a"
ALIVE_PERIOD_S = 1.0
ASSIGNMENT_MAX_BYTES = 16 * 1024 * 1024
"""Some 10,000 routes with their passwords."""
ASSIGNMENT_WITHIN_S = 30.0
"""The supervisor writes it before the child runs; more means that it is stuck."""


class Supervising:
    """The supervisor's end."""

    def __init__(self, said: Callable[[bytes], None]) -> None:
        """`said` is called with each byte of the child."""
        self._loop = asyncio.get_running_loop()
        self._said = said
        self._near, self.far = socket.socketpair()
        self._near.setblocking(False)
        self._unsent = b""
        self._loop.add_reader(self._near, self._read)

    def assign(self, payload: bytes) -> None:
        """Send the assignment; what the socket does not take at once follows."""
        self.far.close()
        self._unsent = len(payload).to_bytes(4, "big") + payload
        self._loop.add_writer(self._near, self._write)

    def close(self) -> None:
        """Hang up: a child that still runs drains."""
        if self._near.fileno() >= 0:
            self._loop.remove_reader(self._near)
            self._loop.remove_writer(self._near)
            self._near.close()
        self.far.close()

    def _write(self) -> None:
        try:
            sent = self._near.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""  # The child is gone; its end is seen elsewhere.
        else:
            self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._loop.remove_writer(self._near)

    def _read(self) -> None:
        try:
            words = self._near.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._loop.remove_reader(self._near)
        for word in words:
            self._said(bytes((word,)))


def receive_assignment(line: socket.socket) -> bytes:
    """The child's first act; EOFError when the supervisor is gone, TimeoutError when it is stuck."""
    line.settimeout(ASSIGNMENT_WITHIN_S)
    length = int.from_bytes(_exactly(line, 4), "big")
    if length > ASSIGNMENT_MAX_BYTES:
        raise ValueError(f"an assignment of {length} bytes exceeds {ASSIGNMENT_MAX_BYTES}")
    return _exactly(line, length)


def _exactly(line: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = line.recv(min(length - len(data), 262_144))
        if not piece:
            raise EOFError("the supervisor hung up")
        data += piece
    return bytes(data)
