"""The message trace of the simulator: Graph's token checks, its filter, its limits, its latency; and our own client."""

import asyncio
import random
from pathlib import Path
from urllib.parse import quote

import pytest

from relay.clock import SystemClock
from relay.identity.graph import GraphOptions, GraphRefused
from relay.identity.message_trace import Found, MessageTrace, Traced
from relay.identity.token import fetch
from relay.identity.token_cache import TokenCache
from relay.route.oauth import Application, ClientSecret
from relay.simulator.directory import Directory
from relay.simulator.graph import TRACES, Graph
from relay.simulator.http import Request, Response, encode
from relay.simulator.simulator import Simulator
from tests.fakes.loop import in_loop
from tests.simulator.office import INSIDE, KEY, MAILBOXES, NEWS, NOW, ORDERS, OUTSIDE, Office
from tests.simulator.running import client, running

SCOPE = "https://graph.microsoft.com/.default"


class Desk:
    """A tenant with two mails, and its Graph."""

    def __init__(self, **limits: object) -> None:
        self.office = Office(limits=limits)
        tenant = self.office.file.tenant
        applications = {self.office.application.client_id: self.office.application}
        self.graph = Graph(
            tenant.id, self.office.tenant.is_missing, applications, self.office.file.limits, KEY,
            self.office.faults, self.office.ledger, Directory(tenant, MAILBOXES),
        )  # fmt: skip
        self.graph.base = "https://127.0.0.1:1443"
        talk = self.office.logged_in()
        assert talk.send(ORDERS, INSIDE, OUTSIDE, message_id="<1@app>").startswith("250")
        self.office.now += 60
        assert talk.send(ORDERS, INSIDE, message_id="<o'neill@app>").startswith("250")
        self.office.now += 300

    def token(self, **claims: object) -> str:
        wanted = {"aud": "https://graph.microsoft.com", "tid": self.office.file.tenant.id}
        return self.office.token(**(wanted | claims))

    def ask(self, filter: str = "", *, token: str | None = None, query: str = "", **how: str) -> Response:
        text = f"$filter={quote(filter)}{query}" if filter else query.removeprefix("&")
        authorization = f"Bearer {self.token() if token is None else token}"
        request = Request(how.get("method", "GET"), how.get("path", TRACES), text, b"", authorization)
        answer = self.graph.answer(request, self.office.now)
        assert isinstance(answer, Response)
        encode(answer)
        return answer

    def rows(self, filter: str = "", query: str = "") -> list[tuple[str, str]]:
        answer = self.ask(filter, query=query)
        assert answer.status == 200, answer
        return [(row["messageId"], row["recipientAddress"]) for row in body(answer)["value"]]


def body(answer: Response) -> dict[str, list[dict[str, str]]]:
    assert isinstance(answer.body, dict)
    return answer.body


def test_a_mail_is_shown_for_each_recipient() -> None:
    desk = Desk()
    assert desk.rows("messageId eq '<1@app>'") == [("<1@app>", INSIDE), ("<1@app>", OUTSIDE)]
    [row, _] = body(desk.ask("messageId eq '<1@app>'"))["value"]
    assert (row["senderAddress"], row["status"]) == (ORDERS, "delivered")
    assert row["receivedDateTime"] == "2025-11-23T11:12:20Z"


@pytest.mark.parametrize(
    ("filter", "count"),
    [
        ("messageId eq '<o''neill@app>'", 1),
        ("messageId eq '<2@app>'", 0),
        (f"recipientAddress eq '{INSIDE.upper()}'", 2),
        (f"messageId eq '<1@app>' and recipientAddress eq '{OUTSIDE}'", 1),
        (f"senderAddress eq '{NEWS}'", 0),
        ("status eq 'failed'", 0),
        ("receivedDateTime ge 2025-11-23T11:12:20Z and receivedDateTime le 2025-11-23T11:12:21Z", 2),
        ("receivedDateTime ge 2025-11-23T11:00:00Z and receivedDateTime le 2025-11-23T11:12:19Z", 0),
        ("", 3),
    ],
)
def test_the_filter_is_obeyed(filter: str, count: int) -> None:
    assert len(Desk().rows(filter)) == count


@pytest.mark.parametrize(
    "filter",
    [
        "messageId eq 'a", "messageId ge 'a'", "size eq '1'", "messageId eq 'a' or messageId eq 'b'",
        "receivedDateTime ge 2025-11-23T11:00:00Z",
        "receivedDateTime ge 2025-11-01T11:00:00Z and receivedDateTime le 2025-11-23T11:00:00Z",
        "receivedDateTime ge 2025-11-23T11:00:00Z and receivedDateTime le 2025-11-23T12:00:00Z",
        "receivedDateTime ge 2025-01-01T00:00:00Z and receivedDateTime le 2025-01-02T00:00:00Z",
    ],
)  # fmt: skip
def test_a_filter_that_graph_does_not_take_is_400(filter: str) -> None:
    assert Desk().ask(filter).status == 400


def test_a_mail_is_shown_only_when_the_latency_is_over() -> None:
    desk = Desk(trace_latency=600.0)
    assert desk.rows() == []
    desk.office.now += 240
    assert desk.rows() == [("<1@app>", INSIDE), ("<1@app>", OUTSIDE)]
    desk.office.now += 60
    assert len(desk.rows()) == 3


