"""A small world for one reply at a time: the real deliverer, and Microsoft's servers as the simulator plays them.

    submission   orders@ (also sends as sales@), alerts@      ─┐
    connector    any sender, by certificate                    ├─ the simulator
    direct       to recipients inside alone, another host      ─┘
    plain        a server that is not Microsoft's              ── a sink

A stream is mail of one sender to one recipient by one route; what a reply stops shows in
the streams whose mail is taken all the same. Time is a fake clock's, sockets are real.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from relay.m365.preset import Kind
from relay.message.envelope import Recipient
from relay.route.route import Credentials, MailboxRule, Route, TlsMode
from relay.route.tenant import Tenant
from relay.simulator.options import FaultTable, MailboxTable
from relay.simulator.simulator import Simulator
from relay.spool.handover import Queued
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.sink import Sink
from tests.fakes.timers import Timers
from tests.simulator.running import running

ORDERS, SALES, ALERTS = "orders@contoso.example", "sales@contoso.example", "alerts@contoso.example"
TENANT = Tenant(("contoso.example",))
TICK_S = 0.003
WITHIN_S = 5.0
"""Real seconds; all of it takes some milliseconds."""
E = TypeVar("E")
INSIDE, OUTSIDE = "someone@contoso.example", "someone@fabrikam.example"
UNLIMITED = {
    "connections": 0,
    "messages": 0,
    "recipients": 0,
    "external_recipients": 0,
    "session": 0,
    "idle": 0,
}
MAILBOXES = (
    MailboxTable(address=ORDERS, send_as=(SALES,)).model_dump(),
    MailboxTable(address=ALERTS).model_dump(),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Mail of one kind."""

    sender: str
    recipient: str
    route: str


STREAMS = {
    "orders": Stream(ORDERS, INSIDE, "submission"),
    "orders, outside": Stream(ORDERS, OUTSIDE, "submission"),
    "sales": Stream(SALES, INSIDE, "submission"),
    "alerts": Stream(ALERTS, INSIDE, "submission"),
    "alerts, outside": Stream(ALERTS, OUTSIDE, "submission"),
    "connector": Stream("app@contoso.example", INSIDE, "connector"),
    "connector, outside": Stream("app@contoso.example", OUTSIDE, "connector"),
    "shop": Stream("app@shop.example", INSIDE, "connector"),
    "direct": Stream("app@contoso.example", INSIDE, "direct"),
    "plain": Stream("app@shop.example", OUTSIDE, "plain"),
}


class Servers:
    """Next hops; one for all rows of a module, as keys and certificates take their time."""

    def __init__(self, folder: Path, simulator: Simulator, over_ipv6: Simulator | None, sink: Sink) -> None:
        self.folder = folder
        self.simulator = simulator
        self.over_ipv6 = over_ipv6
        """The MX once more, on ::1 and the same port; None where the machine has no IPv6."""
        self.simulators = [each for each in (simulator, over_ipv6) if each is not None]
        self.sink = sink
        self.numbers = count(1)

    def routes(self, *, connector_hosts: tuple[str, ...] = ("127.0.0.1",)) -> tuple[Route, ...]:
        """All four."""
        folder, addresses = self.simulator.folder, self.simulator.addresses
        quick = Route(name="", hosts=(), tls=TlsMode.REQUIRED, ca_file=str(folder.ca_file), connections=2,
                      retry_first_s=1.0, retry_max_s=1.0)  # fmt: skip
        submission, mx = (int(addresses[name].rpartition(":")[2]) for name in ("submission", "mx"))
        logins = tuple(Credentials(name, folder.password) for name in (ORDERS, ALERTS))
        return (
            replace(quick, name="submission", kind=Kind.SUBMISSION, hosts=("localhost",), port=submission,
                  ipv4_only=True, mailboxes=logins, mailbox_rules=(MailboxRule((ORDERS,), (SALES,)),)),
            replace(quick, name="connector", kind=Kind.CONNECTOR, hosts=connector_hosts, port=mx,
                  client_certificate=str(folder.client_certificate_file),
                  client_key=str(folder.client_key_file)),
            replace(quick, name="direct", kind=Kind.DIRECT, hosts=("localhost",), port=mx, ipv4_only=True),
            route_to(self.sink.port, "plain", "localhost", ipv4_only=True, retry_first_s=1.0, retry_max_s=1.0),
        )  # fmt: skip


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Servers]:
    """All next hops."""
    tables: dict[str, object] = {"limits": UNLIMITED, "mailbox": MAILBOXES}
    async with running(folder / "tenant", **tables) as simulator, Sink() as sink:
        port = simulator.addresses["mx"].rpartition(":")[2]
        listen = {"submission": "", "mx": f"[::1]:{port}", "high_volume": "", "authority": "127.0.0.1:0"}
        try:
            async with running(folder / "tenant", **(tables | {"listen": listen})) as over_ipv6:
                yield Servers(folder, simulator, over_ipv6, sink)
        except OSError:
            yield Servers(folder, simulator, None, sink)


