"""One webhook: looks, tells, and moves on when it was heard.

    look at the history ──► a batch ──► POST ──► 2xx ──► the position on the disk ──► the next look
          ▲                                │
          └──── a pause that grows ◄───────┘ anything else: the same batch again, nothing later before it

So each event is told at least once, and those of a mail in their order. A batch is read anew
for each attempt: what was erased meanwhile is not told, and nothing waits in memory.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Protocol, TypeVar

from msgspec.structs import replace

from relay.clock import Clock
from relay.trace.event import Record
from relay.trace.history.options import HistoryError
from relay.trace.webhook_event import (
    WebhookFailed,
    WebhookGap,
    WebhookLag,
    WebhookMoved,
    WebhookSent,
    WebhookTrouble,
)
from relay.webhook import body, look, retry, signature
from relay.webhook.look import Look
from relay.webhook.options import WebhookOptions, Webhooks
from relay.webhook.position import Position, PositionDamaged, PositionFile
from relay.webhook.post import Answer, Post, Unanswered

LOOK_S = 5.0
"""While a batch waits for its next attempt: how often it is looked for orders, and how far it is behind."""
TROUBLE_S = 5.0
"""After trouble with the disk."""
WRITE_S = 10.0
"""A position that was passed over silently is written so often: a crash repeats looks then, no batches."""

T = TypeVar("T")


class InThread(Protocol):
    """Runs what blocks, beside the loop."""

    async def __call__(self, work: Callable[[], T]) -> T: ...


class Webhook:
    """One receiver. `turn` is its life, step by step."""

    def __init__(
        self,
        told: Webhooks,
        options: WebhookOptions,
        post: Post,
        in_thread: InThread,
        record: Record,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._told = told
        self._options = options
        self._post = post
        self._in_thread = in_thread
        self._record = record
        self._clock = clock
        self._random = random
        self._file = PositionFile(told.folder, options.name)
        self._wanted = look.wanted_by(options)
        self._position: Position | None = None
        self._is_written = True
        self._write_at = 0.0
        self._retry_at = 0.0
        """By the clock that never steps; not kept over a restart, which is a word to try again."""
        self._missing_told = 0
        self._trouble = ""

    async def run(self, end: asyncio.Event) -> None:
        """Until `end` is set; an attempt that is under way is finished."""
        while not end.is_set():
            pause_s = await self.turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), pause_s)

    async def close(self) -> None:
        """Write what was passed over, and let go of the connection."""
        self._is_written = False
        await self._written()
        await self._post.close()

    async def begin(self) -> None:
        """Find where it has got to. What happens from here on is told."""
        try:
            await self._begin()
        except OSError as error:
            self._say(f"where it has got to cannot be read: {error}")

    async def turn(self) -> float:
        """One look, and one attempt if there is something to tell; how long to pause."""
        try:
            position = self._position or await self._begin()
            position = await self._ordered(position)
            if not await self._written():
                return TROUBLE_S
            found = await self._look(position)
        except (HistoryError, OSError) as error:
            self._say(str(error))
            return TROUBLE_S
        self._trouble = ""
        self._tell_lag(found)
        left_s = self._retry_at - self._clock.monotonic()
        if left_s > 0:
            return min(left_s, LOOK_S)
        if found.steps:
            await self._tell(found)
        else:
            self._pass_over(found)
        await self._written()
        if self._retry_at > self._clock.monotonic():
            return min(self._retry_at - self._clock.monotonic(), LOOK_S)
        return 0.0 if found.upto < found.last else self._options.pause_s

    async def _begin(self) -> Position:
        try:
            position = await self._in_thread(self._file.read)
        except PositionDamaged as error:
            aside = await self._in_thread(self._file.move_aside)
            self._say(f"{error}; it is {aside} now, and all there is in the history is told again")
            position = await self._in_thread(partial(look.begun, self._told.history, from_start=True))
            self._put(position)
        if position is None:
            position = await self._in_thread(partial(look.begun, self._told.history, from_start=False))
            self._put(position)
            await self._written()
        self._position, self._missing_told = position, position.missing
        return position

    async def _look(self, position: Position) -> Look:
        limit = self._options.batch_size
        found = await self._in_thread(partial(look.look, self._told.history, position, self._wanted, limit))
        if found.position.is_new_history and not position.is_new_history:
            self._record(WebhookGap(self._options.name, 0, "the history was begun anew"))
        elif found.position.cursor < position.cursor:
            reason = (
                "the history lost its end (a crash of the machine, or a copy that was put back), "
                f"and goes on behind step {found.position.cursor}; what was told is not lost"
            )
            self._record(WebhookTrouble(self._options.name, reason))
        if found.position != position:
            self._put(found.position)
        return found

    async def _ordered(self, position: Position) -> Position:
        """Where somebody wants it to go on."""
        try:
            order = await self._in_thread(self._file.order)
        except PositionDamaged as error:
            self._say(f"an order cannot be read, and is dropped: {error}")
            await self._in_thread(self._file.drop_order)
            order = None
        if order is None:
            return position
        if order.id != position.order:
            self._record(WebhookMoved(self._options.name, order.do, order.by, position.cursor, order.cursor))
            position = replace(
                position, cursor=order.cursor, upto=0, missing=0, failures=0, next_at=0.0, order=order.id
            )
            self._retry_at, self._missing_told = 0.0, 0
            self._put(position)
        # Not before it is on the disk that it was carried out.
        if await self._written():
            await self._in_thread(self._file.drop_order)
        return position

    async def _tell(self, found: Look) -> None:
        options, position = self._options, found.position
        missing = position.missing + found.missing
        self._tell_gap(missing)
        gap = body.Gap(missing, position.is_new_history) if missing or position.is_new_history else None
        content = body.batch(self._told.hostname, options.name, found.key, found.steps, gap)
        id = body.id_of(content)
        begun_at, now = self._clock.monotonic(), self._clock.now()
        try:
            answer = await self._post(signature.headers(options.secrets, id, int(now), content), content)
        except Unanswered as error:
            self._failed(found, str(error), 0.0, is_fault=error.is_fault)
            return
        if not answer.is_taken:
            asked_s = self._asked_s(answer)
            self._failed(found, f"it answered {answer}", asked_s, is_fault=not answer.may_pass)
            return
        seconds = self._clock.monotonic() - begun_at
        self._record(
            WebhookSent(
                options.name, id, len(found.steps), answer.status, round(seconds, 3), position.failures,
                "info" if position.failures else "debug",
            )
        )  # fmt: skip
        self._missing_told = 0
        at = self._clock.now()
        self._put(
            replace(
                position, cursor=found.upto, upto=0, missing=0, is_new_history=False,
                sent=position.sent + len(found.steps), sent_at=at, tried_at=at, failures=0,
                answer=str(answer), next_at=0.0,
            )
        )  # fmt: skip

    def _failed(self, found: Look, reason: str, asked_s: float, *, is_fault: bool) -> None:
        options, failures = self._options, found.position.failures + 1
        pause_s = retry.pause_s(options, failures, asked_s, self._random())
        now = self._clock.now()
        self._retry_at = self._clock.monotonic() + pause_s
        self._record(
            WebhookFailed(
                options.name, reason, failures, round(now + pause_s, 3), "error" if is_fault else "warning"
            )
        )
        self._put(
            replace(
                found.position, upto=found.upto, tried_at=now, failures=failures, answer=reason,
                next_at=now + pause_s,
            )
        )  # fmt: skip

    def _asked_s(self, answer: Answer) -> float:
        if answer.status == HTTPStatus.GONE:
            # Standard Webhooks: the sender "should disable the webhook". That is for the administrator to do.
            return self._options.retry_max_s
        return retry.asked_s(answer.retry_after, self._clock.now())

    def _pass_over(self, found: Look) -> None:
        """There was nothing to tell in it."""
        position = found.position
        if found.upto <= position.cursor:
            return
        missing = position.missing + found.missing
        self._tell_gap(missing)
        self._position = replace(position, cursor=found.upto, upto=0, missing=missing)
        now = self._clock.monotonic()
        if found.missing or now >= self._write_at:
            self._is_written = False

    def _put(self, position: Position) -> None:
        self._position, self._is_written = position, False

    async def _written(self) -> bool:
        """Is the position on the disk? Nothing is sent before it is: else a crash would repeat more than a batch."""
        if self._is_written or self._position is None:
            return True
        try:
            await self._in_thread(partial(self._file.write, self._position))
        except OSError as error:
            self._say(f"where it has got to cannot be written: {error}")
            return False
        self._is_written = True
        self._write_at = self._clock.monotonic() + WRITE_S
        return True

    def _tell_lag(self, found: Look) -> None:
        seconds = self._clock.now() - found.steps[0].at_ms / 1000 if found.steps else 0.0
        steps = max(0, found.last - found.position.cursor)
        self._record(WebhookLag(self._options.name, steps, max(0.0, seconds)))

    def _tell_gap(self, missing: int) -> None:
        if missing > self._missing_told:
            reason = "the history removed them (age, size, or an erasure) before they were told"
            self._record(WebhookGap(self._options.name, missing - self._missing_told, reason))
            self._missing_told = missing

    def _say(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            self._record(WebhookTrouble(self._options.name, reason))
