"""Group commit: many changes, one durable commit.

The loop submits changes; one thread commits whatever has gathered while its last
commit ran, and hands the batch back to the loop, which calls every `done` in the
order of submission. A failed commit fails every change in it.

When there is no room, what brings new mail fails and what makes room goes on: a full
spool must still be able to empty. A mail of which one record failed cannot be
accepted later.

The thread needs the interpreter once to gather, once to report, and for an instant
at each LMDB call; beside a busy loop it may wait for it for seconds (`yielding.py`,
docs/decisions/0001-spool-commit.md). So bytes are prepared in the loop, and events are
recorded there.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import sleep

from relay.clock import Clock
from relay.errors import SpoolBroken, SpoolError, SpoolFull
from relay.spool.change import Change
from relay.spool.options import MIB
from relay.spool.prepared import Prepared, prepare
from relay.spool.room import Room
from relay.spool.spool import Spool
from relay.spool.yielding import Yielding
from relay.trace.event import Committed, Record, SpoolAccepting, SpoolRefusing, SpoolTrouble

Done = Callable[[SpoolError | None], None]
"""Called in the loop: None when the change is on the disk."""

_Submitted = tuple[Prepared, Done]


@dataclass(slots=True)
class _Outcome:
    """One batch, on its way back to the loop."""

    batch: list[_Submitted]
    errors: Sequence[SpoolError | None]
    size: int
    seconds: float
    full: str | None
    trouble: SpoolError | None = None


class Committer:
    """The spool's writer in one process. All methods are for the thread of `loop`."""

    def __init__(
        self,
        store: Spool,
        loop: asyncio.AbstractEventLoop,
        record: Record,
        clock: Clock,
        on_broken: Callable[[str], None] | None = None,
        *,
        pause_s: float = 0.0,
    ) -> None:
        """`on_broken` is called once when the disk failed for good: the process should end with that reason.

        `pause_s` is waited before each commit, so that more goes into it: for changes nobody waits for.
        """
        self.refusing: str | None = None
        self.waiting_bytes = 0
        self._pending = 0
        self._store = store
        self._options = store.options
        self._loop = loop
        self._record = record
        self._clock = clock
        self._on_broken = on_broken
        self._queue: SimpleQueue[_Submitted | None] = SimpleQueue()
        self._full: str | None = None
        self._broken: str | None = None
        self._is_closed = False
        self._ended = loop.create_future()
        # Set by the thread, read by the loop: when the commit under way began.
        self._cipher = self._options.cipher()
        self._began: float | None = None
        self._yielding = Yielding(loop, lambda: self._pending > 0)
        # The thread's own.
        self._pause_s = pause_s
        self._is_open = True
        self._room = Room(self._options.free_space_floor_bytes, self._options.check_interval_s)
        self._doomed: set[int] = set()
        self._tick = loop.call_later(self._options.check_interval_s, self._on_tick)
        self._thread = Thread(target=self._run, name="spool-commit", daemon=True)
        self._thread.start()

    def submit(self, change: Change, done: Done) -> None:
        """Commit it soon; `done` is called in order of submission, after the commit that holds it."""
        prepared = prepare(change, self._cipher)
        if self._is_closed or self._broken is not None:
            error = SpoolError("the spool is closed") if self._is_closed else SpoolBroken(self._broken)
            self._loop.call_soon(done, error)
            return
        self.waiting_bytes += prepared.size
        self._pending += 1
        if self._pending == 1:
            self._yielding.watch()
        self._queue.put((prepared, done))
        if self.refusing is None and self.waiting_bytes > self._options.max_waiting_bytes:
            self._review()

    async def close(self) -> None:
        """Commit what waits and end the thread; the store stays open."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.shield(self._ended)
        self._tick.cancel()
        self._thread.join()

    # In the loop

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(self._options.check_interval_s, self._on_tick)
        self._review()

    def _on_look(self, full: str | None) -> None:
        self._full = full
        self._review()

    def _on_outcome(self, outcome: _Outcome) -> None:
        self._pending -= len(outcome.batch)
        self.waiting_bytes -= sum([prepared.size for prepared, _ in outcome.batch])
        self._full = outcome.full
        trouble = outcome.trouble
        if isinstance(trouble, SpoolBroken) and self._broken is None:
            self._broken = str(trouble)
        self._review()
        if trouble is None:
            self._record(Committed(len(outcome.batch), outcome.size, outcome.seconds))
        else:
            self._record(SpoolTrouble(str(trouble), sum(error is not None for error in outcome.errors)))
        for (_, done), error in zip(outcome.batch, outcome.errors, strict=True):
            try:
                done(error)
            except Exception as problem:
                # One session's fault must not lose the replies of the others.
                self._loop.call_exception_handler(
                    {"message": "a spool callback failed", "exception": problem}
                )
        if trouble is not None and self._broken is not None and self._on_broken is not None:
            on_broken, self._on_broken = self._on_broken, None
            on_broken(self._broken)

    def _on_end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _review(self) -> None:
        reason = self._reason()
        was, self.refusing = self.refusing, reason
        if reason is not None and was is None:
            self._record(SpoolRefusing(reason))
        elif reason is None and was is not None:
            self._record(SpoolAccepting())

    def _reason(self) -> str | None:
        began = self._began
        limit = self._options.max_waiting_bytes
        if self._broken is not None:
            return self._broken
        if self._full is not None:
            return self._full
        if began is not None and self._clock.monotonic() - began > self._options.stall_s:
            return f"the disk has not ended a commit for {self._options.stall_s:.0f} seconds"
        if self.waiting_bytes > (limit if self.refusing is None else limit // 2):
            return f"{self.waiting_bytes // MIB} MiB wait for the disk"
        return None

    # In the thread

    def _run(self) -> None:
        while self._is_open:
            batch = self._gather()
            self._look()
            if batch:
                self._post(self._on_outcome, self._commit(batch))
                self._yielding.step()
        self._post(self._on_end)

    def _gather(self) -> list[_Submitted]:
        """Wait for a change, and take what has been submitted with it."""
        batch: list[_Submitted] = []
        try:
            self._put(self._queue.get(timeout=self._options.check_interval_s), batch)
        except Empty:
            return batch
        if self._pause_s and self._is_open:
            sleep(self._pause_s)
        self._drain(batch)
        return batch

    def _drain(self, batch: list[_Submitted]) -> list[Prepared]:
        """Take more, without waiting and within the bounds of a batch; what was taken."""
        start, options = len(batch), self._options
        size = sum([prepared.size for prepared, _ in batch])
        try:
            while self._is_open and size < options.max_batch_bytes and len(batch) < options.max_batch_changes:
                size += self._put(self._queue.get_nowait(), batch)
        except Empty:
            pass
        return [prepared for prepared, _ in batch[start:]]

    def _put(self, item: _Submitted | None, batch: list[_Submitted]) -> int:
        if item is None:
            self._is_open = False
            return 0
        batch.append(item)
        return item[0].size

    def _look(self) -> None:
        room, now = self._room, self._clock.monotonic()
        if not room.is_stale(now):
            return
        before = room.refusing
        try:
            room.look(self._store.free_bytes(), now)
            if room.refusing is None:
                self._store.restore_ballast()
        except (SpoolError, OSError) as error:
            room.fail(f"the spool's free space cannot be read: {error}", now)
        if room.refusing != before:
            self._post(self._on_look, room.refusing)

    def _commit(self, batch: list[_Submitted]) -> _Outcome:
        began = self._began = self._clock.monotonic()
        errors, trouble = self._errors(batch)
        size = sum([prepared.size for prepared, _ in batch])
        if trouble is None:
            self._room.spend(size)
        self._began = None
        return _Outcome(batch, errors, size, self._clock.monotonic() - began, self._room.refusing, trouble)

    def _errors(self, batch: list[_Submitted]) -> tuple[Sequence[SpoolError | None], SpoolError | None]:
        """Commit; what to tell each change, and what to tell people. The batch may grow meanwhile."""
        room, full = self._room, None
        if room.refusing is None and not self._doomed:
            # Whatever comes while another process commits goes into this commit, not into the next one.
            error = self._try([prepared for prepared, _ in batch], lambda: self._drain(batch))
            if error is None:
                return [prepared.refused for prepared, _ in batch], None
            full = error
            if isinstance(error, SpoolFull):
                room.fail(str(error), self._clock.monotonic())
        elif room.refusing is not None:
            full = SpoolFull(room.refusing)
        changes = [prepared for prepared, _ in batch]
        if full is not None and not isinstance(full, SpoolFull):
            self._doomed.update(_streamed(changes))
            return [full] * len(batch), full
        return self._without_additions(changes, full)

    def _without_additions(
        self, batch: list[Prepared], full: SpoolError | None
    ) -> tuple[Sequence[SpoolError | None], SpoolError | None]:
        """Commit what may go on: what makes room, and mail when it is only some that is doomed."""
        refused: dict[int, SpoolError] = {}
        for at, prepared in enumerate(batch):
            if not prepared.is_addition:
                self._doomed.discard(prepared.id) if prepared.is_removal else None
            elif full is not None or prepared.id in self._doomed:
                refused[at] = full or SpoolError("a record of this mail was not kept")
                self._doomed.add(prepared.id) if prepared.envelope is None else self._doomed.discard(
                    prepared.id
                )
        rest = [prepared for at, prepared in enumerate(batch) if at not in refused]
        error = self._try(rest) if rest else None
        if error is None:
            refused |= {at: prepared.refused for at, prepared in enumerate(batch) if prepared.refused}
        return [refused.get(at, error) for at in range(len(batch))], error or full

    def _try(
        self, batch: list[Prepared], late: Callable[[], Sequence[Prepared]] = tuple
    ) -> SpoolError | None:
        try:
            self._store.commit(batch, self._yielding.step, late)
        except SpoolError as error:
            return error
        except Exception as error:
            # Not a fault of the disk but of this program; what the transaction holds is not known.
            return SpoolBroken(f"a commit failed unexpectedly: {error!r}")
        return None

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        # RuntimeError: the loop is closed, and nobody is left to be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)


def _streamed(batch: Sequence[Prepared]) -> list[int]:
    """Mails of which a record came before their envelope."""
    return [prepared.id for prepared in batch if prepared.is_addition and prepared.envelope is None]
