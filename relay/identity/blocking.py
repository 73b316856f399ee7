"""What blocks, in a thread that keeps neither the loop nor the process's end waiting.

Not the loop's own executor: a loop that ends waits for its threads, and a request that
hangs in the system's resolver can take minutes.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def call(work: Callable[[], Result], within_s: float, name: str) -> Result:
    """What `work` returns or raises; TimeoutError when it takes longer, and then nobody hears of its end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            # Without an error there is a result, be it None.
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as problem:  # In a thread nobody else would hear of it.
            error = problem
        # The loop may be gone by now, and with it whoever asked.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    async with asyncio.timeout(within_s):
        return await done
