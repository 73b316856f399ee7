"""Replies of Microsoft's servers, and what they stop."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
from pathlib import Path

import pytest

from relay.deliver.reach import Reach
from relay.deliver.sharing import Sharing
from relay.route.route import Credentials
from relay.spool.change import Status
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to, states
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink
from tests.fakes.timers import Timers

RELAY_DENIED = b"550 5.7.64 TenantAttribution; Relay Access Denied SMTP"
BLOCKED = b"550 5.2.252 Sender throttled due to continuous send as denied errors."


@in_loop
async def test_a_blocked_mailbox_stops_the_lane_with_the_next_step(tmp_path: Path) -> None:
    async with Sink(Script(replies={b".": BLOCKED})) as sink:
        async with relaying(tmp_path, route_to(sink.port, connections=1)) as relay:
            await relay.hint(*(relay.accept() for _ in range(20)))
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            await relay.until(lambda: not sink.open_connections)
            [event] = relay.told(trace.BreakerOpened)
            assert event.level == "error"
            assert "5.2.252" in event.reason and "Grant SendAs" in event.reason
            assert len(relay.store.scan()) == 20 and not relay.told(trace.Held)
            assert sink.connections == 1
            # One more may stand behind the first on the wire.
            assert sink.commands.count(b".") <= 2


@in_loop
async def test_what_stands_behind_a_fault_on_the_wire_is_delivered_once(tmp_path: Path) -> None:
    async with Sink(Script(once={b".": BLOCKED}, verdict_delay_s=0.02)) as sink:
        route, clock = route_to(sink.port, connections=1), FakeClock()
        timers = Timers(clock)
        async with relaying(tmp_path, route, clock=clock, later=timers) as relay:
            await relay.hint(*(relay.accept() for _ in range(5)))
            await relay.until(lambda: relay.told(trace.BreakerOpened) and not sink.open_connections)
            timers.pass_by(3600.1)
            await relay.until_empty()
            assert len(sink.mails) == 5 and not relay.told(trace.Uncertain)


@in_loop
async def test_one_sender_the_tenant_does_not_know_stops_nobody_else(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"MAIL FROM:<printer@local>": RELAY_DENIED})) as sink:
        async with relaying(tmp_path, route_to(sink.port, connections=1)) as relay:
            mails = [
                relay.accept(sender=sender)
                for _ in range(6)
                for sender in (b"printer@local", b"a@sender.test")
            ]
            await relay.hint(*mails)
            await relay.until(lambda: len(sink.mails) == 6)
            await relay.until(lambda: len(relay.told(trace.Deferred)) == 6)
            assert not relay.told(trace.ConnectionFailed)
            assert states(relay, mails[0].id) == [Status.QUEUED]


@in_loop
async def test_a_tenant_that_knows_none_of_our_senders_stops_the_lane(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"MAIL FROM": RELAY_DENIED})) as sink:
        async with relaying(tmp_path, route_to(sink.port, connections=1)) as relay:
            await relay.hint(*(relay.accept() for _ in range(30)))
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            await relay.until(lambda: not sink.open_connections)
            [event] = relay.told(trace.BreakerOpened)
            assert event.level == "error" and "client certificate" in event.reason
            tried = sum(line.startswith(b"MAIL") for line in sink.commands)
            assert 3 <= tried <= 5, "three are believed, and a few may stand behind on the wire"
            assert len(relay.store.scan()) == 30 and not relay.told(trace.Held)


@in_loop
async def test_a_limit_of_one_recipient_defers_that_one_alone(tmp_path: Path) -> None:
    busy = b"550 5.2.121 Recipient's per hour message receive limit from specific sender exceeded."
    async with Sink(Script(replies={b"RCPT TO:<busy@c.test>": busy})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send("busy@c.test", "b@c.test")
            await relay.until(lambda: relay.told(trace.Deferred) and relay.told(trace.Delivered))
            await relay.until(lambda: states(relay, mail.id) == [Status.QUEUED, Status.DELIVERED])
            await relay.send()
            await relay.until(lambda: len(sink.mails) == 2)


@pytest.mark.parametrize(
    ("script", "step"),
    [
        (
            Script(
                login=("user", "right"),
                replies={
                    b"AUTH": b"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled "
                    b"for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information."
                },
            ),
            "Set-TransportConfig",
        ),
        (
            Script(
                login=("user", "right"),
                greeting=b"550 5.7.606 Access denied, banned sending IP [203.0.113.9]",
            ),
            "sender.office.com",
        ),
    ],
    ids=["login", "greeting"],
)
@in_loop
async def test_a_session_that_is_refused_names_the_next_step(
    tmp_path: Path, script: Script, step: str
) -> None:
    async with Sink(script) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=Credentials("user", "right"))) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            await asyncio.sleep(0.05)
            [event] = relay.told(trace.BreakerOpened)
            assert event.level == "error" and step in event.reason
            assert len(relay.store.scan()) == 1


CROWDED = b"432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending"


@pytest.mark.parametrize(
    "script",
    [
        Script(login=("user", "right"), greeting=CROWDED),
        Script(login=("user", "right"), replies={b"AUTH": CROWDED}),
    ],
    ids=["greeting", "login"],
)
@in_loop
async def test_a_session_that_is_refused_for_too_many_is_none_that_could_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    seen = staying_at_trim(monkeypatch)
    async with Sink(script) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=Credentials("user", "right"))) as relay:
            await relay.send()
            await relay.until(lambda: seen)
            # It holds its place: what else would connect must wait until the reply is judged.
            assert seen[0] == (1, 0)


@in_loop
async def test_a_session_that_was_ended_is_none_that_could_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = staying_at_trim(monkeypatch)
    text = b"421 4.3.2 The maximum number of concurrent connections has exceeded a limit"
    async with Sink(Script(login=("user", "right"), replies={b"MAIL": text})) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=Credentials("user", "right"))) as relay:
            await relay.send()
            await relay.until(lambda: seen)
            assert seen == [(1, 0)] * len(seen), "it ends by itself"


def staying_at_trim(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many stand, and how many of them stay, each time that a cap may have been lowered."""
    seen: list[tuple[int, int]] = []

    def trim(sharing: Sharing, reach: Reach) -> None:
        staying = sum(pool.staying for pool in sharing._pools)
        seen.append((sharing.connections.standing(*reach.scopes[0]), staying))

    monkeypatch.setattr(Sharing, "trim", trim)
    return seen
