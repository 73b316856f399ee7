"""One thread that checks passwords, so that the loop goes on meanwhile.

A check takes some 20 ms of a processor and 19 MiB, and lets go of the interpreter. One
thread bounds both; what waits for it is bounded in all and for each address, so that
one client that guesses does not shut out the others (454, and it may come again).
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread, get_native_id

from relay.spool.yielding import Yielding

Matches = Callable[[str, bytes], bool]
Done = Callable[[int | None], None]
"""Called in the loop with the index of the hash that fits, or None."""
NICE = 10
"""Of the thread: who guesses passwords gets the processor that nobody else wants. 83 guessing clients
left good ones 39% of their mails a second without this, and 37 to 58% with it, in short runs on two shared cores."""
PART_OF_ONE = 4
"""An address may have a quarter of the places."""


class PasswordThread:
    """All methods are for the thread of `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, matches: Matches, waiting_max: int) -> None:
        self._loop = loop
        self._matches = matches
        self._waiting_max = waiting_max
        self._queue: SimpleQueue[tuple[Sequence[str], bytes, str, Done] | None] = SimpleQueue()
        self._waiting = 0
        self._by_address: Counter[str] = Counter()
        self._yielding = Yielding(loop, lambda: self._waiting > 0)
        self._thread: Thread | None = None

    def submit(self, hashes: Sequence[str], password: bytes, address: str, done: Done) -> bool:
        """Check the password against all hashes; False, and nothing happens, when too many wait."""
        share = max(1, self._waiting_max // PART_OF_ONE)
        if self._waiting >= self._waiting_max or self._by_address[address] >= share:
            return False
        if self._thread is None:
            self._thread = Thread(target=self._run, name="passwords", daemon=True)
            self._thread.start()
        self._waiting += 1
        self._by_address[address] += 1
        self._queue.put((hashes, password, address, done))
        self._yielding.watch()
        return True

    def close(self) -> None:
        """Check what waits and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _on_checked(self, address: str, done: Done, index: int | None) -> None:
        self._waiting -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        done(index)

    def _run(self) -> None:
        # On Linux a thread has a priority of its own (setpriority(2), "C library/kernel differences").
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        while (task := self._queue.get()) is not None:
            hashes, password, address, done = task
            # All of them, whichever fits: the time says nothing.
            fitting = [index for index, text in enumerate(hashes) if self._matches(text, password)]
            index = fitting[0] if fitting else None
            self._yielding.step()
            # RuntimeError: the loop is closed, and nobody is left to be told.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_checked, address, done, index)
