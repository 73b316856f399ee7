"""Several mailboxes on a route: each sender by one that may, in priority, and never more than each may."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from relay.budget.limit import Limit, Scope, Unit
from relay.m365.preset import Kind
from relay.message.envelope import Recipient
from relay.message.priority import Priority
from relay.route.route import Credentials, MailboxRule, Route, TlsMode
from relay.simulator.options import FaultTable
from relay.simulator.simulator import Simulator
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.timers import Timers
from tests.simulator.office import INSIDE, NEWS, ORDERS
from tests.simulator.running import running

HIGH, NORMAL, BULK = Priority
SHOP = "shop@contoso.example"
BOTH = (ORDERS, NEWS)
SHARED = [{"address": ORDERS, "send_as": [SHOP]}, {"address": NEWS, "send_as": [SHOP]}]
ONE_MAY = [{"address": ORDERS}, {"address": NEWS, "send_as": [SHOP]}]


def route_to(simulator: Simulator, *limits: Limit, **changes: object) -> Route:
    host, _, port = simulator.addresses["submission"].rpartition(":")
    password = simulator.folder.password
    plain = Route(
        "microsoft365",
        (host,),
        int(port),
        TlsMode.REQUIRED,
        ca_file=str(simulator.folder.ca_file),
        mailboxes=tuple(Credentials(name, password) for name in BOTH),
        mailbox_rules=(MailboxRule(BOTH, (SHOP,)),),
        kind=Kind.SUBMISSION,
        connections=3,
        limits=limits,
    )
    # Names are checked at run time; types of keywords that are passed on cannot be spelled.
    return replace(plain, **changes)  # type: ignore[arg-type]


def mails(relay: Relaying, count: int, sender: str = SHOP, priority: Priority = HIGH) -> None:
    for _ in range(count):
        number = relay.ids.next()
        content = f"From: {sender}\r\nMessage-ID: <{number}@client.example>\r\n\r\nHello\r\n".encode()
        recipient = Recipient(INSIDE.encode(), "microsoft365")
        relay.accept(recipient, content=content, sender=sender.encode(), priority=priority)


async def scan(relay: Relaying) -> None:
    """The deliverer learns of what is in the spool."""
    await relay.hint()
    await relay.die_as_receiver()


def by_mailbox(simulator: Simulator) -> Counter[str]:
    return Counter(mail.mailbox for mail in simulator.ledger.mails)


@asynccontextmanager
async def simulated(folder: Path, **tables: object) -> AsyncIterator[Simulator]:
    # What the simulator would do about a rate is not asked for here.
    async with running(
        folder / "tenant", **({"mailbox": SHARED, "limits": {"messages": 0}} | tables)
    ) as simulator:
        yield simulator


@in_loop
async def test_a_mailbox_sends_for_itself_and_a_pool_shares_what_either_may_send(tmp_path: Path) -> None:
    async with simulated(tmp_path) as simulator, relaying(tmp_path, route_to(simulator)) as relay:
        mails(relay, 5, ORDERS)
        mails(relay, 5, NEWS)
        mails(relay, 60, SHOP)
        await scan(relay)
        await relay.until_empty()
        used = by_mailbox(simulator)
        assert sum(used.values()) == 70 and used[ORDERS] >= 5 and used[NEWS] >= 5
        assert {mail.mailbox for mail in simulator.ledger.mails if mail.sender == SHOP} == set(BOTH)
        told = Counter(event.identity for event in relay.told(trace.Delivered))
        assert told == used
        [session] = {len(event.session) for event in relay.told(trace.Delivered)}
        assert session == 16 and all(event.remote for event in relay.told(trace.Delivered))
        assert not simulator.ledger.violations


@in_loop
async def test_mail_of_a_pool_goes_by_whichever_mailbox_has_room(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    three = Limit(Scope.MAILBOX, Unit.MESSAGES, 3, 60)
    async with (
        simulated(tmp_path) as simulator,
        relaying(tmp_path, route_to(simulator, three), clock=clock, later=timers) as relay,
    ):
        mails(relay, 2, ORDERS)
        mails(relay, 10, SHOP)
        await scan(relay)
        await relay.until(lambda: len(relay.told(trace.Delivered)) == 6)
        await asyncio.sleep(0.1)
        assert by_mailbox(simulator) == {ORDERS: 3, NEWS: 3}
        timers.pass_by(60.1)
        await relay.until_empty()
        assert by_mailbox(simulator) == {ORDERS: 6, NEWS: 6}


@in_loop
async def test_a_mailbox_without_the_right_is_refused_once_and_the_other_sends(tmp_path: Path) -> None:
    async with (
        simulated(tmp_path, mailbox=ONE_MAY) as simulator,
        relaying(tmp_path, route_to(simulator)) as relay,
    ):
        mails(relay, 60, SHOP)
        await scan(relay)
        await relay.until_empty()
        assert by_mailbox(simulator) == {NEWS: 60}
        assert simulator.ledger.violations["send_as"] == 1
        [opened] = relay.told(trace.BreakerOpened)
        assert (opened.scope, opened.key, opened.until) == ("sender as", f"{ORDERS} as {SHOP}", 0.0)
        assert {event.attempts for event in relay.told(trace.Delivered)} == {1}


@in_loop
async def test_a_sender_nobody_may_send_for_waits_until_the_administrator_has_acted(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    async with simulated(tmp_path, mailbox=[{"address": ORDERS}, {"address": NEWS}]) as simulator:
        route = route_to(simulator)
        async with relaying(tmp_path, route, clock=clock, store=store) as relay:
            mails(relay, 20, SHOP)
            mails(relay, 3, ORDERS)
            await scan(relay)
            await relay.until(lambda: len(relay.told(trace.Delivered)) == 3)
            await relay.until(lambda: len(relay.told(trace.BreakerOpened)) == 2)
            await asyncio.sleep(0.1)
            assert simulator.ledger.violations["send_as"] == 2, "one for each mailbox"
            assert relay.deliverer is not None
            [lane] = [lane for lane in relay.deliverer._queue.lanes if lane.key.stopped]
            assert len(lane) == 20 and f"Add-RecipientPermission {SHOP} -Trustee " in relay.deliverer._reason(
                lane
            )
            assert not relay.told(trace.Held) and not relay.told(trace.Deferred)
        clock.advance(86_400)
        async with relaying(tmp_path, route, clock=clock, store=store) as relay:
            await asyncio.sleep(0.2)
            assert simulator.ledger.violations["send_as"] == 2, "a restart is no act"
        account = simulator.tenant.accounts[NEWS.encode()]
        account.change(account.options.model_copy(update={"send_as": (SHOP,)}))
        async with relaying(tmp_path, route, clock=clock, store=store, acted_at=clock.now()) as relay:
            await relay.until_empty()
            assert simulator.ledger.violations["send_as"] <= 3, "one mail tries"


@pytest.mark.parametrize("connections", [3, 20], ids=["as many as the mailbox", "more than the mailbox"])
@in_loop
async def test_two_routes_of_a_mailbox_have_three_connections_between_them(
    tmp_path: Path, connections: int
) -> None:
    three = Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3)
    async with simulated(tmp_path) as simulator:
        first = route_to(simulator, three, mailboxes=(), mailbox_rules=(), connections=connections)
        first = replace(first, credentials=Credentials(ORDERS, simulator.folder.password))
        second = replace(first, name="second")
        async with relaying(tmp_path, first, second) as relay:
            for name in ("microsoft365", "second"):
                for _ in range(60):
                    number = relay.ids.next()
                    content = f"From: {ORDERS}\r\nMessage-ID: <{number}@c.example>\r\n\r\nHello\r\n".encode()
                    relay.accept(Recipient(INSIDE.encode(), name), content=content, sender=ORDERS.encode())
            await scan(relay)
            await relay.until_empty()
        assert simulator.tenant.accounts[ORDERS.encode()].peak_sessions <= 3
        assert not simulator.ledger.violations
        first_done = [event.route for event in relay.told(trace.Delivered)]
        assert set(first_done[:60]) == {"microsoft365", "second"}, "neither waits for the other to end"


@in_loop
async def test_a_reset_goes_before_a_campaign_that_uses_the_limit_up(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    ten = Limit(Scope.MAILBOX, Unit.MESSAGES, 10, 60)
    async with simulated(tmp_path) as simulator:
        route = route_to(simulator, ten, mailbox_rules=())
        async with relaying(tmp_path, route, clock=clock, later=timers) as relay:
            mails(relay, 40, ORDERS, BULK)
            await scan(relay)
            for _ in range(20):
                # One tenth of a send interval at a time.
                timers.pass_by(6)
                await asyncio.sleep(0.02)
            sent = len(relay.told(trace.Delivered))
            assert 10 <= sent < 40
            mails(relay, 1, ORDERS, HIGH)
            await scan(relay)
            await asyncio.sleep(0.05)
            timers.pass_by(6)
            await relay.until(lambda: len(relay.told(trace.Delivered)) > sent)
            await asyncio.sleep(0.05)
            after = [event.id for event in relay.told(trace.Delivered)[sent:]]
            assert max(event.id for event in relay.told(trace.Delivered)) in after[:2], "one other at most"


@in_loop
async def test_a_connection_is_there_when_the_limit_gives_way(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    one = Limit(Scope.MAILBOX, Unit.MESSAGES, 1, 600)
    async with simulated(tmp_path) as simulator:
        route = route_to(simulator, one, mailbox_rules=(), connections=1)
        async with relaying(tmp_path, route, clock=clock, later=timers) as relay:
            mails(relay, 2, ORDERS)
            await scan(relay)
            await relay.until(lambda: relay.told(trace.Delivered))
            assert relay.deliverer is not None
            [pool] = [pool for pool in relay.deliverer._pools.values() if pool.reach.identity == ORDERS]
            # A second one may be on its way for the second mail.
            await relay.until(lambda: pool.size == pool.open_connections)
            clock.advance(60)
            await relay.until(lambda: not pool.size)
            await relay.until(lambda: pool._ahead is not None)
            opened = len(relay.told(trace.ConnectionOpened))
            timers.pass_by(539.95)
            await relay.until(lambda: len(relay.told(trace.ConnectionOpened)) > opened)
            assert len(simulator.ledger.mails) == 1
            timers.pass_by(0.2)
            await relay.until_empty()
            assert len(relay.told(trace.ConnectionOpened)) == opened + 1


@in_loop
async def test_what_was_learnt_of_a_mailbox_is_told_and_outlives_a_restart(tmp_path: Path) -> None:
    learnt = Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3, least=1)
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    timers = Timers(clock)
    async with simulated(tmp_path) as simulator:
        route = route_to(simulator, learnt, mailbox_rules=())
        async with relaying(tmp_path, route, clock=clock, store=store, later=timers) as relay:
            fault = FaultTable(step="end", row="Concurrent connections limit", times=1)
            simulator.faults.set(fault, simulator.pace.now())
            mails(relay, 10, ORDERS)
            await scan(relay)
            await relay.until(lambda: relay.told(trace.LimitLearnt))
            [event] = relay.told(trace.LimitLearnt)
            assert (event.scope, event.key, event.unit, event.before, event.after) == (
                "mailbox", ORDERS, "connections", 3, 1,
            )  # fmt: skip
            assert event.reply.lower().startswith("432 4.3.2 concurrent connections limit")
            timers.pass_by(31)
            await relay.until_empty()
            assert {event.attempts for event in relay.told(trace.Delivered)} == {1}, "waiting is no attempt"
        clock.advance(100)
        before = simulator.ledger.sessions["submission"]
        async with relaying(tmp_path, route, clock=clock, store=store) as relay:
            mails(relay, 50, ORDERS)
            await scan(relay)
            await relay.until_empty()
            assert simulator.ledger.sessions["submission"] == before + 1