def test_pages_lead_to_the_next_one() -> None:
    desk = Desk()
    answer = desk.ask("senderAddress eq 'orders@contoso.example'", query="&$top=2")
    assert len(body(answer)["value"]) == 2
    link = str(body(answer)["@odata.nextLink"])
    assert link.startswith(f"{desk.graph.base}{TRACES}?")
    request = Request("GET", TRACES, link.partition("?")[2], b"", f"Bearer {desk.token()}")
    last = desk.graph.answer(request, desk.office.now)
    assert isinstance(last, Response)
    assert len(body(last)["value"]) == 1 and "@odata.nextLink" not in body(last)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"aud": "https://outlook.office365.com"}, 401),
        ({"tid": "another"}, 401),
        ({"exp": int(NOW)}, 401),
        ({"roles": ("SMTP.SendAsApp",)}, 403),
        ({"appid": "another"}, 403),
        ({}, 200),
    ],
)
def test_tokens_are_checked(claims: dict[str, object], status: int) -> None:
    desk = Desk()
    assert desk.ask(token=desk.token(**claims)).status == status


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_what_is_no_token_of_the_tenant_is_401(token: str) -> None:
    assert Desk().ask(token=token).status == 401


def test_more_than_a_hundred_in_five_minutes_are_429_with_the_time_to_wait() -> None:
    desk = Desk()
    for _ in range(100):
        assert desk.ask().status == 200
    desk.office.now += 100
    refused = desk.ask()
    assert refused.status == 429 and refused.fields == {"Retry-After": "200"}
    desk.office.now += 200
    assert desk.ask().status == 200


def test_other_paths_and_methods_are_not_there() -> None:
    assert Desk().ask(path="/v1.0/devices").status == 404
    assert Desk().ask(method="POST").status == 405


def test_faults_strike_it() -> None:
    desk = Desk()
    desk.office.fault(step="graph", reply="503 busy", times=1)
    assert desk.ask().status == 503
    assert desk.ask().status == 200
    desk.office.fault(step="graph", action="reset")
    request = Request("GET", TRACES, "", b"", f"Bearer {desk.token()}")
    assert desk.graph.answer(request, desk.office.now) == "reset"


def test_the_directory_shows_mailboxes_people_and_groups_in_pages() -> None:
    desk = Desk()
    users = body(desk.ask(path="/v1.0/users"))["value"]
    assert [each["mail"] for each in users] == [each.address for each in MAILBOXES]
    assert list(users[0]["proxyAddresses"]) == [f"SMTP:{ORDERS}", "smtp:sales@contoso.example"]
    first = body(desk.ask(path="/v1.0/users", query="&$top=2"))
    assert len(first["value"]) == 2 and "$skiptoken=2" in str(first["@odata.nextLink"])
    assert (
        body(desk.ask(path="/v1.0/groups"))["value"] == body(desk.ask(path="/v1.0/contacts"))["value"] == []
    )
    assert desk.ask(path="/v1.0/users", query="&$top=x").status == 400


def test_the_directory_wants_a_role_of_its_own() -> None:
    desk = Desk()
    only_trace = desk.token(roles=("ExchangeMessageTrace.Read.All",))
    assert desk.ask(path="/v1.0/users", token=only_trace).status == 403
    assert desk.ask(token=only_trace).status == 200
    assert desk.ask(path="/v1.0/users", token=desk.token(roles=("Directory.Read.All",))).status == 200


def message_trace(simulator: Simulator, secret: str = "") -> MessageTrace:
    """Our own client of it."""
    application = Application(
        simulator.file.application[0].client_id,
        f"{simulator.authority.base}/{simulator.file.tenant.id}",
        SCOPE,
        ClientSecret(secret or simulator.folder.secret),
        str(simulator.folder.ca_file),
    )
    clock = SystemClock()
    tokens = TokenCache(fetch, lambda event: None, clock, random.random)
    return MessageTrace(GraphOptions(application, simulator.authority.base), tokens, clock, lambda: 0.5)


def sent(simulator: Simulator) -> None:
    """One mail over the MX."""
    with client(simulator, "mx") as smtp:
        smtp.ehlo("relay.contoso.example")
        smtp.sendmail(ORDERS, [INSIDE], f"From: {ORDERS}\r\nMessage-ID: <7@app>\r\n\r\nHello\r\n")


@in_loop
async def test_our_client_asks_it_with_a_token_of_msal(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"trace_latency": 0}) as simulator:
        await asyncio.to_thread(sent, simulator)
        trace, now = message_trace(simulator), SystemClock().now()
        assert await trace.find("<7@app>", now - 60, now) == Found((Traced(INSIDE, "delivered"),))
        assert await trace.find("<8@app>", now - 60, now) == Found(())
        assert simulator.report().tokens == {"issued": 1}


@in_loop
async def test_our_client_hears_why_it_is_refused(tmp_path: Path) -> None:
    now = SystemClock().now()
    tables = {"application": [{"roles": ["SMTP.SendAsApp"]}], "limits": {"trace_requests": 1}}
    async with running(tmp_path, **tables) as simulator:
        with pytest.raises(GraphRefused, match="403 ") as caught:
            await message_trace(simulator).find("<7@app>", now - 60, now)
        assert caught.value.is_fault and "Authorization_RequestDenied" in str(caught.value)
        with pytest.raises(GraphRefused, match="AADSTS7000215"):
            await message_trace(simulator, "wrong").find("<7@app>", now - 60, now)
    async with running(tmp_path, limits={"trace_requests": 1}) as simulator:
        trace = message_trace(simulator)
        await trace.find("<7@app>", now - 60, now)
        with pytest.raises(GraphRefused, match="429") as caught:
            await trace.find("<7@app>", now - 60, now)
        assert 290 <= caught.value.retry_after_s <= 300
