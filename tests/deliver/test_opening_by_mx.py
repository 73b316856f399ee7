"""A route without hosts of its own opens its sessions at the MX of its domain, under that host's name."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from relay import tls
from relay.clock import SystemClock
from relay.deliver.connection import Connection
from relay.deliver.mx_dns import MxAnswer, ask
from relay.deliver.opening import Opener, OpeningFailed
from relay.deliver.options import DelivererOptions
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.route.route import Route
from relay.smtp.reply import Reply
from relay.trace import event as trace
from tests.fakes.certificate import Authority
from tests.fakes.loop import in_loop
from tests.fakes.name_server import NameServer
from tests.fakes.sink import Script, Sink

OPTIONS = DelivererOptions("relay.test", handover_path=Path("unused"))


class Idle:
    """An owner without mail."""

    def next_work(self, connection: Connection) -> Work | None:
        return None

    def content(self, work: Work, index: int) -> bytes:
        raise AssertionError("there is no mail")

    def completed(self, connection: Connection, work: Work, replies: Sequence[Reply]) -> None: ...
    def became_idle(self, connection: Connection) -> None: ...
    def damaged(self, work: Work, error: SpoolError) -> None: ...
    def when_durable(self, work: Work, go: Callable[[], None]) -> None: ...
    def lost(self, connection: Connection, works: Sequence[Work], reason: str) -> None: ...


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def opener(names: NameServer, port: int, authority: Authority, events: list[trace.Event]) -> Opener:
    async def ask_here(domain: str) -> MxAnswer:
        return await ask(domain, names.address)

    route = Route("exchange", (), port, mx_of="contoso.test", ipv4_only=True, ca_file=str(authority.ca_file))
    return Opener(route, None, OPTIONS, events.append, SystemClock(), lambda: 0.5, ask_mx=ask_here)


def speaking_tls(authority: Authority, name: str) -> Script:
    certificate, key = authority.issue(name)
    return Script(tls=tls.server_context(str(certificate), str(key)))


@in_loop
async def test_the_certificate_must_be_that_of_the_mx_host(authority: Authority) -> None:
    with NameServer() as names:
        names.exchanges["contoso.test"] = ["0 localhost."]
        events: list[trace.Event] = []
        async with Sink(speaking_tls(authority, "localhost")) as sink:
            connection = await opener(names, sink.port, authority, events).open(Idle())
            assert connection.tls.startswith("TLSv1.3")
            connection.abort("the test is over")
        async with Sink(speaking_tls(authority, "contoso.test")) as sink:
            with pytest.raises(OpeningFailed, match="localhost") as caught:
                await opener(names, sink.port, authority, events).open(Idle())
            assert caught.value.is_fault
        assert [each.hosts for each in events if isinstance(each, trace.MxFound)] == [("localhost",)] * 2


@in_loop
async def test_a_domain_that_takes_no_mail_is_a_fault(authority: Authority) -> None:
    with NameServer() as names:
        names.exchanges["contoso.test"] = ["0 ."]
        with pytest.raises(OpeningFailed, match="null MX") as caught:
            await opener(names, 9, authority, []).open(Idle())
        assert caught.value.is_fault


@in_loop
async def test_name_servers_that_are_down_are_no_fault(authority: Authority) -> None:
    with NameServer() as names:
        names.is_broken = True
        with pytest.raises(OpeningFailed, match="not known") as caught:
            await opener(names, 9, authority, []).open(Idle())
        assert not caught.value.is_fault
