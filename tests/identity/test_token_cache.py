"""One fetch for all who ask, ahead of expiry, with pauses after refusals."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.identity import token
from relay.identity.access import AccessToken, Fetched, TokenRefused
from relay.identity.token_cache import PAUSE_FIRST_S, PAUSE_MAX_S, TokenCache
from relay.route.oauth import Application, ClientSecret, OAuth
from relay.trace import event as trace
from tests.fakes.authority import token_authority
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop

APPLICATION = Application(
    "app", "https://authority.test/tenant", "https://outlook.test/.default", ClientSecret("s")
)
LOGIN = OAuth("orders@contoso.example", APPLICATION)
OTHER_MAILBOX = OAuth("news@contoso.example", APPLICATION)


class Source:
    """An authority of one method."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.lifetime_s = lifetime_s
        self.fetches = 0
        self.refusal: TokenRefused | None = None
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self, application: Application) -> Fetched:
        self.fetches += 1
        number = self.fetches
        assert self.gate.wait(10)
        if self.refusal is not None:
            raise self.refusal
        return Fetched(f"token {number}", self.lifetime_s)


class Desk:
    """A cache with what it needs."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.clock = FakeClock()
        self.source = Source(lifetime_s)
        self.events: list[trace.Event] = []
        self.cache = TokenCache(self.source.fetch, self.events.append, self.clock, lambda: 0.5)

    async def ask(self, login: OAuth = LOGIN) -> str:
        return (await self.cache.token(login)).text

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 (the condition may be anything)
                await asyncio.sleep(0.001)


@in_loop
async def test_five_hundred_who_ask_at_once_share_one_fetch() -> None:
    desk = Desk()
    assert {text for text in await asyncio.gather(*(desk.ask() for _ in range(500)))} == {"token 1"}
    desk.clock.advance(3600)
    assert {text for text in await asyncio.gather(*(desk.ask() for _ in range(500)))} == {"token 2"}
    assert desk.source.fetches == 2


@in_loop
async def test_five_hundred_at_the_second_of_expiry_are_one_request_to_the_authority(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, token_authority(tmp_path) as authority:
        patch.setenv("NO_PROXY", "*")
        clock = FakeClock()
        cache = TokenCache(token.fetch, lambda _: None, clock, lambda: 0.5)
        login = OAuth("orders@contoso.example", authority.application())
        await cache.token(login)
        clock.advance(3600)
        tokens = await asyncio.gather(*(cache.token(login) for _ in range(500)))
        assert {each.text for each in tokens} == {authority.tokens[1]}
        assert authority.token_requests == 2


@in_loop
async def test_all_mailboxes_of_an_application_share_its_token() -> None:
    desk = Desk()
    assert await desk.ask() == await desk.ask(OTHER_MAILBOX)
    assert desk.source.fetches == 1


@in_loop
async def test_a_fresh_token_is_fetched_beside_one_that_is_still_good() -> None:
    desk = Desk()
    await desk.ask()
    desk.clock.advance(1799)
    assert await desk.ask() == "token 1"
    await asyncio.sleep(0)
    assert desk.source.fetches == 1
    desk.clock.advance(1)
    assert await desk.ask() == "token 1", "nobody waits for the fresh one"
    await desk.until(lambda: len(desk.events) == 2)
    assert await desk.ask() == "token 2"


@in_loop
async def test_who_needs_more_time_left_gets_a_fresher_token() -> None:
    desk = Desk()
    careful = OAuth("bulk@contoso.example", APPLICATION, margin_s=600.0)
    await desk.ask()
    desk.source.refusal = TokenRefused("down", is_fault=False)
    desk.clock.advance(3001)
    assert await desk.ask() == "token 1"
    with pytest.raises(TokenRefused):
        await desk.ask(careful)


@in_loop
async def test_a_token_that_lives_shorter_than_the_margin_is_used_for_half_of_its_life() -> None:
    desk = Desk(lifetime_s=300.0)
    careful = OAuth("bulk@contoso.example", APPLICATION, margin_s=600.0)
    for _ in range(3):
        assert await desk.ask(careful) == "token 1"
    desk.clock.advance(150)
    assert await desk.ask(careful) == "token 2"


@in_loop
async def test_a_refusal_is_told_once_and_the_authority_left_alone_for_a_while() -> None:
    desk = Desk()
    desk.source.refusal = TokenRefused("the secret is wrong", is_fault=True)
    for _ in range(3):
        with pytest.raises(TokenRefused, match="the secret is wrong") as caught:
            await desk.ask()
        assert caught.value.is_fault
    assert desk.source.fetches == 1
    for _ in range(5):
        desk.clock.advance(PAUSE_FIRST_S * 16)
        with pytest.raises(TokenRefused):
            await desk.ask()
    assert desk.source.fetches == 6
    [event] = desk.events
    assert isinstance(event, trace.TokenFailed) and event.level == "error"
    assert event.application == "the application app"
    desk.source.refusal = TokenRefused("down", is_fault=False)
    desk.clock.advance(60)
    with pytest.raises(TokenRefused, match="down"):
        await desk.ask()
    assert [event.level for event in desk.events] == ["error", "warning"]


@in_loop
async def test_pauses_grow_and_end_with_a_success() -> None:
    desk = Desk()
    desk.source.refusal = TokenRefused("down", is_fault=False)
    moments = []
    for second in range(200):
        before = desk.source.fetches
        with pytest.raises(TokenRefused):
            await desk.ask()
        if desk.source.fetches > before:
            moments.append(second)
        desk.clock.advance(1)
    assert moments == [0, 5, 15, 35, 75, 135, 195]
    desk.source.refusal = None
    desk.clock.advance(60)
    await desk.ask()
    desk.clock.advance(3600)
    desk.source.refusal = TokenRefused("down again", is_fault=False)
    with pytest.raises(TokenRefused, match="down again"):
        await desk.ask()
    desk.clock.advance(PAUSE_FIRST_S)
    fetches = desk.source.fetches
    with pytest.raises(TokenRefused):
        await desk.ask()
    assert desk.source.fetches == fetches + 1


@in_loop
async def test_an_authority_that_is_down_costs_nothing_while_the_token_is_good() -> None:
    desk = Desk()
    await desk.ask()
    desk.source.refusal = TokenRefused("down", is_fault=False)
    for _ in range(17):
        desk.clock.advance(200)
        assert await desk.ask() == "token 1"
        await asyncio.sleep(0.002)
    await desk.until(lambda: len(desk.events) == 2)
    desk.source.refusal = None
    for _ in range(2):
        # The first may find a fetch under way that is refused still: then its pause has to pass.
        desk.clock.advance(PAUSE_MAX_S)
        await desk.ask()
        await asyncio.sleep(0.05)
    await desk.until(lambda: len(desk.events) == 3)
    assert [type(event) for event in desk.events] == [
        trace.TokenFetched,
        trace.TokenFailed,
        trace.TokenFetched,
    ]


@in_loop
async def test_who_gives_up_leaves_the_fetch_to_the_others() -> None:
    desk = Desk()
    desk.source.gate.clear()
    impatient, patient = asyncio.create_task(desk.ask()), asyncio.create_task(desk.ask())
    await desk.until(lambda: desk.source.fetches)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    desk.source.gate.set()
    assert await patient == "token 1" and desk.source.fetches == 1


@in_loop
async def test_a_forgotten_token_is_fetched_anew_and_only_that_one() -> None:
    desk = Desk()
    old = await desk.cache.token(LOGIN)
    desk.cache.forget(LOGIN, old)
    new = await desk.cache.token(LOGIN)
    assert new.text == "token 2"
    desk.cache.forget(LOGIN, old)
    assert await desk.ask() == "token 2", "whoever is late does not throw away the fresh one"


@in_loop
async def test_closing_gives_up_a_fetch_that_hangs() -> None:
    desk = Desk()
    desk.source.gate.clear()
    asking = asyncio.create_task(desk.ask())
    await desk.until(lambda: desk.source.fetches)
    await desk.cache.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    desk.source.gate.set()


@in_loop
async def test_a_thread_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.identity.token_cache.WAIT_S", 0.05)
    desk = Desk()
    desk.source.gate.clear()
    with pytest.raises(TokenRefused, match="no answer within") as caught:
        await desk.ask()
    assert not caught.value.is_fault
    desk.source.gate.set()


@in_loop
async def test_the_loop_goes_on_while_the_authority_thinks() -> None:
    desk = Desk()
    desk.source.gate.clear()
    asking = asyncio.create_task(desk.ask())
    await desk.until(lambda: desk.source.fetches)
    desk.source.gate.set()
    assert await asking == "token 1"


def test_no_token_shows_in_an_event_or_a_repr() -> None:
    desk = Desk()

    async def ask() -> AccessToken:
        return await desk.cache.token(LOGIN)

    shown = asyncio.run(ask())
    assert shown.text == "token 1" and "token 1" not in repr(shown)
    assert "token 1" not in repr(desk.events)
