"""The scripted sink in a thread of its own, for tests whose clients are programs or blocking libraries."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.sink import Script, Sink, Sunk

WITHIN_S = 30.0


class Recording:
    """A sink that runs elsewhere."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        self.sink = sink
        self.port = sink.port
        self._loop = loop

    def received(self, count: int) -> list[Sunk]:
        """The mails, once there are so many."""
        waiting = asyncio.run_coroutine_threadsafe(self.sink.received(count, WITHIN_S), self._loop)
        return list(waiting.result(WITHIN_S + 5))

    def one(self) -> Sunk:
        """The only mail."""
        (mail,) = self.received(1)
        return mail


@contextmanager
def recording(script: Script | None = None) -> Iterator[Recording]:
    """A sink for the time of the block; rules the client broke fail the test at its end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    sink = Sink(script)
    try:
        asyncio.run_coroutine_threadsafe(sink.__aenter__(), loop).result(WITHIN_S)
        yield Recording(sink, loop)
        asyncio.run_coroutine_threadsafe(sink.__aexit__(None, None, None), loop).result(WITHIN_S)
    finally:
        asyncio.run_coroutine_threadsafe(sink.close(), loop).result(WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WITHIN_S)
        loop.close()


def added(arrived: bytes, sent: bytes) -> list[bytes]:
    """Names of the fields that stand above what was sent, byte for byte; fails when anything was altered."""
    assert arrived.endswith(sent), "what arrived does not end with what was sent"
    above = arrived[: len(arrived) - len(sent)]
    assert above.endswith(b"\r\n")
    lines = above[:-2].split(b"\r\n")
    return [line.partition(b":")[0] for line in lines if not line.startswith((b" ", b"\t"))]
