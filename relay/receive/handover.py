"""The word to the deliverer: these mails are committed.

A client of the deliverer's Unix socket that never makes a session wait. What is
committed in one turn of the loop leaves as one frame. A hint that cannot be sent
(no deliverer, or one that does not read) is dropped, and the next Hello asks the
deliverer to scan the spool from the first mail it may have missed.
"""

import asyncio
from pathlib import Path
from typing import cast

from relay.clock import Clock
from relay.message.queue_id import EPOCH_MS
from relay.spool.handover import Hello, Queued, encode, frames

BACKLOG_BYTES = 4_194_304
"""Unsent hints, about 20,000 mails: beyond, the deliverer is stuck and a scan is cheaper than more memory."""
FRAME_MAILS = 4_096
"""Of one frame; at some 200 bytes a mail below MAX_FRAME_BYTES, unless they go to very many."""
RETRY_FIRST_S = 0.05
RETRY_MAX_S = 2.0
"""Between attempts to connect; a deliverer that restarts is found again within this."""


class Handover(asyncio.Protocol):
    """One a receiver; reconnects by itself between `start` and `close`."""

    def __init__(
        self, path: Path, slot: int, clock: Clock, *, open_mails_s: float, backlog_bytes: int = BACKLOG_BYTES
    ) -> None:
        """`open_mails_s`: for how long a mail that has its id may still come in, the transaction time-out at most."""
        self._path = path
        self._slot = slot
        self._clock = clock
        self._open_mails_s = open_mails_s
        self._backlog_bytes = backlog_bytes
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._is_full = False
        self._batch: list[Queued] = []
        self._missed: int | None = None
        """The lowest id whose hint did not leave for sure."""
        self._unsent: int | None = None
        """The lowest id written since the transport's buffer was seen empty."""

    @property
    def is_connected(self) -> bool:
        """The deliverer listens."""
        return self._transport is not None

    async def start(self) -> None:
        """Begin to connect; does not wait for it."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected())

    async def close(self) -> None:
        """Send what waits and disconnect."""
        self._flush()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def announce(self, queued: Queued) -> None:
        """The mail is committed."""
        if not self._batch:
            asyncio.get_running_loop().call_soon(self._flush)
        self._batch.append(queued)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are, and from which mail on a hint may be missing."""
        self._transport = cast(
            asyncio.Transport, transport
        )  # a stream's is one; uvloop's is no subclass of it
        self._is_full = False
        self._lost.clear()
        self._transport.set_write_buffer_limits(high=self._backlog_bytes)
        self._say_hello()

    def connection_lost(self, exc: Exception | None) -> None:
        """The deliverer is gone; what it may not have read is to be found by a scan."""
        self._transport = None
        if self._unsent is not None:
            self._miss(self._unsent)
        self._unsent = None
        self._lost.set()

    def pause_writing(self) -> None:
        """The backlog is full."""
        self._is_full = True

    def resume_writing(self) -> None:
        """The backlog has been read: if hints were dropped meanwhile, say so."""
        self._is_full = False
        if self._missed is not None:
            self._say_hello()

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        for start in range(0, len(batch), FRAME_MAILS):
            self._send(batch[start : start + FRAME_MAILS])

    def _send(self, mails: list[Queued]) -> None:
        transport = self._transport
        lowest = min([queued.id for queued in mails])
        if transport is None or transport.is_closing():
            self._miss(lowest)
            return
        if self._is_full:
            self._miss(lowest)
            return
        size = transport.get_write_buffer_size()
        self._unsent = lowest if not size or self._unsent is None else min(self._unsent, lowest)
        for frame in frames(mails):
            transport.write(frame)

    def _miss(self, id: int) -> None:
        self._missed = id if self._missed is None else min(self._missed, id)

    def _say_hello(self) -> None:
        """`first_id` also covers mails that have an id and are still coming in: should we die, they are looked for."""
        assert self._transport is not None
        oldest_ms = int((self._clock.now() - self._open_mails_s) * 1000) - EPOCH_MS
        first = max(oldest_ms, 0) << 22
        missed, self._missed = self._missed, None
        if missed is not None:
            first = min(first, missed)
        self._transport.write(encode(Hello(self._slot, first)))

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        delay = RETRY_FIRST_S
        while True:
            try:
                await loop.create_unix_connection(lambda: self, str(self._path))
            except OSError:
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)
                continue
            delay = RETRY_FIRST_S
            await self._lost.wait()
            await asyncio.sleep(delay)
