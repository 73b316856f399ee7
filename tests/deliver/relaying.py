"""A deliverer with a spool in memory, as the tests of this folder need it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from relay.clock import Clock, SystemClock
from relay.deliver.book import open_book
from relay.deliver.deliverer import Deliverer
from relay.deliver.gate import CallLater
from relay.deliver.inquiry import Asks, Namesakes
from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions
from relay.deliver.settlement import Committer as Submits
from relay.identity.token_cache import Fetch, TokenCache
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.queue_id import QueueIdSource
from relay.route.route import Route, TlsMode
from relay.route.table import RouteTable
from relay.route.tenant import Tenant
from relay.spool.change import Accept, Status, Stream
from relay.spool.commit import Committer
from relay.spool.handover import Hello, Queued, encode
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace.event import Event

CONTENT = b"From: a@sender.test\r\nSubject: hello\r\n\r\nbody\r\n.dot\r\n..\r\n"
E = TypeVar("E")


def route_to(port: int, name: str = "smarthost", host: str = "127.0.0.1", **changes: object) -> Route:
    """A route to a sink, without TLS; `changes` are fields of Route."""
    plain = Route(name=name, hosts=(host,), port=port, tls=TlsMode.NONE, connections=4)
    # replace() checks the names at run time; its types cannot be spelled for keywords passed on.
    return replace(plain, **changes)  # type: ignore[arg-type]


@dataclass
class Relaying:
    """The parts, and what was recorded."""

    folder: Path
    clock: Clock
    store: MemoryStore
    events: list[Event] = field(default_factory=list)
    deliverer: Deliverer | None = None
    ids: QueueIdSource = field(init=False)
    _receiver: asyncio.StreamWriter | None = None

    def __post_init__(self) -> None:
        self.ids = QueueIdSource(0, self.clock)

    def accept(
        self,
        *recipients: str | Recipient,
        content: bytes | list[bytes] = CONTENT,
        sender: bytes = b"a@sender.test",
        age_s: float = 0.0,
        **fields: object,
    ) -> Queued:
        """Put a mail into the spool as a receiver does, without a word to the deliverer.

        High, unless said otherwise: so limits alone say what goes, and nothing is kept free for higher ones.
        """
        fields.setdefault("priority", Priority.HIGH)
        records = [content] if isinstance(content, bytes) else content
        envelope = Envelope(
            id=self.ids.next(),
            sender=sender,
            recipients=tuple(
                Recipient(r.encode(), "smarthost") if isinstance(r, str) else r
                for r in recipients or ("b@c.test",)
            ),
            received_at=self.clock.now() - age_s,
            size=sum(map(len, records)),
            chunks=len(records),
            client="127.0.0.1",
            **fields,  # type: ignore[arg-type]  # names are checked at run time
        )
        streams = [Stream(envelope.id, i, data) for i, data in enumerate(records) if i]
        self.store.apply([*streams, Accept(envelope, records[0])])
        return Queued.of(envelope)

    async def hint(self, *mails: Queued) -> None:
        """Tell the deliverer over its socket."""
        if self._receiver is None:
            _, self._receiver = await asyncio.open_unix_connection(str(self.folder / "handover"))
            self._receiver.write(encode(Hello(0, mails[0].id if mails else 1)))
        if mails:
            self._receiver.write(encode(mails))
        await self._receiver.drain()

    async def die_as_receiver(self) -> None:
        """The connection of the receiver ends."""
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.close()
            with suppress(ConnectionError):
                await receiver.wait_closed()

    async def send(self, *recipients: str | Recipient, **how: object) -> Queued:
        """Accept and hint."""
        mail = self.accept(*recipients, **how)  # type: ignore[arg-type]  # as of `accept`
        await self.hint(mail)
        return mail

    def told(self, kind: type[E]) -> list[E]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Wait for something to become true; the test fails when it does not in time."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 (the condition may be anything)
                await asyncio.sleep(0.005)

    async def until_empty(self, timeout_s: float = 10.0) -> None:
        """Wait until no mail is left in the spool."""
        await self.until(lambda: not self.store.scan(), timeout_s)

    def record(self, event: Event) -> None:
        self.events.append(event)


@asynccontextmanager
async def relaying(
    folder: Path,
    *routes: Route,
    clock: Clock | None = None,
    store: MemoryStore | None = None,
    before: Callable[[Relaying], None] = lambda _: None,
    committing: Callable[[Committer], Submits] = lambda committer: committer,
    fetch: Fetch | None = None,
    tenant: Tenant | None = None,
    later: CallLater | None = None,
    acted_at: float = 0.0,
    report: ReportOptions | None = None,
    told_to: int | None = None,
    asks: Asks | None = None,
    namesakes: Namesakes | None = None,
    **options: object,
) -> AsyncIterator[Relaying]:
    """A deliverer at work; `before` may fill the spool first, `committing` stand before the committer,
    `fetch` gives tokens."""
    clock = clock or SystemClock()
    relay = Relaying(folder, clock, store or MemoryStore(SpoolOptions(folder)))
    before(relay)
    committer = Committer(relay.store, asyncio.get_running_loop(), relay.record, clock)
    chosen = DelivererOptions(hostname="relay.test", handover_path=folder / "handover", tick_s=0.02)
    # As in route_to.
    chosen = replace(chosen, **options)  # type: ignore[arg-type]
    relay.deliverer = Deliverer(
        chosen,
        RouteTable(routes, tenant or Tenant()),
        relay.store,
        committing(committer),
        relay.record,
        clock,
        lambda: 0.5,
        None if fetch is None else TokenCache(fetch, relay.record, clock, lambda: 0.5),
        book=open_book(relay.store, routes, clock, "this boot", relay.record),
        later=later,
        tenant=tenant,
        acted_at=acted_at,
        report=report,
        told_to=told_to,
        asks=asks,
        namesakes=namesakes,
    )
    await relay.deliverer.start()
    try:
        yield relay
    finally:
        await relay.deliverer.drain(2.0)
        await committer.close()
        await relay.die_as_receiver()


def states(relay: Relaying, id: int) -> list[Status]:
    """Where the recipients of a mail stand in the spool."""
    return [state.status for state in relay.store.state(id) or ()]
