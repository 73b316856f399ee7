"""The signer beside a receiver: started with it, started again when it ends, gone with it.

A receiver has one where its keys include RSA; with Ed25519 alone it signs in its loop.
Keys and questions go over socket pairs, never through arguments, environment or files.
The receiver does not wait for its signer: until it is there, and while it is not, a
thread of the receiver's signs (`relay.receive.signer_line`).
"""

import asyncio
import socket
from collections.abc import Callable, Sequence

from relay.clock import Clock
from relay.identity.dkim_key import SigningKey
from relay.message.dkim.signature import Algorithm
from relay.process import signer
from relay.process.child import Child
from relay.process.seat import Seat
from relay.receive.signer_line import SignerLine
from relay.receive.signer_thread import SignerThread
from relay.receive.signing import Done, Part
from relay.trace.event import ProcessStarted, Record

MODULE = "relay.process.signer"
STOP_WITHIN_S = 5.0
"""It ends as soon as it has made one batch of signatures: milliseconds."""


class SignerSeat:
    """`start` and `stop` are the receiver's. Implements `Signing`."""

    def __init__(self, number: int, keys: Sequence[SigningKey], record: Record, clock: Clock) -> None:
        """`number` is the receiver's."""
        self._loop = asyncio.get_running_loop()
        self._line = SignerLine(self._loop, keys, SignerThread(self._loop), self._kill)
        self._keys = keys
        self._record = record
        self._clock = clock
        self._seat = Seat(f"signer-{number}", self._start_one, record, clock, lambda seat, pid, status: None)
        self._near: socket.socket | None = None
        """Our end of the line to a signer that is not ready yet."""
        self._connecting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start a signer, if there is something to sign that takes a while; does not wait for it."""
        if any(key.algorithm is Algorithm.RSA_SHA256 for key in self._keys):
            self._seat.fill()

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        """Have one mail signed."""
        self._line.submit(parts, done)

    def close(self) -> None:
        """Hang up. The signer ends by that, sooner or later than `stop` is called, and none follows it."""
        self._seat.retire()
        self._line.close()

    async def stop(self) -> None:
        """After `close`: wait until the signer has ended."""
        self._let_go()
        if self._connecting is not None:
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._seat.stop(STOP_WITHIN_S)

    def _start_one(self, on_ready: Callable[[], None]) -> Child:
        self._let_go()
        near, far = socket.socketpair()
        near.setblocking(False)
        with far:
            try:
                told = signer.encode(far.fileno(), self._keys)
                child = Child(
                    self._seat.role,
                    MODULE,
                    told,
                    (far.fileno(),),
                    (),
                    self._clock,
                    lambda: self._on_ready(on_ready),
                )
            except OSError:
                near.close()
                raise
        self._near = near
        return child

    def _on_ready(self, on_ready: Callable[[], None]) -> None:
        near, self._near = self._near, None
        if near is not None:
            self._connecting = self._loop.create_task(self._connect(near))
        on_ready()

    async def _connect(self, near: socket.socket) -> None:
        await self._line.connect(near)
        self._record(ProcessStarted(role=self._seat.role))

    def _let_go(self) -> None:
        """A signer that never got ready, or does now, sees the end of its line."""
        if self._near is not None:
            self._near.close()
            self._near = None

    def _kill(self) -> None:
        if self._seat.child is not None:
            self._seat.child.kill()
