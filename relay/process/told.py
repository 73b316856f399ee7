"""Hear when an administrator says to end: SIGTERM, or Ctrl-C."""

import asyncio
import signal


def told_to_end() -> asyncio.Event:
    """Set at the first of the two signals, from now on; for a process that does nothing else with them."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told
