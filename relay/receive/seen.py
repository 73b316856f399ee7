"""Who sends, by which way, how it is protected: gathered in memory, brought to the disk every some seconds.

    mailed, tried, refused ── waiting (bounded) ── every 5 s, in a thread ──► trace.seen.store

A mail costs a look-up and some additions. Mail never waits for the record: while the disk
takes nothing it is gathered on, within a bound; a process that is killed takes the
sightings of its last seconds with it. Who is neither a client nor in a learning network
is recorded when mail of his is taken, and not for what he tries: strangers try a lot.
"""

import asyncio
from collections.abc import Callable

from relay.clock import Clock
from relay.message.envelope import Envelope
from relay.receive.accept import Origin
from relay.receive.learning import Learning
from relay.smtp.reply import Reply
from relay.trace.event import LoginFailed, Record, SeenDropped, SeenTrouble
from relay.trace.seen.sighting import LEARNING, NOTHING, Sighting, Who, is_unknown
from relay.trace.seen.store import SeenError, SeenStore

FLUSH_S = 5.0
WAITING_MAX = 2_048
"""Senders in memory, 2 KB each as a rule; more than that in five seconds are nobody's devices."""
CLOSE_WITHIN_S = 5.0
RECIPIENTS_LOOKED_AT = 16
"""Of one mail, for their domains: a mail to a thousand must not cost a thousand looks."""
AUTHORS_READ = 4
"""Mails whose From is read for the record, of one sender in five seconds. A device sends fewer; an application's
are alike."""
NOT_TAKEN = (502, 504, 538)
"""Replies to AUTH that speak of the listener, not of a name or a password."""


class Seen:
    """One a receiver."""

    def __init__(
        self,
        store: SeenStore | None,
        learning: Learning | None,
        is_inside: Callable[[bytes], bool],
        clock: Clock,
        record: Record,
    ) -> None:
        """`store` None: nothing is recorded. `is_inside` says which recipients are the tenant's own."""
        self._store = store
        self._learning = learning
        self._is_inside = is_inside
        self._clock = clock
        self._record = record
        self._waiting: dict[Who, Sighting] = {}
        self._dropped = 0
        self._flush_at = 0.0
        self._failures = 0
        self._writing = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None

    def wants_author(self, origin: Origin) -> bool:
        """Shall the author of this mail be found? Of a client that has a name nobody asks."""
        if self._store is None or origin.way not in (LEARNING, NOTHING):
            return False
        seen = self._waiting.get(Who(origin.account, origin.client, origin.way))
        return seen is None or seen.mails < AUTHORS_READ

    def mailed(self, origin: Origin, envelope: Envelope, author: bytes) -> None:
        """A mail was taken. `author` is the address in From, empty when it was not looked for."""
        if self._store is None:
            return
        who = Who(envelope.account, envelope.client, origin.way)
        seen = self._at(who)
        if seen is None:
            return
        recipients = envelope.recipients
        seen.mailed(self._clock.now(), envelope.size, len(recipients), is_tls=bool(origin.tls))
        original = envelope.original_sender
        sender = envelope.sender if original is None else original
        seen.keep("senders", seen.senders, _text(sender))
        seen.keep("tls", seen.tls, origin.tls)
        seen.keep("helos", seen.helos, _text(envelope.helo))
        if is_unknown(who):
            if author:
                seen.keep("authors", seen.authors, _text(author))
            self._look_at_recipients(seen, envelope)

    def login_failed(self, who: Who, tls: str, failed: LoginFailed) -> None:
        """As whom it would log in, which nobody lets it: what an administrator must give it, or take from it."""
        seen = self._of_try(who)
        if seen is not None:
            if tls:
                seen.keep("tls", seen.tls, tls)
            how = f"{failed.mechanism} {_protected(tls)}"
            seen.keep("tried", seen.tried, f"{how} as {failed.username}: {failed.reason}")

    def login_not_taken(self, who: Who, tls: str, mechanism: str, reply: Reply) -> None:
        """It could not even try: no AUTH there, no TLS, no such mechanism. What it said further was not read."""
        seen = self._of_try(who) if reply.code in NOT_TAKEN else None
        if seen is not None:
            seen.keep("tried", seen.tried, f"{mechanism or 'AUTH'} {_protected(tls)}: {reply}")

    def refused(self, origin: Origin, command: str, address: bytes, reply: Reply) -> None:
        """A mail was refused, or a recipient; `address` is its sender, or the recipient's domain."""
        seen = self._of_try(Who(origin.account, origin.client, origin.way))
        if seen is not None:
            seen.refused += 1
            shown = f" {_text(address)}" if address else ""
            seen.keep("refusals", seen.refusals, f"{command}{shown}: {reply}")

    def sweep(self) -> None:
        """Once a second: bring to the disk what was gathered, when it is time."""
        is_due = self._waiting and self._clock.monotonic() >= self._flush_at
        if is_due and not self._writing.locked():
            self._flushing = asyncio.get_running_loop().create_task(self.flush())

    async def flush(self, *, is_last: bool = False) -> None:
        """Bring it to the disk; one batch after the other."""
        async with self._writing:
            self._flush_at = self._clock.monotonic() + FLUSH_S
            if self._store is not None and self._waiting:
                await self._write(self._store, is_last)

    async def _write(self, store: SeenStore, is_last: bool) -> None:
        batch, self._waiting = self._waiting, {}
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._record(SeenDropped(dropped))
        try:
            await asyncio.to_thread(store.add, batch, self._clock.now())
        except SeenError as error:
            # Two receivers that begin a file at once may be in each other's way: the second failure is one.
            self._failures += 1
            if self._failures == 2 or is_last:
                self._record(SeenTrouble(str(error)))
            self._take_back(batch)
        else:
            self._failures = 0

    async def close(self) -> None:
        """The rest; the disk may hold up the end for a moment and not for long."""
        if self._store is None:
            return
        try:
            await asyncio.wait_for(self.flush(is_last=True), CLOSE_WITHIN_S)
        except TimeoutError:
            self._record(SeenTrouble("the disk took too long at the end"))

    def _of_try(self, who: Who) -> Sighting | None:
        """Where it is recorded what somebody tried; None: he is nobody's."""
        is_known = who.account or (self._learning is not None and self._learning.is_inside(who.address))
        if self._store is None or not is_known:
            return None
        seen = self._at(who)
        if seen is not None:
            seen.last = self._clock.now()
        return seen

    def _take_back(self, batch: dict[Who, Sighting]) -> None:
        newer, self._waiting = self._waiting, batch
        for who, seen in newer.items():
            old = self._at(who)
            if old is not None:
                old.add(seen)

    def _at(self, who: Who) -> Sighting | None:
        seen = self._waiting.get(who)
        if seen is None:
            if len(self._waiting) >= WAITING_MAX:
                self._dropped += 1
                return None
            seen = self._waiting[who] = Sighting(first=self._clock.now())
        return seen

    def _look_at_recipients(self, seen: Sighting, envelope: Envelope) -> None:
        recipients = envelope.recipients
        if len(recipients) > RECIPIENTS_LOOKED_AT:
            seen.more.add("domains")
        for recipient in recipients[:RECIPIENTS_LOOKED_AT]:
            seen.keep("routes", seen.routes, recipient.route)
            address = recipient.address
            if not self._is_inside(address):
                seen.outside += 1
                seen.keep("domains", seen.domains, _text(address.rpartition(b"@")[2].lower()))


def _protected(tls: str) -> str:
    return "with TLS" if tls else "without TLS"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
