"""Tokens: one fetch for all who ask, ahead of expiry.

A token is good until shortly before its end. From half of its life on a fresh one is
fetched beside it, so that nobody waits; only who finds none that is good waits, and all
who wait share one request. An authority that refuses is not asked again until a pause
is over that grows with each failure: meanwhile all get its last answer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from relay.clock import Clock
from relay.identity import blocking
from relay.identity.access import AccessToken, Fetched, TokenRefused
from relay.queue.retry import delay
from relay.route.oauth import Application, OAuth
from relay.trace import event as trace

Fetch = Callable[[Application], Fetched]
"""Blocking, any thread; TokenRefused. In life `relay.identity.token.fetch`."""

WAIT_S = 30.0
"""Longer than a fetch may take: a thread that hangs in the system's resolver is given up."""
PAUSE_FIRST_S = 5.0
PAUSE_MAX_S = 60.0
"""Shorter than the pauses of lanes: the lane says when to try, this only keeps many lanes from trying at once."""


@dataclass(slots=True)
class _Slot:
    """What is known of one application."""

    application: Application
    token: AccessToken | None = None
    task: asyncio.Task[AccessToken | TokenRefused] | None = None
    failure: TokenRefused | None = None
    """The last answer, when it was a refusal."""
    failures: int = 0
    not_before: float = 0.0
    """Monotonic; no fetch begins earlier."""


class TokenCache:
    """The tokens of one process; all methods in the loop's thread."""

    def __init__(self, fetch: Fetch, record: trace.Record, clock: Clock, rng: Callable[[], float]) -> None:
        self._fetch = fetch
        self._record = record
        self._clock = clock
        self._rng = rng
        self._slots: dict[Application, _Slot] = {}

    async def token(self, oauth: OAuth) -> AccessToken:
        """One with enough time left; TokenRefused."""
        slot = self._slots.setdefault(oauth.application, _Slot(oauth.application))
        now, token = self._clock.monotonic(), slot.token
        if token is not None and token.is_good(now, oauth.margin_s):
            if now >= token.refresh_at:
                self._start(slot)
            return token
        task = self._start(slot)
        # Whoever asks may be cancelled; the others still want the answer.
        answer = slot.failure if task is None else await asyncio.shield(task)
        if isinstance(answer, AccessToken):
            return answer
        # A pause follows a failure only.
        assert answer is not None
        raise TokenRefused(str(answer), is_fault=answer.is_fault)

    def forget(self, oauth: OAuth, token: AccessToken) -> None:
        """A server refused it: the next who asks gets a fresh one."""
        slot = self._slots.get(oauth.application)
        if slot is not None and slot.token is token:
            slot.token = None

    async def close(self) -> None:
        """Give up what is being fetched."""
        tasks = [slot.task for slot in self._slots.values() if slot.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, slot: _Slot) -> asyncio.Task[AccessToken | TokenRefused] | None:
        """The fetch under way, begun now if there is none; None while it must not begin."""
        if slot.task is None and self._clock.monotonic() >= slot.not_before:
            slot.task = asyncio.get_running_loop().create_task(self._run(slot))
        return slot.task

    async def _run(self, slot: _Slot) -> AccessToken | TokenRefused:
        began_at = self._clock.monotonic()
        try:
            return self._succeeded(slot, await self._in_thread(slot.application), began_at)
        except TokenRefused as error:
            self._failed(slot, error)
            return error
        finally:
            slot.task = None

    def _succeeded(self, slot: _Slot, fetched: Fetched, began_at: float) -> AccessToken:
        # From the moment of asking: the authority counts from when it answered.
        ends_at = began_at + fetched.lifetime_s
        token = slot.token = AccessToken(fetched.text, began_at, began_at + fetched.lifetime_s / 2, ends_at)
        slot.failure, slot.failures, slot.not_before = None, 0, 0.0
        seconds = self._clock.monotonic() - began_at
        self._record(trace.TokenFetched(str(slot.application), fetched.lifetime_s, seconds))
        return token

    def _failed(self, slot: _Slot, error: TokenRefused) -> None:
        is_news = slot.failure is None or str(slot.failure) != str(error)
        slot.failure = error
        slot.failures += 1
        wait_s = delay(slot.failures, PAUSE_FIRST_S, 2, PAUSE_MAX_S, self._rng)
        slot.not_before = self._clock.monotonic() + wait_s
        if is_news:
            level: trace.Level = "error" if error.is_fault else "warning"
            self._record(trace.TokenFailed(str(slot.application), str(error), level))

    async def _in_thread(self, application: Application) -> Fetched:
        try:
            return await blocking.call(lambda: self._fetch(application), WAIT_S, "token")
        except TimeoutError:
            raise TokenRefused(f"no answer within {WAIT_S:g} seconds", is_fault=False) from None
