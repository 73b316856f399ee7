"""The webhooks' process: `python -m relay.process.webhooks`, started by the supervisor.

A process of its own, so that no receiver of events, slow or hostile, is ever beside mail or
the history: it reads the history as `trace` does. Each webhook is a task; what blocks on the
disk goes through one thread. It says that it is ready before anybody has answered.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from relay.errors import ConfigurationError
from relay.process.life import Life, run
from relay.spool.lock import Lock
from relay.trace.event import Waiting
from relay.webhook.options import Webhooks
from relay.webhook.post import HttpPost
from relay.webhook.webhook import Webhook

LOCK = "webhooks"
"""In the spool's folder: two processes would tell everything twice, and set each other's positions back."""
LOCK_POLL_S = 0.05
READY_WITHIN_S = 10.0
"""A predecessor needs `END_WITHIN_S`; whatever holds the lock for longer, mail does not wait for it."""
BEGIN_WITHIN_S = 5.0
"""To find where each has got to: milliseconds, unless the disk is stuck; the relay does not wait for that."""
END_WITHIN_S = 3.0
"""For attempts that are under way; one that is cut off is made again by the next process."""
RESOLVERS = 4
"""Names that are looked up at a time beside one for each webhook: libuv has 4 threads in all, and a dead name
server would hold up the others."""

T = TypeVar("T")


async def work(life: Life) -> None:
    """Tell of mail until told to stop."""
    told = life.told.webhooks
    assert told is not None, "the webhooks' process is told of webhooks"
    # libuv reads it when the first name is looked up.
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(RESOLVERS + len(told.hooks)))
    held = await _hold(life)
    if held is None:
        return
    executor = ThreadPoolExecutor(1, "history")
    try:
        await _tell(life, told, executor)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        held.release()


async def _tell(life: Life, told: Webhooks, executor: ThreadPoolExecutor) -> None:
    loop = asyncio.get_running_loop()

    async def in_thread(work: Callable[[], T]) -> T:
        return await loop.run_in_executor(executor, work)

    hooks = [
        Webhook(told, options, HttpPost(options), in_thread, life.record, life.clock, random.random)
        for options in told.hooks
    ]
    begun = [asyncio.ensure_future(hook.begin()) for hook in hooks]
    await asyncio.wait(begun, timeout=BEGIN_WITHIN_S)
    life.ready(f"{len(hooks)} webhooks")
    end = asyncio.Event()
    tasks = [asyncio.ensure_future(_live(*each, end)) for each in zip(hooks, begun, strict=True)]
    await asyncio.wait((life.end, *tasks), return_when=asyncio.FIRST_COMPLETED)
    end.set()
    _, late = await asyncio.wait(tasks, timeout=min(END_WITHIN_S, life.told.drain_s / 2))
    for task in late:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    for hook in hooks:
        await hook.close()
    for failed in ends:
        if isinstance(failed, Exception):
            raise failed
    if life.end.done():
        life.end.result()


async def _live(hook: Webhook, begun: asyncio.Future[None], end: asyncio.Event) -> None:
    await begun
    await hook.run(end)


async def _hold(life: Life) -> Lock | None:
    """The webhooks' lock; None when told to stop meanwhile."""
    ready_at = life.clock.monotonic() + READY_WITHIN_S
    is_told = is_ready = False
    while not life.end.done():
        try:
            return Lock.hold(life.told.spool.path, LOCK)
        except ConfigurationError as error:
            if not is_told and life.clock.monotonic() > ready_at - READY_WITHIN_S / 2:
                life.record(Waiting(role=life.told.role, reason=str(error)))
                is_told = True
        if not is_ready and life.clock.monotonic() > ready_at:
            life.ready("not begun")
            is_ready = True
        await asyncio.wait((life.end,), timeout=LOCK_POLL_S)
    return None


if __name__ == "__main__":
    sys.exit(run(work))
