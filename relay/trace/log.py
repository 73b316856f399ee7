"""The log: one JSON line an event, to standard error.

Lines gather and leave together, at most every 50 ms or 64 KiB: a write an event
would cost more than the event. Reading a log is somebody else's work, and mail does
not wait for it: what a full pipe does not take stays here up to a bound, then the
newest lines are dropped and the gap is written down.
"""

import os
import select
import stat
import time
from collections.abc import Callable

import msgspec

from relay.clock import Clock
from relay.trace.event import Event, LogDropped

FLUSH_AFTER_S = 0.05
"""A person who follows the log sees no delay; 20 writes a second cost nothing."""
FLUSH_BYTES = 65_536
BACKLOG_BYTES = 4_194_304
"""Some 10,000 mails; what a reader has not taken by then it will not miss less later."""
ATOMIC_BYTES = select.PIPE_BUF
"""Several processes share one pipe: writes up to this size do not mix (pipe(7))."""
CLOSE_WITHIN_S = 1.0
"""At the end the log may block, but not keep a process alive."""

LEVELS = ("debug", "info", "warning", "error")

Later = Callable[[float, Callable[[], None]], object]
"""`loop.call_later`."""


class Log:
    """A `Record` that writes; without `later` every line leaves at once."""

    def __init__(
        self, role: str, clock: Clock, *, later: Later | None = None, level: str = "info", fd: int = 2
    ) -> None:
        self._role = b',"process":' + msgspec.json.encode(role) + b","
        self._clock = clock
        self._later = later
        self._silent = frozenset(LEVELS[: LEVELS.index(level)])
        self._fd = fd
        self._encode = msgspec.json.Encoder().encode
        self._buffer = bytearray()
        self._dropped = 0
        self._is_flush_planned = False
        self._second = -1
        self._prefix = b""
        kind = os.fstat(fd).st_mode
        self._may_block = not stat.S_ISREG(kind)
        self._poll = select.poll()
        if self._may_block:
            self._poll.register(fd, select.POLLOUT)

    def __call__(self, event: Event) -> None:
        """Take the event; returns at once."""
        if event.level in self._silent:
            return
        if len(self._buffer) >= BACKLOG_BYTES:
            self._dropped += 1
            return
        self._append(event)
        if self._later is None or len(self._buffer) >= FLUSH_BYTES:
            self.flush()
        if self._buffer and not self._is_flush_planned and self._later is not None:
            self._is_flush_planned = True
            self._later(FLUSH_AFTER_S, self._flush_as_planned)

    def flush(self) -> None:
        """Write what the reader takes now."""
        buffer = self._buffer
        while buffer and self._write_some():
            pass
        if self._dropped and len(buffer) < BACKLOG_BYTES // 2:
            dropped, self._dropped = self._dropped, 0
            self._append(LogDropped(lines=dropped))

    def close(self) -> None:
        """Write the rest, waiting a little for a slow reader."""
        deadline = time.monotonic() + CLOSE_WITHIN_S
        self.flush()
        while self._buffer and self._may_block and time.monotonic() < deadline:
            self._poll.poll(50)
            self.flush()

    def _flush_as_planned(self) -> None:
        self._is_flush_planned = False
        self.flush()
        if self._buffer and self._later is not None:
            self._is_flush_planned = True
            self._later(FLUSH_AFTER_S, self._flush_as_planned)

    def _line(self, event: Event) -> bytes:
        try:
            return self._encode(event)
        except UnicodeEncodeError:
            # A name that is no UTF-8, with surrogates in it. Whoever records goes on in any case: it may be settling mail.
            return self._encode(_without_surrogates(msgspec.to_builtins(event)))

    def _append(self, event: Event) -> None:
        now = self._clock.now()
        line = self._line(event)
        second = int(now)
        if second != self._second:
            # strftime costs 2 µs, an event should cost less.
            self._second = second
            self._prefix = time.strftime('{"time":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode()
        buffer = self._buffer
        buffer += b'%b%03dZ"' % (self._prefix, int((now - second) * 1000))
        buffer += self._role
        buffer += memoryview(line)[1:]
        buffer += b"\n"

    def _write_some(self) -> bool:
        """One write that does not block; False when there is no going on now."""
        buffer = self._buffer
        end = len(buffer)
        if self._may_block:
            ready = self._poll.poll(0)
            if not ready:
                return False
            if end > ATOMIC_BYTES:
                # Whole lines only, or those of another process come in between; a longer line must go alone.
                end = buffer.rfind(b"\n", 0, ATOMIC_BYTES) + 1 or buffer.find(b"\n") + 1
        try:
            written = os.write(self._fd, memoryview(buffer)[:end])
        except BlockingIOError:
            return False
        except OSError:
            # Nobody reads (EPIPE) or there is no room (ENOSPC): mail goes on without a log.
            self._dropped += buffer.count(b"\n")
            buffer.clear()
            return False
        del buffer[:written]
        return True


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _without_surrogates(each) for key, each in value.items()}
        case list() | tuple():
            return [_without_surrogates(each) for each in value]
    return value
