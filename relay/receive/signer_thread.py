"""One thread that signs, so that the loop goes on meanwhile.

An RSA signature takes 0.2 ms and lets go of the interpreter; an Ed25519 one takes no more
than the way to a thread and back, so it is made at once by whoever wants it. One
thread is enough: it makes more signatures a second than a receiver takes mails, and
where it is not, the answer is more receivers. Measured in
docs/decisions/0003-dkim-signing-thread.md.

The thread needs the interpreter between two signatures, and a loop that never sleeps
would let it starve: `Yielding` sees to that.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from relay.identity.dkim_key import SigningKey
from relay.message.dkim.signature import Algorithm, Prepared
from relay.spool.yielding import Yielding

BATCH = 4
"""Mails whose signatures go back to the loop together: waking it costs some 10 µs, waiting for the fourth 0.8 ms."""

Part = tuple[Prepared, SigningKey]
Done = Callable[[bytes | Exception], None]
"""Called in the loop with the DKIM-Signature fields, or with what went wrong."""


@dataclass(frozen=True, slots=True)
class _Task:
    """The signatures of one mail."""

    parts: Sequence[Part]
    done: Done


class SignerThread:
    """All methods are for the thread of `loop`. A session waits for one mail at most: that bounds the queue."""

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


def is_quick(parts: Sequence[Part]) -> bool:
    """Whether signing costs less than the way to a thread: 20 µs each with Ed25519."""
    return all(key.algorithm is Algorithm.ED25519_SHA256 for _, key in parts)


def sign(parts: Sequence[Part]) -> bytes | Exception:
    """The DKIM-Signature fields in their order, or what went wrong."""
    try:
        return b"".join([prepared.field(key.sign(prepared.data)) for prepared, key in parts])
    except Exception as problem:
        # Whatever it is: this mail has no signature, and the policy says what that means.
        return problem
