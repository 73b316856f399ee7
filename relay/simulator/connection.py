"""One connection: bytes into its buffer, the session over them, replies out in one write a read."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from relay.simulator.pace import Pace
from relay.simulator.session import Session, Want
from relay.simulator.tenant import Visit
from relay.tls import ServerContext, certificate_names

BUFFER_BYTES = 65_536
"""What uvloop reads at once; a command with a token fits several times."""
HANDSHAKE_WITHIN_S = 30.0
HANDSHAKE_ERRORS = (OSError, EOFError, RuntimeError)
"""ssl.SSLError and the time-out are OSErrors; uvloop raises RuntimeError for a transport that closed meanwhile."""
LINGER_S = 0.25
"""After a 421 we read on so long: closing with bytes unread sends a reset, which can overtake the reply."""
_LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing sends a reset."""


class Shared:
    """What the connections of one listener share."""

    def __init__(self, make_session: Callable[[Visit], Session], context: ServerContext, pace: Pace) -> None:
        self.make_session = make_session
        self.context = context
        self.pace = pace
        self.open: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()
        self._number = 0

    def next_session_id(self) -> str:
        """Sixteen hexadecimal digits, as in the banner; they differ from session to session."""
        self._number += 1
        # Odd, so that it runs through all numbers below 2**48 before it repeats one.
        return f"08DE{self._number * 0x2A60_28D2_6C23 % (1 << 48):012X}"

    def sweep(self) -> None:
        """Let time pass for all of them."""
        for connection in list(self.open):
            connection.sweep()


class Connection(asyncio.BufferedProtocol):
    """From accept to close."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._data = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._data)
        self._end = 0
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_choked = False
        self._is_secured = False
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)  # a stream's transport is one
        shared = self._shared
        shared.open.add(self)
        now = shared.pace.now()
        # A client that is gone already has no name.
        peer = transport.get_extra_info("peername") or ("0.0.0.0",)
        visit = Visit(peer[0], shared.next_session_id(), now)
        self._session = shared.make_session(visit)
        self._session.greet(now)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Never empty: reading is paused before it is full."""
        return self._view[self._end :] if self._end else self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        self._end += nbytes
        self._advance()

    def pause_writing(self) -> None:
        """The client does not read our replies: produce no more."""
        self._is_choked = True
        self._pause(True)

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_choked = False
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, from either side."""
        self._transport = None
        self._shared.open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._session is not None:
            self._session.leave()
            self._session = None

    def sweep(self) -> None:
        """Time has passed, perhaps all at once by the control: then the timer is late."""
        session = self._session
        if session is None:
            return
        now = self._shared.pace.now()
        if session.wake_at and now >= session.wake_at:
            self._advance()
        session.sweep(now)
        self._flush()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        session = self._session
        if session is None or self._is_choked:
            return
        start = session.receive(self._data, 0, self._end, self._shared.pace.now())
        left = self._end - start
        if left and start:
            # They may overlap; a memoryview moves bytes as memmove does.
            self._view[:left] = self._view[start : self._end]
        self._end = left
        self._flush()
        self._pause(left == BUFFER_BYTES or self._is_choked)
        if session.wake_at and self._timer is None:
            wait_s = self._shared.pace.real_s(session.wake_at - self._shared.pace.now())
            self._timer = self._shared.loop.call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._advance()

    def _pause(self, wanted: bool) -> None:
        if wanted is self._is_paused or self._transport is None:
            return
        self._is_paused = wanted
        if wanted:
            self._transport.pause_reading()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _flush(self) -> None:
        session, transport = self._session, self._transport
        if session is None or transport is None or transport.is_closing():
            return
        if session.want is Want.RESET:
            self._reset(transport)
            return
        out = session.take_output()
        if out:
            transport.write(out)
        if session.want is Want.CLOSE:
            self._close(transport, 0.0 if session.said_quit else LINGER_S)
        elif session.want is Want.START_TLS and not self._is_secured:
            self._is_secured = True
            transport.pause_reading()
            task = self._shared.loop.create_task(self._secure(transport))
            self._shared.tasks.add(task)
            task.add_done_callback(self._shared.tasks.discard)

    def _close(self, transport: asyncio.Transport, linger_s: float) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._shared.loop.call_later(linger_s, transport.close)

    def _reset(self, transport: asyncio.Transport) -> None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()

    async def _secure(self, transport: asyncio.Transport) -> None:
        try:
            secured = await self._shared.loop.start_tls(
                transport,
                self,
                self._shared.context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
            )
        except HANDSHAKE_ERRORS:
            transport.abort()
            return
        if secured is None or self._session is None:
            transport.abort()
            return
        self._transport = secured
        self._session.secured(certificate_names(secured))
        self._advance()
