"""Run until an administrator says to end: SIGTERM, or Ctrl-C."""

import asyncio
import signal


async def until_told() -> None:
    """Returns at the first of the two signals."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
