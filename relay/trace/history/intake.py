"""The history as a `Record`: takes events from the loop and writes them in a thread of its own.

Taking one costs an append. What waits is bounded: while the disk stands still the newest
are dropped and counted, and mail goes on. Batches leave every quarter of a second, so a
crash costs a second at most.
"""

import threading
from collections import deque
from collections.abc import Callable

from relay.clock import Clock
from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history import database
from relay.trace.history.options import HistoryOptions
from relay.trace.history.rows import OF_RECIPIENTS, WANTED
from relay.trace.history.writer import Writer

PERIOD_S = 0.25
"""A person who follows a mail sees no delay; four transactions a second cost nothing."""
BATCH_ROWS = 2_000
"""Of one transaction, some 20 ms of the thread."""
RETRY_S = 1.0
"""After a failure: a full disk, another writer that does not let go."""
LOOK_S = 5.0
"""How often size, erasures and whether the file is still there are looked at."""
PURGE_S = 60.0
"""How often it is looked whether something has become too old, or too much."""
PURGE_PAUSE_S = 0.02
"""Between slices of a purge that has more to do: 250 mails a slice are far more than come in."""
TOLD_EVERY_S = 10.0
"""Drops are told together."""
LOST_IDS = 60_000 << 22
"""A minute of mails before the last one: a crash may have cost some of them."""
OPEN_WITHIN_S = 2.0
"""How long a start waits to hear what the history has; milliseconds, unless its disk is stuck."""
CLOSE_WITHIN_S = 5.0
"""How long an end waits for the last batch."""


class History:
    """One a deliverer process."""

    def __init__(
        self,
        options: HistoryOptions,
        clock: Clock,
        tell: Callable[[Event], None],
        writer: Writer | None = None,
    ) -> None:
        """`tell` takes events about the history; it is called in the history's thread."""
        self._queued_max = options.queued_max
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._tell = tell
        self._writer = writer or Writer(options, clock, tell)
        self._pending: deque[tuple[float, Event]] = deque()
        # Rows that were put in and taken out: each is changed by one thread only.
        self._put = 0
        self._taken = 0
        self._dropped = 0
        """By the loop's thread; `_lost` by the history's."""
        self._lost = 0
        self._told = 0
        self._batch: list[tuple[float, Event]] = []
        """Taken out and not written yet."""
        self._reason = ""
        """Why the last batch could not be written."""
        self._next_look = self._next_purge = self._next_word = self._monotonic()
        self._wake = threading.Event()
        self._is_open = threading.Event()
        self._is_closing = False
        self._known_to = 0
        # A daemon: a disk that never answers must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def __call__(self, event: Event) -> None:
        """Take the event; returns at once. In the loop's thread."""
        kind = type(event)
        if kind not in WANTED:
            return
        rows = rows_in(event) if kind in OF_RECIPIENTS else 1
        if self._put - self._taken >= self._queued_max:
            self._dropped += rows
            return
        self._put += rows
        self._pending.append((self._now(), event))

    def start(self) -> int:
        """Begin; up to which id the history has the mails for sure, 0 when nobody knows."""
        self._thread.start()
        self._is_open.wait(OPEN_WITHIN_S)
        return max(0, self._known_to - LOST_IDS)

    def close(self) -> bool:
        """Write what waits and end; False when the disk did not take it in time."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(CLOSE_WITHIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._writer.open()
            self._known_to = self._writer.known_to()
        # Whatever it is, mail goes on; the first turn meets it again.
        except Exception as error:
            self._reason = str(error)
        self._is_open.set()
        pause_s = 0.0
        while not self._is_closing:
            self._wake.wait(pause_s)
            pause_s = self.turn()
        while (self._batch or self._pending) and self.turn() < RETRY_S:
            pass
        self._say_drops(is_last=True)
        self._writer.close()

    def turn(self) -> float:
        """Write what waits, then do a little of the rest; how long to pause. In the history's thread."""
        pause_s = PERIOD_S
        try:
            while self._batch or self._pending:
                self._write()
            pause_s = self._keep_house()
            self._reason = ""
        # The thread must go on, whatever it was: a history that stands still silently is worse than a gap.
        except Exception as error:
            self._reason = str(error) or type(error).__name__
            pause_s = RETRY_S
            if not database.is_passing(error) and not database.is_damage(error):
                self._lose_batch()
        self._say_drops()
        return pause_s

    def _write(self) -> None:
        """One batch; Error, and then it is still there."""
        batch, pending, rows = self._batch, self._pending, 0
        while not batch or (pending and rows < BATCH_ROWS):
            entry = pending.popleft()
            batch.append(entry)
            rows += rows_in(entry[1])
        self._writer.write(batch)
        self._forget_batch()

    def _lose_batch(self) -> None:
        self._lost += sum(rows_in(event) for _, event in self._batch)
        self._forget_batch()

    def _forget_batch(self) -> None:
        self._taken += sum(rows_in(event) for _, event in self._batch)
        self._batch = []

    def _keep_house(self) -> float:
        now = self._monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._writer.look()
        if now >= self._next_purge:
            if self._writer.purge():
                return PURGE_PAUSE_S
            self._next_purge = now + PURGE_S
        return PERIOD_S

    def _say_drops(self, *, is_last: bool = False) -> None:
        now = self._monotonic()
        if is_last:
            left = sum(rows_in(event) for _, event in (*self._batch, *self._pending))
            self._lost += left
        steps = self._dropped + self._lost - self._told
        if steps and (is_last or now >= self._next_word):
            self._next_word = now + TOLD_EVERY_S
            self._told += steps
            self._tell(events.HistoryDropped(steps, self._reason or "more came than the disk takes"))


def rows_in(event: Event) -> int:
    """How many rows it becomes, in about."""
    recipients: object = getattr(event, "recipients", None)
    # Of a report they are a number.
    return len(recipients) or 1 if isinstance(recipients, tuple) else 1
