"""What the sessions of one receiver share: options, the doors to the other packages, counts and the time."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Protocol

from relay.clock import Clock
from relay.errors import SpoolError
from relay.identity.directory import Directory
from relay.identity.dkim import KeyRing
from relay.identity.dmarc import Demands
from relay.identity.dmarc_dns import LookUp, ask
from relay.identity.issuer_cache import Fetch, IssuerCache
from relay.message.queue_id import QueueIdSource
from relay.receive import policy
from relay.receive.alignment import Alignment
from relay.receive.allowance import Allowance
from relay.receive.brake import Brakes
from relay.receive.buffers import Buffers
from relay.receive.dkim import Dkim
from relay.receive.late import Late
from relay.receive.learning import Learning, give_back_places
from relay.receive.login_cache import KEY_BYTES, LoginCache
from relay.receive.logins import Logins
from relay.receive.once import Once
from relay.receive.options import Action, ReceiverOptions
from relay.receive.rewrite import Rewrites
from relay.receive.seen import Seen
from relay.receive.spoofing import Spoofing
from relay.receive.suppression import Suppression
from relay.receive.token_logins import TokenLogins
from relay.receive.turned_away import TurnedAway
from relay.route.table import RouteTable
from relay.smtp.reply import Reply
from relay.spool.change import Change
from relay.spool.handover import Queued
from relay.spool.usage import OwnUsage, Usage
from relay.trace.event import AlignmentUnknown, Record
from relay.trace.seen.store import SeenStore

if TYPE_CHECKING:
    from relay.receive.session import Session


class Committer(Protocol):
    """`relay.spool.commit.Committer`, as far as a receiver needs it."""

    @property
    def refusing(self) -> str | None:
        """Why the spool takes no new mail just now."""
        ...

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        """Commit it soon; `done` is called in the loop, after the commit."""
        ...


class Announce(Protocol):
    """`relay.receive.handover.Handover`, as far as a session needs it."""

    def announce(self, queued: Queued) -> None:
        """Tell the deliverer of a mail that is committed; returns at once."""
        ...


class Common:
    """One a receiver. `now` is the monotonic clock as of the last sweep: exact enough for time-outs."""

    def __init__(
        self,
        options: ReceiverOptions,
        loop: asyncio.AbstractEventLoop,
        routes: RouteTable,
        committer: Committer,
        handover: Announce,
        record: Record,
        clock: Clock,
        dkim: Dkim | None = None,
        suppression: Suppression | None = None,
        usage: Usage | None = None,
        keys: KeyRing | None = None,
        look_up: LookUp = ask,
        seen: SeenStore | None = None,
        once: Once | None = None,
        last_id: int = 0,
        fetch: Fetch | None = None,
    ) -> None:
        """`usage`: what clients use of their quotas, None: this process alone counts. `look_up` asks the DNS.

        `seen` keeps who sent; None: nobody does. `last_id` is the highest queue id that this slot has given so far.
        `fetch` asks the authority for keys; None: as in life.
        """
        usage = usage or OwnUsage()
        self.options = options
        self.limits = options.limits
        self.loop = loop
        self.routes = routes
        self.rewrites = Rewrites(options.rewrites)
        self.committer = committer
        self.handover = handover
        self.dkim = dkim
        """Signs what has a policy; None: no domain has one."""
        self.suppression = suppression
        """Who gets no mail; None: everybody may."""
        self.late = Late(options.prospects, routes, clock)
        self.once = once
        """Knows mails by their idempotency keys; None: no key counts."""
        self.directory = Directory(options.clients, secrets.token_bytes)
        self.tokens: TokenLogins | None = None
        """Judges tokens; None: none are taken."""
        if options.inbound is not None and self.directory.has_tokens:
            # PyJWT and HTTP: 10 MB and 35 ms that a receiver without tokens need not pay.
            from relay.identity import issuer

            issuers = IssuerCache(options.inbound, fetch or issuer.fetch, record, clock, random.random)
            limits = options.limits
            cache = LoginCache(
                secrets.token_bytes(KEY_BYTES), limits.logins_remembered, limits.login_remembered_s
            )
            self.tokens = TokenLogins(options.inbound, self.directory, issuers, cache, loop, clock)
        self.logins = Logins(
            self.directory, options.limits, loop, clock, secrets.token_bytes, tokens=self.tokens
        )
        self.spoofing = Spoofing(options.spoofing, options.tenant, record)
        self.alignment: Alignment | None = None
        if options.spoofing.alignment is not Action.OFF:
            demands = Demands(look_up, self.spawn, clock, lambda *why: record(AlignmentUnknown(*why)))
            self.alignment = Alignment(options.spoofing.alignment, demands, keys, record)
        self.allowance = Allowance(options.tenant, usage, clock)
        self.learning: Learning | None = None
        if options.learning is not None:
            proxies = [
                each for one in options.listeners for each in (*one.proxy_networks, *one.xclient_networks)
            ]
            self.learning = Learning(options.learning, self.directory, proxies, usage, clock, record)
        give_back_places(usage, self.learning)
        self.seen = Seen(seen, self.learning, options.tenant.is_inside, clock, record)
        self.brakes = Brakes(options.brakes)
        self.turned_away = TurnedAway(record)
        self.record = record
        self.clock = clock
        self.ids = QueueIdSource(options.slot, clock, last_id)
        self.buffers = Buffers(options.limits.large_buffers)
        self.sessions: set[Session] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        """TLS handshakes and look-ups under way."""
        self.content_bytes = 0
        """Of mails that are coming in, in memory."""
        self.pending = 0
        """Mails whose commit is under way."""
        self.on_quiet: Callable[[], None] | None = None
        """Called when the last session or commit has ended, while the receiver drains."""
        self.now = clock.monotonic()
        self._per_address: Counter[str] = Counter()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run a handshake beside the sessions."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def refusal(self, client: str) -> Reply | None:
        """The reply for a client that there is no room for, or that is braked; None for all others."""
        if len(self.sessions) >= self.limits.connections:
            return policy.TOO_MANY_CONNECTIONS
        if self._per_address[client] >= self.limits.connections_per_address:
            return policy.TOO_MANY_FROM_ADDRESS
        return self.brakes.refusal(client, self.now)

    def add(self, session: "Session", client: str) -> None:
        """It is connected, welcome or not."""
        self.sessions.add(session)
        self._per_address[client] += 1

    def leave(self, session: "Session", client: str) -> None:
        """It is over."""
        self.sessions.discard(session)
        self._per_address[client] -= 1
        if not self._per_address[client]:
            del self._per_address[client]
        self.settle()

    def settle(self) -> None:
        """Is all quiet now?"""
        if self.on_quiet is not None and not self.sessions and not self.pending:
            self.on_quiet()
