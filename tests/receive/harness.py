"""A receiver on an ephemeral port over a spool without a disk, and what it told the world."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from relay.clock import Clock, SystemClock
from relay.errors import SpoolError
from relay.identity.bearer import Inbound, Issuers
from relay.identity.client import Clients
from relay.identity.dkim import KeyRing
from relay.identity.dmarc_dns import LookUp, Texts
from relay.identity.issuer_cache import Fetch
from relay.message.envelope import Envelope
from relay.receive.brake_options import BrakeOptions
from relay.receive.learning import learning_bounds
from relay.receive.learning_options import LearningOptions
from relay.receive.options import Limits, ListenerOptions, ReceiverOptions, Rewrite, SpoofingOptions
from relay.receive.receiver import Receiver
from relay.route.route import Route
from relay.route.table import RouteTable
from relay.route.tenant import Tenant
from relay.spool.change import Accept, Change, Stream
from relay.spool.commit import Committer
from relay.spool.entry import Entry
from relay.spool.handover import Queued
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.usage import Usage
from relay.tls import ServerContext
from relay.trace.event import Event
from relay.trace.seen.store import SeenStore

ROUTES = (
    Route("inside", ("mx.inside.example",), recipients=("inside.example", "*.inside.example")),
    Route("ward", ("mx.ward.example",), recipients=("example.com", "postmaster")),
    Route("world", ("mx.world.example",), senders=("example.org",)),
)


async def nobody(name: str) -> Texts:
    """A DNS that no test may ask by accident."""
    raise AssertionError(f"asked for {name}")


def no_authority(inbound: Inbound) -> Issuers:
    """Likewise."""
    raise AssertionError(f"asked for the keys of {inbound}")


class Announced:
    """Stands where the handover to the deliverer does."""

    def __init__(self) -> None:
        self.queued: list[Queued] = []

    def announce(self, queued: Queued) -> None:
        self.queued.append(queued)


class HeldCommitter:
    """A disk that takes as long as the test wants; `eager` ends each commit in the next turn of the loop."""

    refusing: str | None = None

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.eager = False
        self._waiting: list[Callable[[SpoolError | None], None]] = []

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        self.changes.append(change)
        self._waiting.append(done)
        if self.eager:
            asyncio.get_running_loop().call_soon(self.release)

    def release(self, error: SpoolError | None = None) -> None:
        """End all commits that run."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(error)

    def contents(self) -> Iterator[bytes | bytearray]:
        """What lies on the disk."""
        for change in self.changes:
            if isinstance(change, Stream):
                yield change.data
            elif isinstance(change, Accept):
                yield change.head


@dataclass
class House:
    """All there is to look at."""

    receiver: Receiver
    port: int
    store: MemoryStore
    committer: Committer
    announced: Announced = field(default_factory=Announced)
    events: list[Event] = field(default_factory=list)

    def mails(self) -> list[tuple[Envelope, bytes]]:
        """What the spool holds, in order of acceptance."""
        found = []
        for entry in self.store.scan():
            assert isinstance(entry, Entry)
            mail = self.store.read(entry.queued.id)
            assert mail is not None
            envelope, content = mail
            further = [self.store.content(envelope.id, index) for index in range(1, envelope.chunks)]
            found.append((envelope, b"".join([content, *further])))
        return found


def without_own_fields(content: bytes) -> bytes:
    """The content as the client sent it, when it had Message-ID and Date: without our Received."""
    assert content.startswith(b"Received: from ")
    end = content.index(b"\r\n")
    while content[end + 2 : end + 3] in (b" ", b"\t"):
        end = content.index(b"\r\n", end + 2)
    return content[end + 2 :]


@asynccontextmanager
async def house(
    *,
    listener: ListenerOptions | None = None,
    limits: Limits | None = None,
    context: ServerContext | None = None,
    clock: Clock | None = None,
    store: MemoryStore | None = None,
    held: HeldCommitter | None = None,
    routes: Sequence[Route] = ROUTES,
    tenant: Tenant | None = None,
    keys: KeyRing | None = None,
    rewrites: Sequence[Rewrite] = (),
    clients: Clients | None = None,
    usage: Usage | None = None,
    spoofing: SpoofingOptions | None = None,
    look_up: LookUp = nobody,
    brakes: BrakeOptions | None = None,
    learning: LearningOptions | None = None,
    seen: SeenStore | None = None,
    inbound: Inbound | None = None,
    fetch: Fetch = no_authority,
) -> AsyncIterator[House]:
    """A receiver that listens; drained at the end."""
    clock = clock or SystemClock()
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    listener = listener or ListenerOptions(f"127.0.0.1:{port}")
    store = store or MemoryStore(SpoolOptions(Path("/nowhere")))
    events: list[Event] = []
    committer = Committer(store, asyncio.get_running_loop(), events.append, clock)
    announced = Announced()
    options = ReceiverOptions(
        "relay.example",
        3,
        (replace(listener),),
        limits or Limits(),
        tuple(rewrites),
        clients or Clients(),
        tenant or Tenant(),
        spoofing or SpoofingOptions(),
        brakes or BrakeOptions(),
        learning,
        inbound,
    )
    receiver = Receiver(
        options,
        [sock],
        RouteTable(routes, tenant, options.clients.bounds() | learning_bounds(learning)),
        store,
        held or committer,
        announced,
        events.append,
        clock,
        [context],
        keys,
        usage=usage,
        look_up=look_up,
        seen=seen,
        fetch=fetch,
    )
    await receiver.start()
    try:
        yield House(receiver, port, store, committer, announced, events)
    finally:
        await receiver.drain(2.0)
        await committer.close()


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run an async test on uvloop, with a bound."""

    async def bounded() -> None:
        await asyncio.wait_for(main(), 30)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def until(holds: Callable[[], bool]) -> None:
    """Wait, within a bound, for what the other end or a thread brings about."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to hold within five seconds")


class Client:
    """A client that says what it is told and reads whole replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def say(self, data: bytes) -> bytes:
        """Send and read one reply."""
        self.writer.write(data)
        return await self.reply()

    async def reply(self) -> bytes:
        """One reply with all its lines; empty at the end of the connection."""
        lines = b""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 10)
            lines += line
            if line[3:4] != b"-":
                return lines

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 10)

    async def open_mail(self, recipient: bytes = b"bob@example.com") -> None:
        """Up to the 354."""
        assert (await self.reply()).startswith(b"220 ")
        assert (await self.say(b"EHLO client.example\r\n")).startswith(b"250-")
        assert (await self.say(b"MAIL FROM:<alice@example.com>\r\n")).startswith(b"250 2.1.0")
        assert (await self.say(b"RCPT TO:<%b>\r\n" % recipient)).startswith(b"250 2.1.5")
        assert (await self.say(b"DATA\r\n")).startswith(b"354 ")

    def stop_reading(self) -> None:
        """Leave what comes in the socket."""
        transport = self.writer.transport
        assert hasattr(transport, "pause_reading"), "a stream's transport can be paused"
        transport.pause_reading()

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)
