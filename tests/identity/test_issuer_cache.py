"""One fetch for all who ask, ahead of need, never more often than a pause allows; what is known is used for a day."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from relay.identity.access import TokenRefused
from relay.identity.bearer import Inbound, Issuers
from relay.identity.issuer_cache import (
    ASK_AGAIN_S,
    KEEP_S,
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    REFRESH_S,
    WAITING_MAX,
    IssuerCache,
)
from relay.trace.event import Event
from relay.trace.signing_keys_event import SigningKeysRead
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.tokens import INBOUND, issuers

DOWN = TokenRefused("authority.test is down", is_fault=False)


class Desk:
    """A cache with what it needs."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.fetches = 0
        self.answer: Issuers | TokenRefused = issuers()
        self.gate = threading.Event()
        self.gate.set()
        self.cache = IssuerCache(INBOUND, self.fetch, self.events.append, self.clock, lambda: 0.5)

    def fetch(self, inbound: Inbound) -> Issuers:
        self.fetches += 1
        assert inbound is INBOUND and self.gate.wait(10)
        if isinstance(self.answer, TokenRefused):
            raise self.answer
        return self.answer

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 (the condition may be anything)
                await asyncio.sleep(0.001)

    def known(self) -> Issuers | None:
        return self.cache.known

    def is_asking(self) -> bool:
        return self.cache.is_asking

    def is_failing(self) -> bool:
        return self.cache.is_failing

    async def ask(self) -> bool:
        """Has it been asked? And wait for the answer."""
        answered: list[bool] = []
        if not self.cache.ask(lambda: answered.append(True)):
            return False
        await self.until(lambda: answered)
        return True

    def told(self) -> list[tuple[int, str, str]]:
        return [
            (each.keys, each.reason, each.level) for each in self.events if isinstance(each, SigningKeysRead)
        ]


@in_loop
async def test_all_who_ask_at_once_share_one_fetch() -> None:
    desk = Desk()
    desk.gate.clear()
    assert desk.known() is None and not desk.is_asking()
    answered: list[int] = []
    assert all(desk.cache.ask(lambda number=number: answered.append(number)) for number in range(100))  # type: ignore[misc]
    assert desk.is_asking()
    desk.gate.set()
    await desk.until(lambda: len(answered) == 100)
    assert desk.fetches == 1 and desk.known() is desk.answer
    assert desk.told() == [(2, "", "info")]


@in_loop
async def test_made_up_keys_make_nobody_ask_more_than_once_a_minute() -> None:
    desk = Desk()
    await desk.ask()
    for _ in range(10_000):
        assert not desk.cache.ask(lambda: pytest.fail("nobody asked"))
    desk.clock.advance(ASK_AGAIN_S - 1)
    assert not await desk.ask()
    desk.clock.advance(1)
    assert await desk.ask()
    assert desk.fetches == 2


@in_loop
async def test_a_key_that_is_new_is_known_after_one_question() -> None:
    desk = Desk()
    await desk.ask()
    desk.answer = issuers(0, 1)
    desk.clock.advance(ASK_AGAIN_S)
    await desk.ask()
    known = desk.known()
    assert known is not None and len(known.keys) == 4
    assert desk.told() == [(2, "", "info"), (4, "", "info")]


@in_loop
async def test_a_newer_set_is_fetched_ahead_of_need() -> None:
    desk = Desk()
    for _ in range(3):
        desk.cache.look()
        await desk.until(lambda: not desk.is_asking())
    assert desk.fetches == 1
    desk.clock.advance(REFRESH_S - 1)
    desk.cache.look()
    assert not desk.is_asking()
    desk.clock.advance(1)
    desk.cache.look()
    assert desk.is_asking() and desk.known() is not None, "nobody waits for it"
    await desk.until(lambda: desk.fetches == 2 and not desk.is_asking())
    assert [level for _, _, level in desk.told()] == ["info", "debug"]


@in_loop
async def test_an_authority_that_is_down_keeps_nobody_out_for_a_day_and_no_longer() -> None:
    desk = Desk()
    await desk.ask()
    desk.answer = DOWN
    began = desk.clock.monotonic()
    while desk.clock.monotonic() < began + KEEP_S - 1_000:
        desk.clock.advance(1_000)
        desk.cache.look()
        await desk.until(lambda: not desk.is_asking())
        assert desk.known() is not None
    assert desk.is_failing()
    desk.clock.advance(1_000)
    assert desk.known() is None
    # Once for each reason, not once a try.
    assert desk.told() == [(2, "", "info"), (2, "authority.test is down", "warning")]
    desk.answer = TokenRefused("there is no such tenant", is_fault=True)
    assert await desk.ask()
    assert desk.told()[-1] == (0, "there is no such tenant", "error")
    desk.answer = issuers()
    desk.clock.advance(PAUSE_MAX_S * 2)
    assert await desk.ask()
    assert desk.known() is not None and not desk.is_failing()
    assert desk.told()[-1] == (2, "", "info")


@in_loop
async def test_pauses_after_failures_grow_and_end() -> None:
    desk = Desk()
    desk.answer = DOWN
    pauses = []
    for _ in range(8):
        assert await desk.ask()
        waited = 0.0
        while not desk.cache.ask(lambda: None):
            desk.clock.advance(1.0)
            waited += 1.0
        pauses.append(waited)
        await desk.until(lambda: not desk.is_asking())
        desk.clock.advance(PAUSE_MAX_S * 2)
    assert pauses[0] == PAUSE_FIRST_S and pauses == sorted(pauses) and pauses[-1] == PAUSE_MAX_S
    assert desk.told() == [(0, "authority.test is down", "error")]


@in_loop
async def test_so_many_wait_and_no_more() -> None:
    desk = Desk()
    desk.gate.clear()
    answered: list[bool] = []
    asked = [desk.cache.ask(lambda: answered.append(True)) for _ in range(WAITING_MAX + 5)]
    assert asked == [True] * WAITING_MAX + [False] * 5
    desk.gate.set()
    await desk.until(lambda: len(answered) == WAITING_MAX)


@in_loop
async def test_an_end_does_not_wait_for_the_authority() -> None:
    desk = Desk()
    desk.gate.clear()
    assert desk.cache.ask(lambda: pytest.fail("nobody is there to be told"))
    await desk.until(lambda: desk.fetches)
    await desk.cache.close()
    desk.gate.set()
    await asyncio.sleep(0.01)
    assert desk.told() == []


@in_loop
async def test_an_authority_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.identity.issuer_cache.WAIT_S", 0.05)
    desk = Desk()
    desk.gate.clear()
    assert await desk.ask()
    assert desk.told() == [(0, "no answer within 0.05 seconds", "error")]
    desk.gate.set()
