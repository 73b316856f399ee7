"""One thread that checks passwords, so that the loop goes on meanwhile.

A check takes some 20 ms of a processor and 19 MiB, and lets go of the interpreter. One
thread bounds both; what waits for it is bounded in all and for each address, so that
one client that guesses does not shut out the others (454, and it may come again).

Who has got a password wrong lately, or has another one waiting, is suspected: his is checked
when no other waits, and then the thread rests, so that all who guess together get a quarter
of a processor at most. Whoever comes with a good password need not stand behind them.
"""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread, get_native_id
from time import monotonic

from msgspec import Struct

from relay.receive.brake_memory import Marks, source_of
from relay.spool.yielding import Yielding

Matches = Callable[[str, bytes], bool]
Done = Callable[[int | None], None]
"""Called in the loop with the index of the hash that fits, or None."""
NICE = 10
"""Of the thread: who guesses passwords gets the processor that nobody else wants. 83 guessing clients
left good ones 39% of their mails a second without this, and 37 to 58% with it, in short runs on two shared cores."""
PART_OF_ONE = 4
"""An address may have a quarter of the places."""
PART_OF_SUSPECTS = 2
"""All suspects together may have half of them: there is always one for somebody else."""
REST = 3.0
"""After the check of a suspect, in times of what it took. 500 guessing clients had one of two processors for
themselves without it, whatever the thread's priority: while anything waits for the disk, nobody else wants it."""
REST_MAX_S = 0.25
"""A check that took longer was held up by others, and is no measure."""
SUSPECTED_S = 600.0
"""From a wrong password on; as long as the brakes remember it by default."""
SUSPECTS_MAX = 16_384
"""Addresses; the oldest are forgotten. As many as the brakes remember by default."""


class _Task(Struct):
    """One password to check."""

    hashes: Sequence[str]
    password: bytes
    source: str
    is_suspect: bool
    done: Done


class PasswordThread:
    """All methods are for the thread of `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, matches: Matches, waiting_max: int) -> None:
        self._loop = loop
        self._matches = matches
        self._waiting_max = waiting_max
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._waiting = 0
        self._suspects_waiting = 0
        self._by_source: Counter[str] = Counter()
        self._suspected = Marks[str](SUSPECTS_MAX)
        self._yielding = Yielding(loop, lambda: self._waiting > 0)
        self._thread: Thread | None = None
        # The thread's own: what it has taken from the queue.
        self._first: deque[_Task] = deque()
        self._second: deque[_Task] = deque()
        self._is_open = True

    def submit(self, hashes: Sequence[str], password: bytes, address: str, done: Done) -> bool:
        """Check the password against all hashes; False, and nothing happens, when too many wait."""
        source = source_of(address)
        is_suspect = bool(self._by_source[source]) or self._suspected.has(source, self._loop.time())
        if not self._has_room(source, is_suspect):
            return False
        if self._thread is None:
            self._thread = Thread(target=self._run, name="passwords", daemon=True)
            self._thread.start()
        self._waiting += 1
        self._suspects_waiting += is_suspect
        self._by_source[source] += 1
        self._queue.put(_Task(hashes, password, source, is_suspect, done))
        self._yielding.watch()
        return True

    def close(self) -> None:
        """Check what waits and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _has_room(self, source: str, is_suspect: bool) -> bool:
        if self._waiting >= self._waiting_max:
            return False
        if self._by_source[source] >= max(1, self._waiting_max // PART_OF_ONE):
            return False
        return not is_suspect or self._suspects_waiting < max(1, self._waiting_max // PART_OF_SUSPECTS)

    def _on_checked(self, task: _Task, index: int | None) -> None:
        self._waiting -= 1
        self._suspects_waiting -= task.is_suspect
        self._by_source[task.source] -= 1
        if not self._by_source[task.source]:
            del self._by_source[task.source]
        if index is None:
            self._suspected.put(task.source, self._loop.time() + SUSPECTED_S)
        task.done(index)

    # In the thread

    def _run(self) -> None:
        # On Linux a thread has a priority of its own (setpriority(2), "C library/kernel differences").
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        rest_until = 0.0
        while (task := self._next(rest_until)) is not None:
            began = monotonic()
            # All of them, whichever fits: the time says nothing.
            fitting = [index for index, text in enumerate(task.hashes) if self._matches(text, task.password)]
            index = fitting[0] if fitting else None
            if task.is_suspect:
                now = monotonic()
                rest_until = now + min(REST_MAX_S, REST * (now - began))
            self._yielding.step()
            # RuntimeError: the loop is closed, and nobody is left to be told.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_checked, task, index)

    def _next(self, rest_until: float) -> _Task | None:
        """Whose turn it is: a suspect's only when the rest is over; None: the end, when nobody waits any more."""
        while True:
            self._take_in(rest_until)
            if self._first:
                return self._first.popleft()
            if self._second and (not self._is_open or monotonic() >= rest_until):
                return self._second.popleft()
            if not self._is_open:
                return None

    def _take_in(self, rest_until: float) -> None:
        """All that has been submitted; waits only where there is nothing to do."""
        try:
            if self._first or not self._is_open:
                self._sort(self._queue.get_nowait())
            elif self._second:
                self._sort(self._queue.get(timeout=max(0.0, rest_until - monotonic())))
            else:
                self._sort(self._queue.get())
            while True:
                self._sort(self._queue.get_nowait())
        except Empty:
            pass

    def _sort(self, task: _Task | None) -> None:
        if task is None:
            self._is_open = False
        else:
            (self._second if task.is_suspect else self._first).append(task)
