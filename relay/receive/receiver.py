"""One receiver process's part: listeners, sessions, the sweep over them, and the drain at the end."""

import asyncio
import socket
from collections.abc import Sequence

from relay.clock import Clock
from relay.errors import ConfigurationError
from relay.identity.dkim import KeyRing
from relay.identity.dmarc_dns import LookUp, ask
from relay.identity.issuer_cache import Fetch
from relay.receive.accepting import accept_forever
from relay.receive.certificate import CertificateWatch, Loaded
from relay.receive.common import Announce, Committer, Common
from relay.receive.dkim import Dkim
from relay.receive.door import Door
from relay.receive.once import Once
from relay.receive.options import ListenerTls, ReceiverOptions, server_options
from relay.receive.roll import Roll, load
from relay.receive.session import Listener
from relay.receive.signer_thread import SignerThread
from relay.receive.signing import Signing
from relay.receive.suppression import Suppression
from relay.receive.visitor import Access
from relay.route.table import RouteTable
from relay.spool.spool import Spool
from relay.spool.usage import Usage
from relay.tls import ServerContext
from relay.trace.event import Draining, RecipientsRead, Record
from relay.trace.seen.store import SeenStore

SWEEP_S = 1.0
"""Between two looks at all sessions: time-outs are minutes, and 10,000 sessions cost some 5 ms a look."""
REPLIES_BYTES = 16_384
"""Replies that the kernel keeps for a client that does not read them, twice that in its own reckoning. Left alone it
takes up to 4 MiB for each (net.ipv4.tcp_wmem), and 500 such clients kept a receiver busy with 20,000 commands each."""
BACKLOG = 1024
"""Connections the kernel keeps until we accept them; Linux cuts it at net.core.somaxconn (4096)."""


class Receiver:
    """Accepts mail between `start` and `drain`."""

    def __init__(
        self,
        options: ReceiverOptions,
        sockets: Sequence[socket.socket],
        routes: RouteTable,
        store: Spool,
        committer: Committer,
        handover: Announce,
        record: Record,
        clock: Clock,
        contexts: Sequence[ServerContext | None] = (),
        keys: KeyRing | None = None,
        signing: Signing | None = None,
        usage: Usage | None = None,
        look_up: LookUp = ask,
        watched: Sequence[Loaded | None] = (),
        seen: SeenStore | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        """`sockets` are bound, one a listener in the options' order, and closed in the end; so ordered are `contexts`, None for one without TLS.

        `watched`, so ordered too, says what contexts were made of: they are made anew when that changes.
        Mail is signed with `keys`, without them none is; by `signing`, or by a thread. `usage` is what clients use
        of their quotas; None: no other receiver serves them. `look_up` asks the DNS for what
        authors' domains want, `fetch` the authority for the keys of tokens. `seen` is where it is written down who sends.
        """
        if len(sockets) != len(options.listeners):
            raise ValueError(f"{len(sockets)} sockets for {len(options.listeners)} listeners")
        self._sockets = list(sockets)
        self._store = store
        self._slot = options.slot
        self._record = record
        loop = asyncio.get_running_loop()
        dkim = Dkim(keys, signing or SignerThread(loop), record) if keys else None
        self._common = Common(
            options,
            loop,
            routes,
            committer,
            handover,
            record,
            clock,
            dkim,
            Suppression(store, clock),
            usage,
            keys,
            look_up,
            seen,
            Once(store, committer, record, clock),
            store.last_id(options.slot),
            fetch,
        )
        self._listeners = [
            Listener(
                listener,
                server_options(options, listener),
                contexts[index] if contexts else None,
                Access(listener, self._common.directory, self._common.learning),
            )
            for index, listener in enumerate(options.listeners)
        ]
        self._watches = [
            CertificateWatch(loaded, listener, listener.options.name, record, clock)
            for loaded, listener in zip(watched, self._listeners, strict=False)
            if loaded is not None
        ]
        self._looking: asyncio.Task[None] | None = None
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def sessions(self) -> int:
        """Connections just now."""
        return len(self._common.sessions)

    @property
    def unsent_bytes(self) -> int:
        """Replies that wait for clients to read them."""
        return sum(session.unsent_bytes for session in self._common.sessions)

    @property
    def content_bytes(self) -> int:
        """Of mails that are coming in, in memory."""
        return self._common.content_bytes

    async def start(self) -> None:
        """Drop what a dead predecessor in this slot streamed and never accepted, then listen."""
        self._store.abandon_partial([self._slot])
        for roll in self._common.allowance.rolls:
            roll.begin()
            if not roll.is_awaited:
                await self._take_roll(roll)
        for sock, listener in zip(self._sockets, self._listeners, strict=True):
            await self._listen(sock, listener)
        self._tick()

    async def drain(self, deadline_s: float) -> None:
        """No new connections; sessions without a transaction get 421, transactions in flight end, within the deadline."""
        self._record(Draining("receiver"))
        common = self._common
        for server in self._servers:
            server.close()
        for task in self._accepting:
            task.cancel()
        for session in list(common.sessions):
            session.drain()
        quiet = asyncio.Event()
        common.on_quiet = quiet.set
        common.settle()
        try:
            await asyncio.wait_for(quiet.wait(), deadline_s)
        except TimeoutError:
            for session in list(common.sessions):
                session.abort("the relay shuts down")
        tasks = [*common.tasks, *self._accepting]
        if self._looking is not None:
            tasks.append(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sock in self._sockets:
            sock.close()
        if self._timer is not None:
            self._timer.cancel()
        if common.dkim is not None:
            common.dkim.close()
        common.logins.close()
        common.turned_away.sweep(float("inf"))
        await common.seen.close()
        if common.tokens is not None:
            await common.tokens.close()

    async def _listen(self, sock: socket.socket, listener: Listener) -> None:
        common = self._common
        # Whoever is accepted has it from the socket that listens (Linux), so it costs no connection anything.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REPLIES_BYTES)
        if listener.options.tls is ListenerTls.IMPLICIT or listener.options.proxy_networks:
            accepting = accept_forever(sock, listener, common, BACKLOG)
            self._accepting.append(common.loop.create_task(accepting))
            return
        server = await common.loop.create_server(lambda: Door(common, listener), sock=sock, backlog=BACKLOG)
        self._servers.append(server)

    def sweep(self) -> None:
        """Look at all sessions and end what has waited for too long; comes by itself every SWEEP_S."""
        common = self._common
        now = common.now = common.clock.monotonic()
        for session in list(common.sessions):
            session.sweep(now)
        common.turned_away.sweep(now)
        if common.once is not None:
            common.once.sweep(now)
        self._read_roll()
        if common.tokens is not None:
            common.tokens.look()

    def _read_roll(self) -> None:
        """The lists of recipients, when one has changed: 500,000 lines take a second, so in a thread."""
        for roll in self._common.allowance.rolls:
            if roll.is_new():
                self._common.spawn(self._take_roll(roll))

    async def _take_roll(self, roll: Roll) -> None:
        path = str(roll.path)
        try:
            roll.put(await asyncio.to_thread(load, roll.path))
        except ConfigurationError as error:
            self._record(RecipientsRead(path, len(roll), str(error), level="error"))
        else:
            self._record(RecipientsRead(path, len(roll)))

    def _tick(self) -> None:
        self._timer = self._common.loop.call_later(SWEEP_S, self._tick)
        self.sweep()
        self._common.seen.sweep()
        if self._watches and (self._looking is None or self._looking.done()):
            self._looking = self._common.loop.create_task(self._look())

    async def _look(self) -> None:
        for watch in self._watches:
            await watch.look()
