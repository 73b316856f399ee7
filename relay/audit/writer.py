"""A process's part in the audit log: rows wait in memory, one thread brings them to the disk.

    note ── row, with its time ──► waiting (bounded) ── every 0.2 s ──► AuditLog.append

Mail never waits for it. While the disk takes nothing the rows stay, within a bound; what
did not fit, and what strangers caused beyond theirs, is counted, and the counts are
recorded. A process that is killed takes the rows of its last 0.2 s with it.
"""

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from threading import Event as Signal

from relay.audit.chain import Link
from relay.audit.log import AuditLog
from relay.audit.options import AuditOptions
from relay.audit.row import STRANGERS, Row, row_of, sender_of
from relay.clock import Clock
from relay.errors import ConfigurationError
from relay.trace.event import AuditHead, AuditTrouble, Event

GATHER_S = 0.2
"""At most five syncs a second: the spool's disk has better to do."""
RETRY_S = 1.0
CLOSE_WITHIN_S = 5.0
"""At the end it may take so long, and not keep a process alive."""
BATCH_ROWS = 1_000
MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0
SEEN_MAX = 4_096
"""Senders remembered for a day, 200 bytes each; more are counted as what strangers cause."""


class AuditWriter:
    """`note` and `put` are for the process's main thread and return at once."""

    def __init__(
        self,
        log: AuditLog,
        process: str,
        options: AuditOptions,
        clock: Clock,
        tell: Callable[[Event], None],
        *,
        tells_head: bool = False,
    ) -> None:
        """`tell` takes events from the thread. `tells_head`: say now and then where the chain stands, for other eyes."""
        self._log = log
        self._process = process
        self._options = options
        self._clock = clock
        self._tell = tell
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._minute = 0.0
        self._strangers = 0
        self._above = 0
        self._day = 0.0
        self._seen: set[tuple[object, ...]] = set()
        self._is_troubled = False
        self._told_head_at: float | None = None if tells_head else float("inf")
        self._closing_at = float("inf")
        self._closing = Signal()
        self._condition = Condition()
        self._thread = Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def note(self, event: Event) -> None:
        """Record what of it is to be recorded."""
        row = row_of(event)
        if row is None:
            row = sender_of(event)
            if row is None or self._is_seen(row):
                return
        self.put(row)

    def put(self, row: Row) -> None:
        """Record a row."""
        now = self._clock.now()
        if now >= self._minute + MINUTE_S or now < self._minute:
            self.sum_up()
            self._minute = now
        if row["event"] in STRANGERS:
            self._strangers += 1
            if self._strangers > self._options.rows_a_minute:
                self._above += 1
                return
        self._wait(row)

    def sum_up(self) -> None:
        """Record how much was not recorded; comes by itself, and is asked for once a second besides."""
        above, self._above, self._strangers = self._above, 0, 0
        if above:
            self._wait({"event": "rows_above_limit", "rows": above, "limit": self._options.rows_a_minute})

    def sweep(self) -> None:
        """Once a second: a count must not wait for the next row."""
        if self._above and self._clock.now() >= self._minute + MINUTE_S:
            self._minute = self._clock.now()
            self.sum_up()

    def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Bring the rest to the disk."""
        self.sum_up()
        self._closing_at = time.monotonic() + within_s
        with self._condition:
            self._closing.set()
            self._condition.notify()
        self._thread.join(within_s + RETRY_S)

    def _wait(self, row: Row) -> None:
        data = self._log.row({"process": self._process} | row)
        with self._condition:
            if len(self._waiting) >= self._options.rows_waiting:
                self._lost += 1
                return
            self._waiting.append(data)
            self._condition.notify()

    def _is_seen(self, row: Row) -> bool:
        """A sender is recorded once a day, not for each session."""
        now = self._clock.now()
        if now >= self._day + DAY_S or now < self._day:
            self._seen.clear()
            self._day = now
        key = tuple(row.values())
        if key in self._seen:
            return True
        if len(self._seen) < SEEN_MAX:
            self._seen.add(key)
        return False

    # The thread

    def _run(self) -> None:
        while (rows := self._gathered()) is not None:
            try:
                head = self._log.append(rows)
            except (OSError, ConfigurationError) as error:
                if not self._pause_after(error):
                    return
                continue
            with self._condition:
                for _ in range(min(len(rows), len(self._waiting))):
                    self._waiting.popleft()
            self._is_troubled = False
            self._say_head(head)
            # What comes meanwhile leaves together.
            self._closing.wait(GATHER_S)

    def _gathered(self) -> list[bytes] | None:
        """What is to be written next; None: nothing any more."""
        with self._condition:
            while not self._waiting:
                if self._closing.is_set():
                    return None
                self._condition.wait()
            lost, self._lost = self._lost, 0
            if lost:
                row = {"process": self._process, "event": "rows_lost", "rows": lost}
                self._waiting.append(self._log.row(row))
            return [row for row, _ in zip(self._waiting, range(BATCH_ROWS), strict=False)]

    def _pause_after(self, error: Exception) -> bool:
        """False: it is too late to try again."""
        if not self._is_troubled:
            self._is_troubled = True
            self._tell(AuditTrouble(reason=str(error), waiting=len(self._waiting)))
        if self._closing.wait(RETRY_S):
            time.sleep(RETRY_S / 10)
        return time.monotonic() < self._closing_at

    def _say_head(self, head: Link) -> None:
        now = self._clock.monotonic()
        if self._told_head_at is None or now >= self._told_head_at + HOUR_S:
            self._told_head_at = now
            self._tell(AuditHead(seq=head.seq, hash=head.hash))
