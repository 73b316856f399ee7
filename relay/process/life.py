"""What every child does besides its work: its line to the supervisor, signals, log, counts.

A child ends when it is told to (SIGTERM) or when the supervisor is gone (end of file
on the line); either way it finishes what is in flight first.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable

import uvloop

from relay.audit.log import AuditLog
from relay.audit.writer import AuditWriter
from relay.clock import SystemClock
from relay.errors import ConfigurationError, RelayError, SpoolBroken, SpoolError
from relay.process import assignment, channel
from relay.process.assignment import Assignment
from relay.process.exits import Exit
from relay.trace import snapshot
from relay.trace.event import Event, Fault, ProcessFailed, ProcessStarted
from relay.trace.log import Log
from relay.trace.tally import Tally

SWITCH_INTERVAL_S = 0.0001
"""How long the loop may keep the interpreter from the committer's thread (docs/decisions/0001); Python's default is 5 ms."""


class Unavailable(RelayError):
    """Something the child needs is in use; trying again later may do."""


class Life:
    """A child's surroundings."""

    def __init__(self, told: Assignment, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.told = told
        self.clock = SystemClock()
        self.end: asyncio.Future[None] = loop.create_future()
        """Resolves when it is time to drain; raises when there is no going on."""
        self._loop = loop
        self._line = line
        self._log = Log(told.role, self.clock, later=loop.call_later, level=told.log_level)
        self._tally = Tally()
        self._audit = self._audit_writer()
        self._is_orphan = False
        line.setblocking(False)
        loop.add_reader(line.fileno(), self._listen)
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.set_exception_handler(self._on_fault)
        self._beat()

    def record(self, event: Event) -> None:
        """Log and count it, and record what is to be recorded."""
        self._log(event)
        self._tally(event)
        if self._audit is not None:
            self._audit.note(event)

    def ready(self, detail: str = "") -> None:
        """The child is at work."""
        self.record(ProcessStarted(role=self.told.role, detail=detail))
        # What it said before stands in the log before the supervisor says that all are ready.
        self._log.flush()
        self._say(channel.READY)
        # What is there now stays: a collection of all of a full queue would hold the loop for seconds.
        gc.collect()
        gc.freeze()
        gc.enable()

    def stop(self) -> None:
        """Time to drain."""
        if not self.end.done():
            self.end.set_result(None)

    def break_off(self, reason: str) -> None:
        """There is no going on: the disk failed."""
        if not self.end.done():
            self.end.set_exception(SpoolBroken(reason))

    def close(self) -> None:
        """The last words."""
        self._timer.cancel()
        self._loop.remove_reader(self._line.fileno())
        if self._audit is not None:
            self._audit.close()
        if not self._is_orphan:
            snapshot.write(self.told.run, self.told.role, self._tally.counts)
        self._log.close()

    def _audit_writer(self) -> AuditWriter | None:
        told = self.told
        if told.audit is None:
            return None

        def tell(event: Event) -> None:
            # RuntimeError: the loop is closed, and nobody is left to be told.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.record, event)

        return AuditWriter(AuditLog(told.audit, self.clock), told.role, told.audit, self.clock, tell)

    def _beat(self) -> None:
        self._timer = self._loop.call_later(channel.ALIVE_PERIOD_S, self._beat)
        if self._audit is not None:
            self._audit.sweep()
        if self._is_orphan:
            return  # The run folder may be another relay's by now.
        self._say(channel.ALIVE)
        snapshot.write(self.told.run, self.told.role, self._tally.counts)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._line.send(word)

    def _listen(self) -> None:
        try:
            said = self._line.recv(1)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._loop.remove_reader(self._line.fileno())
            self._is_orphan = True
            self.stop()

    def _on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            trail = "".join(traceback.format_exception(error))
        else:
            trail = str(context.get("message"))
        self.record(Fault(role=self.told.role, reason=trail))


def run(work: Callable[[Life], Awaitable[None]]) -> int:
    """The whole life of a child; its exit status."""
    line = socket.socket(fileno=0)
    try:
        told = assignment.decode(channel.receive_assignment(line))
    except (EOFError, OSError):
        return Exit.UNAVAILABLE  # No supervisor, nothing to do.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # Until it is ready: reading a queue of a million mails takes 3.9 s instead of 5.5.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_live(work, told, line))


async def _live(work: Callable[[Life], Awaitable[None]], told: Assignment, line: socket.socket) -> int:
    life = Life(told, line)
    try:
        await work(life)
        return Exit.OK
    # A child must say why it ends, whatever it is.
    except BaseException as error:
        life.record(ProcessFailed(role=told.role, reason=_reason(error)))
        return _status(error)
    finally:
        life.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, RelayError | OSError):
        return str(error)
    return "".join(traceback.format_exception(error))


def _status(error: BaseException) -> Exit:
    match error:
        case ConfigurationError():
            return Exit.CONFIGURATION
        case Unavailable():
            return Exit.UNAVAILABLE
        case SpoolError() | OSError():
            return Exit.IO
        case _:
            return Exit.SOFTWARE