class World:
    """One relay in front of the servers, from its spool's first mail to its last."""

    def __init__(self, servers: Servers, routes: tuple[Route, ...] = ()) -> None:
        self.clock = FakeClock()
        self.servers = servers
        self.events: list[trace.Event] = []
        """Of all deliverers there were."""
        self._routes = routes or servers.routes()
        self._folder = servers.folder / f"spool{next(servers.numbers)}"
        self._folder.mkdir()
        self._store = MemoryStore(SpoolOptions(self._folder))
        self._timers = Timers(self.clock)
        self._relay: Relaying | None = None
        self._stream_of: dict[str, str] = {}
        """By Message-ID."""
        self.be_well()
        self._struck_before, self._duplicates_before = self._struck, self._duplicates

    @asynccontextmanager
    async def relaying(self, acted_at: float = 0.0) -> AsyncIterator[None]:
        """A deliverer at work, until it is ended; another one later finds the spool as it was left."""
        self._timers = Timers(self.clock)

        def begin(relay: Relaying) -> None:
            relay.events = self.events

        async with relaying(
            self._folder, *self._routes, clock=self.clock, store=self._store, tenant=TENANT, later=self._timers,
            acted_at=acted_at, before=begin, tick_s=TICK_S,
        ) as relay:  # fmt: skip
            self._relay = relay
            yield

    # What goes wrong.

    def answer(self, step: str, reply: str, times: int = 1) -> None:
        """The simulator says so there; 0 times: always."""
        fault = FaultTable.model_validate({"step": step, "reply": reply, "times": times})
        for simulator in self.servers.simulators:
            simulator.faults.clear()
            simulator.faults.set(fault, 0.0)

    def be_well(self) -> None:
        """Nothing goes wrong any more."""
        for simulator in self.servers.simulators:
            simulator.faults.clear()

    @property
    def struck(self) -> int:
        """How often it was said."""
        return self._struck - self._struck_before

    @property
    def _struck(self) -> int:
        return sum(simulator.ledger.faults.total() for simulator in self.servers.simulators)

    # Mail.

    async def send(self, name: str, *further: str, sender: bytes | None = None) -> Queued:
        """One mail of a stream, to further recipients behind its own; or of another sender."""
        assert self._relay is not None
        stream = STREAMS[name]
        sender = stream.sender.encode() if sender is None else sender
        message_id = f"<{next(self.servers.numbers)}@relay.test>"
        self._stream_of[message_id] = name
        content = f"From: {stream.sender}\r\nMessage-ID: {message_id}\r\n\r\nHello\r\n"
        recipients = [Recipient(each.encode(), stream.route) for each in (stream.recipient, *further)]
        return await self._relay.send(*recipients, content=content.encode(), sender=sender)

    @property
    def taken(self) -> Counter[str]:
        """Mails that were taken, by stream."""
        ledgers = [simulator.ledger.mails for simulator in self.servers.simulators]
        found = [mail.message_id for mails in ledgers for mail in mails]
        found += [_message_id(mail.content) for mail in self.servers.sink.mails]
        return Counter(self._stream_of[each] for each in found if each in self._stream_of)

    @property
    def is_empty(self) -> bool:
        """No mail is left in the spool."""
        return not self._store.scan()

    @property
    def duplicates(self) -> int:
        """Mails that were taken twice by the same server."""
        return self._duplicates - self._duplicates_before

    @property
    def _duplicates(self) -> int:
        return sum(simulator.ledger.duplicates for simulator in self.servers.simulators)

    # What was told.

    def told(self, kind: type[E]) -> list[E]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def stopped(self) -> list[tuple[str, str]]:
        """Scope and key of what stopped, each time."""
        return [(event.scope, event.key) for event in self.told(trace.BreakerOpened)]

    @property
    def attempts(self) -> int:
        """Those that were counted against mail, and mail that is held."""
        return len(self.told(trace.Deferred)) + len(self.told(trace.Held))

    # Time.

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to become true, while the fake clock stands still."""
        assert self._relay is not None
        try:
            await self._relay.until(condition, WITHIN_S)
        except TimeoutError:
            events = [event for event in self.events if not isinstance(event, trace.QueueDepth)]
            what = "\n".join(map(str, [f"taken {self.taken}, struck {self.struck}", *events[-12:]]))
            pytest.fail(f"it did not happen within {WITHIN_S:g} s: {what}", pytrace=True)

    async def rest(self) -> None:
        """Two ticks of the deliverer: whatever may go has been looked at, and has its end."""
        ticks = len(self.told(trace.QueueDepth))
        await self.until(lambda: len(self.told(trace.QueueDepth)) >= ticks + 3)
        await self.until(self._is_quiet)

    def _is_quiet(self) -> bool:
        """Nothing is under way: time that jumps in the midst of it would be a silence of the next hop."""
        assert self._relay is not None and self._relay.deliverer is not None
        deliverer = self._relay.deliverer
        return not deliverer._settlement.unsettled and all(
            pool.size == pool.open_connections and all(each.client.is_idle for each in pool._connections)
            for pool in deliverer._pools.values()
        )

    async def pass_by(self, seconds: float) -> None:
        """Let so much time go by, and all that happens then."""
        await self.rest()
        self._timers.pass_by(seconds)
        await self.rest()


class Stage:
    """The loop of a module's tests, and the servers in it."""

    def __init__(self, runner: asyncio.Runner, servers: Servers) -> None:
        self.servers = servers
        self._runner = runner

    def play(self, story: Callable[[], Coroutine[None, None, None]]) -> None:
        """Within a deadline; an error in a callback fails it."""
        troubles: list[dict[str, object]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
            async with asyncio.timeout(30):
                await story()

        self._runner.run(bounded())
        assert not troubles, troubles


@contextmanager
def performing(folder: Path) -> Iterator[Stage]:
    """For all tests of a module."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        servers = runner.run(stack.enter_async_context(serving(folder)))
        try:
            yield Stage(runner, servers)
        finally:
            runner.run(stack.aclose())


def _message_id(content: bytes) -> str:
    return content.partition(b"Message-ID: ")[2].partition(b"\r")[0].decode()
