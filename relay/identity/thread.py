"""Work that blocks, in a thread that keeps neither the loop nor the process's end waiting.

Not the loop's own executor: a loop that ends waits for its threads, and a request that
hangs in the system's resolver can take minutes.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], name: str, within_s: float) -> T:
    """What `work` returns or raises; TimeoutError when it takes longer: then the thread is given up."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            # Without an error there is a result, which may be None where T says so.
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:  # In a thread nobody else would hear of it.
            failure = error
        # The loop may be gone by now, and with it whoever asked.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    async with asyncio.timeout(within_s):
        return await done
