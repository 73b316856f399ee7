"""AUTH towards the next hop."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
from pathlib import Path

import pytest

from relay.route.route import Credentials, TlsMode
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


@pytest.mark.parametrize("mechanisms", ["AUTH PLAIN", "AUTH LOGIN"])
@in_loop
async def test_it_logs_in(tmp_path: Path, mechanisms: str) -> None:
    async with Sink(Script(extensions=("PIPELINING", mechanisms), login=("user", "secret"))) as sink:
        async with relaying(
            tmp_path, route_to(sink.port, credentials=Credentials("user", "secret"))
        ) as relay:
            await relay.send()
            await relay.until_empty()


@in_loop
async def test_a_refused_login_stops_the_lane_and_holds_no_mail(tmp_path: Path) -> None:
    async with Sink(Script(login=("user", "secret"))) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=Credentials("user", "wrong"))) as relay:
            await relay.hint(*(relay.accept() for _ in range(10)))
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            await asyncio.sleep(0.1)
            [event] = relay.told(trace.ConnectionFailed)
            assert event.level == "error" and "refused the login" in event.reason
            assert sink.connections == 1, "an account locks on many bad logins"
            assert len(relay.store.scan()) == 10


@in_loop
async def test_a_next_hop_that_wants_a_login_we_do_not_have_holds_no_mail(tmp_path: Path) -> None:
    async with (
        Sink(Script(login=("user", "secret"))) as sink,
        relaying(tmp_path, route_to(sink.port)) as relay,
    ):
        mail = await relay.send()
        await relay.until(lambda: relay.told(trace.BreakerOpened))
        assert "530" in relay.told(trace.BreakerOpened)[0].reason
        assert relay.store.state(mail.id) is None


@in_loop
async def test_a_password_is_not_sent_without_tls(tmp_path: Path) -> None:
    async with Sink(Script(login=("user", "secret"))) as sink:
        route = route_to(sink.port, tls=TlsMode.OPPORTUNISTIC, credentials=Credentials("user", "secret"))
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
        assert not any(line.startswith(b"AUTH") for line in sink.commands)
