"""Where a tenant's mail goes: its MX is looked up, kept while DNS fails, and never guessed."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.deliver import mx, mx_dns
from relay.deliver.address import AddressBook, Unresolved
from relay.deliver.mx import STALE_MAX_S, TTL_MAX_S, TTL_MIN_S, MxHosts, NoMx, foreign, order
from relay.deliver.mx_dns import MxAnswer, NoAnswer
from relay.deliver.options import DelivererOptions
from relay.route.route import Route
from relay.trace import event as trace
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.name_server import NameServer

DOMAIN = "contoso.test"
MICROSOFT = "contoso-test.mail.protection.outlook.com"
MOVED = "contoso-test.a-v1.mx.microsoft"
OPTIONS = DelivererOptions("relay.test", handover_path=Path("unused"))


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        yield running


class Exchange:
    """The hosts of a route, by a name server and a clock that a test holds."""

    def __init__(self, server: NameServer, clock: FakeClock | None = None) -> None:
        self.server = server
        self.timeout_s = 5.0
        self.clock = clock or FakeClock()
        self.events: list[trace.Event] = []
        self.hosts = MxHosts("exchange", DOMAIN, self.events.append, self.clock, lambda: 0.5, self.ask)

    async def ask(self, domain: str) -> MxAnswer:
        return await mx_dns.ask(domain, self.server.address, self.timeout_s)

    def told(self) -> list[trace.MxFound]:
        found, self.events[:] = list(self.events), []
        return [event for event in found if isinstance(event, trace.MxFound)]


def publishing(server: NameServer, *records: str, ttl: int = 300) -> None:
    server.exchanges[DOMAIN] = list(records)
    server.ttl = ttl


@in_loop
async def test_hosts_come_in_order_of_preference(server: NameServer) -> None:
    publishing(server, "20 b.mx.microsoft.", "10 A.mx.microsoft.", "30 c.mx.microsoft.")
    assert await Exchange(server).hosts.hosts() == ("a.mx.microsoft", "b.mx.microsoft", "c.mx.microsoft")


def test_of_equal_hosts_chance_decides() -> None:
    answer = MxAnswer(((10, "a.test"), (10, "b.test")))
    draws = iter((0.9, 0.1))
    assert order(DOMAIN, answer, lambda: next(draws)) == ("b.test", "a.test")


@in_loop
async def test_an_answer_is_used_as_long_as_its_ttl_says(server: NameServer) -> None:
    tested = Exchange(server)
    publishing(server, f"0 {MICROSOFT}.", ttl=300)
    assert await tested.hosts.hosts() == (MICROSOFT,)
    publishing(server, f"0 {MOVED}.", ttl=300)
    tested.clock.advance(299)
    assert await tested.hosts.hosts() == (MICROSOFT,)
    tested.clock.advance(1)
    assert await tested.hosts.hosts() == (MOVED,)
    assert [(event.hosts, event.level) for event in tested.told()] == [
        ((MICROSOFT,), "info"),
        ((MOVED,), "info"),
    ]
    assert server.questions == [DOMAIN, DOMAIN]


@pytest.mark.parametrize(("ttl", "seconds"), [(0, TTL_MIN_S), (86_400, TTL_MAX_S)])
@in_loop
async def test_a_ttl_has_bounds(server: NameServer, ttl: int, seconds: float) -> None:
    tested = Exchange(server)
    publishing(server, f"0 {MICROSOFT}.", ttl=ttl)
    await tested.hosts.hosts()
    tested.clock.advance(seconds - 1)
    await tested.hosts.hosts()
    assert len(server.questions) == 1
    tested.clock.advance(1)
    await tested.hosts.hosts()
    assert len(server.questions) == 2


@in_loop
async def test_a_domain_that_does_not_exist_is_a_fault(server: NameServer) -> None:
    with pytest.raises(NoMx, match=r"contoso\.test does not exist in DNS; compare mx_of") as caught:
        await Exchange(server).hosts.hosts()
    assert caught.value.is_fault


@in_loop
async def test_a_domain_without_mx_is_a_fault_and_its_address_is_not_tried(server: NameServer) -> None:
    server.publish(DOMAIN, "v=spf1 -all")
    with pytest.raises(NoMx, match="has no MX record") as caught:
        await Exchange(server).hosts.hosts()
    assert caught.value.is_fault


@in_loop
async def test_a_null_mx_is_a_fault(server: NameServer) -> None:
    publishing(server, "0 .")
    with pytest.raises(NoMx, match="takes no mail") as caught:
        await Exchange(server).hosts.hosts()
    assert caught.value.is_fault


@pytest.mark.parametrize("host", ["192.0.2.1", "a b.test", "a\\000.test", "a..test", "under_score.test"])
def test_a_name_that_is_none_is_passed_over(host: str) -> None:
    with pytest.raises(NoMx, match="names no host") as caught:
        order(DOMAIN, MxAnswer(((0, host),)), lambda: 0.5)
    assert caught.value.is_fault
    assert order(DOMAIN, MxAnswer(((0, host), (9, MICROSOFT))), lambda: 0.5) == (MICROSOFT,)


def test_no_more_hosts_are_tried_than_make_sense() -> None:
    answer = MxAnswer(tuple((number, f"mx{number}.test") for number in range(500)))
    assert len(order(DOMAIN, answer, lambda: 0.5)) == mx.HOSTS_MAX


@in_loop
async def test_broken_name_servers_leave_the_last_answer_for_a_day(server: NameServer) -> None:
    tested = Exchange(server)
    publishing(server, f"0 {MICROSOFT}.")
    await tested.hosts.hosts()
    tested.told()
    server.is_broken = True
    for _ in range(int(STALE_MAX_S / 600) - 1):
        tested.clock.advance(600)
        assert await tested.hosts.hosts() == (MICROSOFT,)
    (told,) = tested.told()
    assert told.level == "warning" and "10 minutes ago is used on, for a day" in told.reason
    tested.clock.advance(600)
    with pytest.raises(NoMx, match="no name server gives an answer") as caught:
        await tested.hosts.hosts()
    assert not caught.value.is_fault
    server.is_broken = False
    assert await tested.hosts.hosts() == (MICROSOFT,)
    assert [event.reason for event in tested.told()] == [""]


@in_loop
async def test_broken_name_servers_are_asked_again_a_minute_later(server: NameServer) -> None:
    tested = Exchange(server)
    publishing(server, f"0 {MICROSOFT}.")
    await tested.hosts.hosts()
    server.is_broken = True
    tested.clock.advance(300)
    await tested.hosts.hosts()
    asked = len(server.questions)
    tested.clock.advance(TTL_MIN_S - 1)
    await tested.hosts.hosts()
    assert len(server.questions) == asked
    tested.clock.advance(1)
    await tested.hosts.hosts()
    assert len(server.questions) > asked


@in_loop
async def test_a_domain_that_is_gone_takes_the_last_answer_with_it(server: NameServer) -> None:
    tested = Exchange(server)
    publishing(server, f"0 {MICROSOFT}.")
    await tested.hosts.hosts()
    tested.clock.advance(300)
    server.exchanges.clear()
    with pytest.raises(NoMx, match="does not exist"):
        await tested.hosts.hosts()
    server.is_broken = True
    with pytest.raises(NoMx, match="not known"):
        await tested.hosts.hosts()


@in_loop
async def test_broken_name_servers_at_the_start_are_no_fault(server: NameServer) -> None:
    server.is_broken = True
    with pytest.raises(NoMx) as caught:
        await Exchange(server).hosts.hosts()
    assert not caught.value.is_fault


@in_loop
async def test_a_silent_name_server_is_given_up(server: NameServer) -> None:
    server.is_silent = True
    tested = Exchange(server)
    tested.timeout_s = 0.2
    with pytest.raises(NoMx, match=r"no name server answered .* within 0\.2 s") as caught:
        await tested.hosts.hosts()
    assert not caught.value.is_fault


@in_loop
async def test_a_resolver_that_hangs_is_given_up() -> None:
    async def hang(_: str) -> MxAnswer:
        await asyncio.Event().wait()
        return MxAnswer()

    tested = MxHosts("r", DOMAIN, lambda _: None, FakeClock(), lambda: 0.5, hang, deadline_s=0.01)
    with pytest.raises(NoMx, match="no answer for contoso"):
        await tested.hosts()


@in_loop
async def test_a_host_that_is_not_microsofts_is_used_and_told_once(server: NameServer) -> None:
    tested = Exchange(server)
    publishing(server, "10 mx.filter.test.", f"20 {MICROSOFT}.", ttl=60)
    for _ in range(3):
        assert await tested.hosts.hosts() == ("mx.filter.test", MICROSOFT)
        tested.clock.advance(60)
    (told,) = tested.told()
    assert told.level == "warning" and told.reason.startswith("mx.filter.test is no MX host of Microsoft's")


def test_hosts_of_every_cloud_are_known() -> None:
    assert foreign((MICROSOFT, MOVED, "a.mail.protection.office365.us")) == ""
    assert foreign(("mail.protection.outlook.com.evil.test",)) != ""


@in_loop
async def test_a_domain_that_is_an_alias_has_the_mx_of_where_it_leads(server: NameServer) -> None:
    server.aliases[DOMAIN] = "other.test"
    server.exchanges["other.test"] = [f"0 {MICROSOFT}."]
    assert await Exchange(server).hosts.hosts() == (MICROSOFT,)


class Book:
    """The addresses of a route by its MX."""

    def __init__(self, answer: MxAnswer | NoAnswer) -> None:
        self.answer = answer
        self.clock = FakeClock()
        self.asked: list[tuple[str, bool]] = []
        self.trouble: OSError | None = None
        route = Route("exchange", (), 25, mx_of=DOMAIN, ipv4_only=True)
        hosts = MxHosts(route.name, DOMAIN, lambda _: None, self.clock, lambda: 0.5, self.ask)
        self.book = AddressBook(route, OPTIONS, self.clock, lambda: 0.5, self.resolve, hosts)

    async def ask(self, _: str) -> MxAnswer:
        if isinstance(self.answer, NoAnswer):
            raise self.answer
        return self.answer

    async def resolve(self, host: str, ipv4_only: bool) -> list[str]:
        self.asked.append((host, ipv4_only))
        if self.trouble is not None:
            raise self.trouble
        return ["2001:db8::1", "192.0.2.1"]


@in_loop
async def test_mail_goes_to_the_addresses_of_the_mx_under_its_name() -> None:
    tested = Book(MxAnswer(((0, MICROSOFT),), 300.0))
    (address,) = await tested.book.candidates()
    assert (address.host, address.ip, address.port) == (MICROSOFT, "192.0.2.1", 25)
    assert tested.asked == [(MICROSOFT, True)]


@pytest.mark.parametrize(
    ("answer", "is_fault"), [(MxAnswer(exists=False), True), (NoAnswer("servers are down"), False)]
)
@in_loop
async def test_what_the_mx_lacks_stops_the_route(answer: MxAnswer | NoAnswer, is_fault: bool) -> None:
    with pytest.raises(Unresolved) as caught:
        await Book(answer).book.candidates()
    assert caught.value.is_fault is is_fault


@in_loop
async def test_when_all_of_dns_fails_mail_goes_on_to_where_it_went() -> None:
    tested = Book(MxAnswer(((0, MICROSOFT),), 300.0))
    before = await tested.book.candidates()
    tested.answer = NoAnswer("servers are down")
    tested.trouble = socket.gaierror(socket.EAI_AGAIN, "try again")
    tested.clock.advance(3600)
    assert await tested.book.candidates() == before
    tested.clock.advance(STALE_MAX_S)
    with pytest.raises(Unresolved) as caught:
        await tested.book.candidates()
    assert not caught.value.is_fault
