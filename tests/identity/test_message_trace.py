"""The message trace is asked within a tenant's limits, and only what was asked for is believed."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import pytest

from relay.identity.access import AccessToken, TokenRefused
from relay.identity.graph import GraphOptions, GraphRefused
from relay.identity.message_trace import PAGES_MAX, Found, MessageTrace, Traced, can_be_asked_for
from relay.route.oauth import Application, ClientSecret, OAuth
from tests.fakes.clock import FakeClock

OPTIONS = GraphOptions(
    Application("app", "https://login.test/t", "https://graph.test/.default", ClientSecret("s")),
    "https://graph.test",
)
AT = 1_769_860_800.0
"""31 January 2026, 12:00."""


def row(
    message_id: str = "<1@app>", recipient: str = "b@c.test", status: str = "delivered"
) -> dict[str, str]:
    return {"messageId": message_id, "recipientAddress": recipient, "status": status, "senderAddress": "a@b"}


def page(*rows: object, next_link: str = "") -> str:
    return json.dumps({"value": rows} | ({"@odata.nextLink": next_link} if next_link else {}))


@dataclass
class World:
    """A trace with its clock, what it was asked, and what it answers."""

    answer: Callable[[str], str]
    options: GraphOptions = OPTIONS
    clock: FakeClock = field(default_factory=FakeClock)
    urls: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    refusal: TokenRefused | None = None

    def __post_init__(self) -> None:
        self.trace = MessageTrace(self.options, self, self.clock, lambda: 0.5, self.get)

    def get(self, options: GraphOptions, token: str, url: str, now: float) -> str:
        assert token == "the token"
        self.urls.append(url)
        return self.answer(url)

    async def token(self, oauth: OAuth) -> AccessToken:
        if self.refusal is not None:
            raise self.refusal
        assert oauth.application is self.options.application
        return AccessToken("the token", 0, 0, 9e9)

    def forget(self, oauth: OAuth, token: AccessToken) -> None:
        self.forgotten.append(token.text)

    def find(self, message_id: str = "<1@app>") -> Found:
        return asyncio.run(self.trace.find(message_id, AT - 3600, AT))

    def refused(self, message_id: str = "<1@app>") -> GraphRefused:
        with pytest.raises(GraphRefused) as caught:
            self.find(message_id)
        return caught.value


def test_the_question_names_the_message_id_and_a_time() -> None:
    world = World(lambda url: page(row()))
    assert world.find() == Found((Traced("b@c.test", "delivered"),))
    parts = urlsplit(world.urls[0])
    assert parts.path == "/v1.0/admin/exchange/tracing/messageTraces"
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert query["$filter"] == (
        "messageId eq '<1@app>' and receivedDateTime ge 2026-01-31T11:00:00Z "
        "and receivedDateTime le 2026-01-31T12:00:00Z"
    )
    assert query["$top"] == "1000"


@pytest.mark.parametrize(
    "message_id", ["<o'neill+x&y=z#%20@app>", "<' or 1 eq 1 or messageId eq '@app>", "<a?$top=5@app>"]
)
def test_what_a_message_id_holds_cannot_change_the_question(message_id: str) -> None:
    world = World(lambda url: page(row(message_id)))
    assert len(world.find(message_id).rows) == 1
    query = parse_qs(urlsplit(world.urls[0]).query)
    assert query.keys() == {"$filter", "$top"}
    doubled = message_id.replace("'", "''")
    assert query["$filter"][0].startswith(f"messageId eq '{doubled}' and receivedDateTime ge ")


def test_rows_of_other_mails_are_not_believed_when_the_service_ignores_the_filter() -> None:
    world = World(lambda url: page(row("<2@app>"), row("1@app", "B@C.test"), row(" <1@app> ", "d@c.test")))
    assert [each.recipient for each in world.find().rows] == ["b@c.test", "d@c.test"]


def test_pages_are_followed_up_to_a_bound() -> None:
    next_link = "https://graph.test/v1.0/more?$skiptoken=1"
    world = World(lambda url: page(row(), next_link="" if "skiptoken" in url else next_link))
    assert world.find() == Found((Traced("b@c.test", "delivered"),) * 2)
    endless = World(lambda url: page(row(), next_link=next_link))
    assert not endless.find().is_whole
    assert len(endless.urls) == PAGES_MAX


def test_no_more_is_asked_in_five_minutes_than_is_ours() -> None:
    world = World(lambda url: page(), replace(OPTIONS, trace_questions=3))
    for _ in range(3):
        assert world.trace.ready_at <= world.clock.monotonic()
        world.find()
        world.clock.advance(10)
    assert world.trace.ready_at == 1000.0 + 300
    world.clock.advance(270)
    assert world.trace.ready_at <= world.clock.monotonic()
    world.find()
    assert world.trace.ready_at == 1010.0 + 300


def test_after_a_refusal_there_is_a_pause_that_grows_and_ends_with_an_answer() -> None:
    troubles = [GraphRefused("busy", is_fault=False)] * 3

    def answer(url: str) -> str:
        if troubles:
            raise troubles.pop()
        return page()

    world = World(answer)
    pauses = []
    for _ in range(3):
        world.refused()
        pauses.append(world.trace.ready_at - world.clock.monotonic())
        world.clock.advance(pauses[-1])
    assert pauses == [30, 60, 120]
    world.find()
    assert world.trace.ready_at <= world.clock.monotonic()


def test_retry_after_is_obeyed() -> None:
    def answer(url: str) -> str:
        raise GraphRefused("too many", is_fault=False, retry_after_s=240.0)

    world = World(answer)
    world.refused()
    assert world.trace.ready_at == world.clock.monotonic() + 240


def test_a_token_without_the_permission_is_forgotten_so_that_a_grant_counts() -> None:
    def answer(url: str) -> str:
        raise GraphRefused("403", is_fault=True)

    world = World(answer)
    assert world.refused().is_fault
    assert world.forgotten == ["the token"]


def test_without_a_token_nothing_is_asked() -> None:
    world = World(lambda url: page(), refusal=TokenRefused("AADSTS7000215", is_fault=True))
    error = world.refused()
    assert error.is_fault and "AADSTS7000215" in str(error)
    assert not world.urls and world.trace.ready_at > world.clock.monotonic()


@pytest.mark.parametrize(
    "text", ["", "<html>", "{}", '{"value": 1}', '{"value": [{"messageId": 1}]}', "\ud800"]
)
def test_what_is_no_message_trace_is_no_answer(text: str) -> None:
    """Above all it is not an empty one: that would send mail twice."""
    world = World(lambda url: text)
    assert "no message trace" in str(world.refused())


@pytest.mark.parametrize(
    ("message_id", "can"),
    [
        (b"<1@app.test>", True), (b"1@app.test", True), (b"", False), (b"<>", False), (b"<a b@c>", False),
        (b"<a\r\n@c>", False), (b"<\xff@c>", False), (b"x" * 901, False),
    ],
)  # fmt: skip
def test_what_can_be_asked_for(message_id: bytes, can: bool) -> None:
    assert can_be_asked_for(message_id) is can
