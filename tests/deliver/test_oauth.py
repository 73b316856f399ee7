"""Logging in with a token: fetched before the connection, replaced when refused, explained when that does not help."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
import time
from pathlib import Path

import msgspec

from relay.identity.access import Fetched, TokenRefused
from relay.message.envelope import Recipient
from relay.route.oauth import Application, ClientSecret, OAuth
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink
from tests.fakes.timers import Timers
from tests.identity.test_claims import GOOD, token_of

MAILBOX = "orders@contoso.example"
APPLICATION = Application(
    "app", "https://authority.test/t", "https://outlook.office365.com/.default", ClientSecret("s")
)
LOGIN = OAuth(MAILBOX, APPLICATION, "SMTP.SendAsApp", ("https://outlook.office365.com",))


class Authority:
    """Gives out numbered tokens."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.lifetime_s = lifetime_s
        self.given: list[str] = []
        self.claims: dict[str, object] = dict(GOOD)
        self.refusal: TokenRefused | None = None
        self.takes_s = 0.0

    def fetch(self, application: Application) -> Fetched:
        time.sleep(self.takes_s)
        if self.refusal is not None:
            raise self.refusal
        self.given.append(token_of(self.claims | {"jti": len(self.given)}))
        return Fetched(self.given[-1], self.lifetime_s)


@in_loop
async def test_mail_leaves_with_a_token(tmp_path: Path) -> None:
    authority = Authority()
    async with Sink(Script(tokens=authority.given)) as sink:
        route = route_to(sink.port, credentials=LOGIN)
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            await relay.hint(*(relay.accept() for _ in range(100)))
            await relay.until_empty()
        assert set(sink.logins) == {(MAILBOX, authority.given[0])} and len(authority.given) == 1
        assert b"AUTH XOAUTH2" in sink.commands, "the token is not in the command's line"
        assert authority.given[0] not in repr(relay.events)


@in_loop
async def test_routes_of_one_application_share_a_token_and_keep_their_mailboxes(tmp_path: Path) -> None:
    authority = Authority()
    authority.takes_s = 0.05
    async with Sink(Script(tokens=authority.given)) as sink:
        names = [f"route{i}" for i in range(10)]
        routes = [
            route_to(
                sink.port,
                name,
                credentials=msgspec.structs.replace(LOGIN, username=f"{name}@contoso.example"),
            )
            for name in names
        ]
        async with relaying(tmp_path, *routes, fetch=authority.fetch) as relay:
            await relay.hint(*(relay.accept(Recipient(b"b@c.test", name)) for name in names))
            await relay.until_empty()
        assert len(authority.given) == 1
        assert {mailbox for mailbox, _ in sink.logins} == {f"{name}@contoso.example" for name in names}


@in_loop
async def test_a_token_that_was_revoked_is_replaced_once_at_once(tmp_path: Path) -> None:
    authority, taken = Authority(), list[str]()
    async with Sink(Script(tokens=taken)) as sink:
        route = route_to(sink.port, credentials=LOGIN, connection_idle_s=0.05)
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            taken.append(token_of(GOOD | {"jti": 0}))
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionClosed))
            taken[:] = [token_of(GOOD | {"jti": 1})]
            await relay.send()
            await relay.until_empty()
            assert [token for _, token in sink.logins] == [
                authority.given[0],
                authority.given[0],
                authority.given[1],
            ]
            assert not relay.told(trace.ConnectionFailed) and not relay.told(trace.Deferred)


NOT_LOGGED_IN = b"530 5.7.57 Client not authenticated to send mail."


@in_loop
async def test_a_session_that_is_no_longer_logged_in_is_followed_by_one_with_a_fresh_token(
    tmp_path: Path,
) -> None:
    authority = Authority()
    async with Sink(Script(tokens=authority.given)) as sink:
        route = route_to(sink.port, credentials=LOGIN, connection_idle_s=0.05)
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionClosed))
            sink.script.once[b"MAIL"] = NOT_LOGGED_IN
            await relay.send()
            await relay.until_empty()
            first, second = authority.given
            assert [token for _, token in sink.logins] == [first, first, second]
            assert not relay.told(trace.BreakerOpened) and not relay.told(trace.Deferred)


@in_loop
async def test_a_mailbox_that_is_not_logged_in_with_a_fresh_token_either_stops(tmp_path: Path) -> None:
    authority = Authority()
    async with Sink(Script(tokens=authority.given)) as sink:
        route = route_to(sink.port, credentials=LOGIN, connection_idle_s=0.05)
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionClosed))
            sink.script.replies[b"MAIL"] = NOT_LOGGED_IN
            mail = await relay.send()
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            await asyncio.sleep(0.1)
            [event] = relay.told(trace.BreakerOpened)
            assert "5.7.57" in event.reason and len(sink.logins) == 3 and len(authority.given) == 2
            assert relay.store.state(mail.id) is None, "nothing is counted against the mail"


