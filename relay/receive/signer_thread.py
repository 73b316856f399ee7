"""One thread that signs, so that the loop goes on meanwhile: for a receiver that has no signer just now.

A signature lets go of the interpreter for 0.26 ms, and before and after it the thread
waits for it: this costs more than a process does (`signer_line`), and needs nothing.
One thread is enough; two wait for each other. Measured in
docs/decisions/0003-dkim-signer.md.

The thread needs the interpreter between two signatures, and a loop that never sleeps
would let it starve: `Yielding` sees to that.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from relay.receive.signing import Done, Part, sign
from relay.spool.yielding import Yielding

BATCH = 16
"""Mails whose signatures go back to the loop together. Each way to the loop and into a commit costs more than the
4 ms that a mail may wait for the sixteenth: 0.66 ms of CPU a mail where batches of 4 take 0.75."""


@dataclass(frozen=True, slots=True)
class _Task:
    """The signatures of one mail."""

    parts: Sequence[Part]
    done: Done


class SignerThread:
    """All methods are for the thread of `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._waiting = 0
        self._yielding = Yielding(loop, lambda: self._waiting > 0)
        self._thread: Thread | None = None

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        """Sign; `done` is called in the loop, in order of submission."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="dkim", daemon=True)
            self._thread.start()
        self._waiting += 1
        self._queue.put(_Task(parts, done))
        self._yielding.watch()

    def close(self) -> None:
        """Sign what waits and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    # In the loop

    def _on_signed(self, results: Sequence[tuple[Done, bytes | Exception]]) -> None:
        self._waiting -= len(results)
        for done, result in results:
            try:
                done(result)
            except Exception as problem:
                # One session's fault must not lose the mails of the others.
                self._loop.call_exception_handler({"message": "a mail was signed", "exception": problem})

    # In the thread

    def _run(self) -> None:
        is_open = True
        while is_open:
            results = []
            tasks = self._gather()
            for task in tasks:
                if task is None:
                    is_open = False
                else:
                    results.append((task.done, sign(task.parts)))
                    self._yielding.step()
            # RuntimeError: the loop is closed, and nobody is left to be told.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_signed, results)

    def _gather(self) -> list[_Task | None]:
        tasks = [self._queue.get()]
        with suppress(Empty):
            while len(tasks) < BATCH and tasks[-1] is not None:
                tasks.append(self._queue.get_nowait())
        return tasks
