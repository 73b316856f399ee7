"""The issuers of a tenant, in one process: one fetch for all who ask, ahead of need, and never more often than a pause allows.

What is known is used for a day after it was told, so that an authority that is down for
hours keeps nobody out; no longer, for a key that was stolen is taken back by not being told.
From six hours on a newer set is fetched beside it. A token with a key that is not known
may be the first of a new key, or made up by somebody who wants us to ask: it asks at once,
but within a minute of the last answer nobody asks again.

All methods are for the loop's thread. Each receiver has its own: four requests in six
hours are not worth a file that is shared.
"""

import asyncio
from collections.abc import Callable

from relay.clock import Clock
from relay.identity.access import TokenRefused
from relay.identity.bearer import Inbound, Issuers
from relay.identity.thread import in_thread
from relay.queue.retry import delay
from relay.trace.event import Level, Record
from relay.trace.signing_keys_event import SigningKeysRead

Fetch = Callable[[Inbound], Issuers]
"""Blocking, any thread; TokenRefused. In life `relay.identity.issuer.fetch`."""

REFRESH_S = 6 * 3_600.0
"""Microsoft asks for a look each day at least, and tells new keys long before it uses them."""
KEEP_S = 86_400.0
ASK_AGAIN_S = 60.0
"""After an answer, for keys that are not known. Microsoft's libraries wait five minutes; a new key in a hurry is told within one."""
PAUSE_FIRST_S = 5.0
PAUSE_MAX_S = 60.0
WAIT_S = 30.0
"""Longer than a fetch may take: a thread that hangs in the system's resolver is given up."""
WAITING_MAX = 256
"""Logins that wait for one answer; whoever comes later is told to come again (454)."""


class IssuerCache:
    """Of one tenant."""

    def __init__(
        self, inbound: Inbound, fetch: Fetch, record: Record, clock: Clock, rng: Callable[[], float]
    ) -> None:
        self._inbound = inbound
        self._fetch = fetch
        self._record = record
        self._clock = clock
        self._rng = rng
        self._issuers: Issuers | None = None
        self._fetched_at = 0.0
        self._failure = ""
        """Of the last fetch, when it failed."""
        self._failures = 0
        self._not_before = 0.0
        """Monotonic; no fetch begins earlier."""
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[Callable[[], None]] = []

    @property
    def known(self) -> Issuers | None:
        """Those in force; None: none are, or they are too old."""
        if self._issuers is None or self._clock.monotonic() >= self._fetched_at + KEEP_S:
            return None
        return self._issuers

    @property
    def is_asking(self) -> bool:
        """A fetch is under way."""
        return self._task is not None

    @property
    def is_failing(self) -> bool:
        """The authority could not be asked lately: what is not known here may be known there."""
        return bool(self._failure)

    def look(self) -> None:
        """Now and then: fetch ahead."""
        if self._issuers is None or self._clock.monotonic() >= self._fetched_at + REFRESH_S:
            self._start()

    def ask(self, done: Callable[[], None]) -> bool:
        """Fetch, and call `done` after it, so or so; False, and nothing happens: it may not be now."""
        self._start()
        if self._task is None or len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(done)
        return True

    async def close(self) -> None:
        """Give up what is being fetched."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> None:
        if self._task is None and self._clock.monotonic() >= self._not_before:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        began_at = self._clock.monotonic()
        try:
            try:
                found = await in_thread(lambda: self._fetch(self._inbound), "signing keys", WAIT_S)
            except TimeoutError:
                self._failed(f"no answer within {WAIT_S:g} seconds", is_fault=False)
            except TokenRefused as error:
                self._failed(str(error), is_fault=error.is_fault)
            else:
                self._succeeded(found, began_at)
        finally:
            self._task = None
            waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()

    def _succeeded(self, found: Issuers, began_at: float) -> None:
        now = self._clock.monotonic()
        is_news = (
            self._issuers is None or bool(self._failure) or found.keys.keys() != self._issuers.keys.keys()
        )
        # From the moment of asking: what was told may have been true then only.
        self._issuers, self._fetched_at = found, began_at
        self._failure, self._failures, self._not_before = "", 0, now + ASK_AGAIN_S
        level: Level = "info" if is_news else "debug"
        self._record(SigningKeysRead(str(self._inbound), len(found.keys), now - began_at, level=level))

    def _failed(self, reason: str, *, is_fault: bool) -> None:
        is_news, self._failure = reason != self._failure, reason
        self._failures += 1
        wait_s = delay(self._failures, PAUSE_FIRST_S, 2, PAUSE_MAX_S, self._rng)
        self._not_before = self._clock.monotonic() + wait_s
        if is_news:
            known = self.known
            level: Level = "error" if is_fault or known is None else "warning"
            count = 0 if known is None else len(known.keys)
            self._record(SigningKeysRead(str(self._inbound), count, reason=reason, level=level))
