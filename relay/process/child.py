"""One child process, from its start to its end, as the supervisor sees it.

The end is seen through a pidfd (no SIGCHLD, no thread, no race with a reused pid).
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from relay.clock import Clock
from relay.process import channel

HUNG_AFTER_S = 60.0
"""A child says every second that it lives. A minute of silence is a loop that stands still; mail that
it was given is in the spool, so a new process is the better one."""
SOURCE = Path(__file__).parents[2]
"""Children import the code that the supervisor runs, wherever they are started."""
NOT_INHERITED = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


class Child:
    """A running process; `ended` resolves to its exit status (negative: the signal that ended it)."""

    def __init__(
        self,
        role: str,
        module: str,
        assignment: bytes,
        descriptors: Collection[int],
        secret_names: Collection[str],
        clock: Clock,
        on_ready: Callable[[], None],
    ) -> None:
        """Start it. `secret_names` are environment variables that it must not see."""
        loop = asyncio.get_running_loop()
        self.role = role
        self.is_ready = False
        self.ended: asyncio.Future[int] = loop.create_future()
        self._clock = clock
        self._on_ready = on_ready
        self.started_at = self._alive_at = clock.monotonic()
        self._line = channel.Supervising(self._said)
        hidden = NOT_INHERITED.union(secret_names)
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
        try:
            self._process = _start([module, role], self._line.far.fileno(), descriptors, environment)
        except OSError:
            self._line.close()
            raise
        self._line.assign(assignment)
        self._pidfd = os.pidfd_open(self._process.pid)
        loop.add_reader(self._pidfd, self._end)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def lived_s(self) -> float:
        """How long it has been running."""
        return self._clock.monotonic() - self.started_at

    def is_hung(self) -> bool:
        """Has it been silent for too long?"""
        return not self.ended.done() and self._clock.monotonic() - self._alive_at > HUNG_AFTER_S

    def drain(self) -> None:
        """Tell it to finish what is in flight and end."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._process.send_signal(signal.SIGKILL)

    def _said(self, word: bytes) -> None:
        self._alive_at = self._clock.monotonic()
        if word == channel.READY and not self.is_ready:
            self.is_ready = True
            self._on_ready()

    def _end(self) -> None:
        status = self._process.poll()
        if status is None:
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._line.close()
        if not self.ended.done():
            self.ended.set_result(status)


def _start(
    arguments: list[str], line: int, descriptors: Collection[int], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P: the current folder is nobody's library.
        [sys.executable, "-P", "-m", *arguments],
        stdin=line,
        stdout=2,
        pass_fds=tuple(descriptors),
        env=environment,
        # Not of the terminal's foreground group: Ctrl-C is the supervisor's to answer.
        process_group=0,
    )
