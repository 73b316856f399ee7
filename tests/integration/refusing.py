"""A next hop that refuses some recipients, in a thread of the test's own process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.sink import Script, Sink

WITHIN_S = 10.0


@contextmanager
def refusing(beginning: bytes, reply: bytes) -> Iterator[Sink]:
    """It answers commands that begin so; what it took may be looked at from here."""
    sink = Sink(Script(replies={beginning: reply}))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sink.__aenter__(), loop).result(WITHIN_S)
        yield sink
        asyncio.run_coroutine_threadsafe(sink.__aexit__(None, None, None), loop).result(WITHIN_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WITHIN_S)
        loop.close()