@in_loop
async def test_a_fresh_token_that_is_refused_stops_the_lane_and_says_why(tmp_path: Path) -> None:
    authority = Authority()
    authority.claims["roles"] = []
    async with Sink(Script(tokens=())) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=LOGIN), fetch=authority.fetch) as relay:
            mails = [relay.accept() for _ in range(10)]
            await relay.hint(*mails)
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            await asyncio.sleep(0.1)
            [event] = relay.told(trace.BreakerOpened)
            assert event.level == "error" and "5.7.3" in event.reason
            assert "lacks the role SMTP.SendAsApp" in event.reason and authority.given[0] not in event.reason
            assert len(sink.logins) == 1, "another one would be no better"
            assert len(relay.store.scan()) == 10 and relay.store.state(mails[0].id) is None


@in_loop
async def test_the_next_try_after_a_fault_has_a_fresh_token(tmp_path: Path) -> None:
    authority, taken, clock = Authority(), list[str](), FakeClock()
    timers = Timers(clock)
    async with Sink(Script(tokens=taken)) as sink:
        route = route_to(sink.port, credentials=LOGIN)
        async with relaying(tmp_path, route, fetch=authority.fetch, clock=clock, later=timers) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            # What was granted meanwhile stands in the next token only.
            taken.append(token_of(GOOD | {"jti": len(authority.given)}))
            timers.pass_by(3600.1)
            await relay.until_empty()
            assert sink.logins[-1] == (MAILBOX, taken[0])


@in_loop
async def test_a_token_does_not_mend_what_the_tenant_has_switched_off(tmp_path: Path) -> None:
    authority = Authority()
    off = b"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
    async with Sink(Script(tokens=authority.given, replies={})) as sink:
        route = route_to(sink.port, credentials=LOGIN, connection_idle_s=0.05)
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionClosed))
            sink.script.replies[b"AUTH"] = off
            await relay.send()
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            [event] = relay.told(trace.BreakerOpened)
            assert "Set-TransportConfig" in event.reason and "the token" not in event.reason
            assert len(authority.given) == 1


@in_loop
async def test_the_complaint_of_a_server_is_told(tmp_path: Path) -> None:
    authority = Authority()
    complaint = b'{"status":"401","schemes":"Bearer"}'
    async with Sink(Script(tokens=(), token_complaint=complaint)) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=LOGIN), fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            assert complaint.decode() in relay.told(trace.BreakerOpened)[0].reason


@in_loop
async def test_an_authority_that_refuses_stops_the_lane_before_any_connection(tmp_path: Path) -> None:
    authority = Authority()
    authority.refusal = TokenRefused("the client secret is wrong (AADSTS7000215)", is_fault=True)
    async with Sink(Script(tokens=authority.given)) as sink:
        route = route_to(sink.port, credentials=LOGIN)
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            mail = await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            [event] = relay.told(trace.ConnectionFailed)
            assert event.level == "error" and "AADSTS7000215" in event.reason
            assert sink.connections == 0 and relay.store.state(mail.id) is None


@in_loop
async def test_an_authority_that_is_down_delays_the_mail_and_no_more(tmp_path: Path) -> None:
    authority = Authority()
    authority.refusal = TokenRefused("cannot reach authority.test", is_fault=False)
    async with Sink(Script(tokens=authority.given)) as sink:
        route = route_to(sink.port, credentials=LOGIN)
        async with relaying(tmp_path, route, fetch=authority.fetch, lane_backoff_first_s=0.05) as relay:
            mail = await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            assert relay.told(trace.ConnectionFailed)[0].level == "warning"
            assert relay.store.state(mail.id) is None and sink.connections == 0


@in_loop
async def test_a_session_ends_before_its_token(tmp_path: Path) -> None:
    authority = Authority(lifetime_s=1.0)
    async with Sink(Script(tokens=authority.given)) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=LOGIN), fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: sink.mails)
            # Half of its life is its margin then, and the session leaves at half of that.
            await relay.until(lambda: relay.told(trace.ConnectionClosed), timeout_s=2.0)
            [event] = relay.told(trace.ConnectionClosed)
            assert event.reason == "age" and event.mails == 1
            await relay.send()
            await relay.until_empty()
            assert [token for _, token in sink.logins] == authority.given[:2]


@in_loop
async def test_a_session_may_outlive_its_token_where_the_route_says_so(tmp_path: Path) -> None:
    authority = Authority(lifetime_s=0.2)
    login = msgspec.structs.replace(LOGIN, ends_session=False)
    async with Sink(Script(tokens=authority.given)) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=login), fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until_empty()
            await asyncio.sleep(0.3)
            await relay.send()
            await relay.until_empty()
            assert len(sink.logins) == 1


@in_loop
async def test_a_refused_login_is_not_tried_at_every_address_of_the_host(tmp_path: Path) -> None:
    authority = Authority()
    async with Sink(Script(tokens=())) as sink:
        # Both names are one address; as hosts of a route they are tried in turn.
        route = route_to(sink.port, credentials=LOGIN, hosts=("127.0.0.1", "127.0.0.1"))
        async with relaying(tmp_path, route, fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            assert len(sink.logins) == 1


@in_loop
async def test_a_server_without_xoauth2_is_named(tmp_path: Path) -> None:
    authority = Authority()
    async with Sink(Script(login=("user", "secret"))) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=LOGIN), fetch=authority.fetch) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            [event] = relay.told(trace.ConnectionFailed)
            assert "no AUTH XOAUTH2 but LOGIN PLAIN" in event.reason and event.level == "error"
