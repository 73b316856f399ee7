"""Suppression: addresses that failed for good are entered, and taken out when their time is over.

Only what a server says of the address itself counts: it is not there, or is none. A refusal
of this sender, this content or this route says nothing of the next mail. The first reply
stays: while it is in force nothing is entered over it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from relay.clock import Clock
from relay.deliver.outcome import Failure
from relay.errors import RecordDamaged, SpoolError
from relay.message.dsn_words import bounded_reply
from relay.message.envelope import Envelope
from relay.spool.change import Suppress
from relay.spool.spool import Spool
from relay.spool.suppressed import REPLY_MAX, Suppressed
from relay.trace import event as trace

SUPPRESSED_MAX = 1_000_000
"""Addresses, some 200 MB of the spool; beyond it no further one is entered."""
INTERVAL_S = 3600.0
"""Between two looks for those whose time is over."""
SLICE = 1_000
_GONE = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10"})
"""Bad destination mailbox, bad syntax, moved without a forwarding address (RFC 3463 section 3.2), and Microsoft's
word for the first."""
_GONE_ROWS = frozenset({"recipient-not-found", "recipient-not-found-consumer", "recipient-rejected"})


class Submits(Protocol):
    """Commits it soon; nobody waits for it."""

    def __call__(self, change: Suppress) -> None: ...


class Suppressing:
    """Of one process."""

    def __init__(
        self, time_s: float, spool: Spool, submit: Submits, record: trace.Record, clock: Clock
    ) -> None:
        """`time_s`: for how long; 0: nothing is entered, and what is there still ends."""
        self._time_s = time_s
        self._spool = spool
        self._submit = submit
        self._record = record
        self._clock = clock

    def enter(self, envelope: Envelope, failures: Mapping[int, Failure], now: float) -> None:
        """Those of the failures, by the index of the recipient, that speak of the address itself."""
        if not self._time_s:
            return
        for index, failure in failures.items():
            address = envelope.recipients[index].address
            if is_gone(failure) and self._may_enter(address, now):
                reply = bounded_reply(str(failure.reply))[:REPLY_MAX]
                self._submit(Suppress(((address, Suppressed(now, now + self._time_s, reply)),)))
                name = address.decode("utf-8", "backslashreplace")
                self._record(trace.RecipientSuppressed(name, now + self._time_s, reply))

    def _may_enter(self, address: bytes, now: float) -> bool:
        try:
            found = self._spool.suppressed(address)
        except RecordDamaged:
            return True
        if found is not None:
            return found.is_over(now)
        return self._spool.count_suppressed() < SUPPRESSED_MAX

    async def watch(self) -> None:
        """Take out what is over, every hour, until cancelled."""
        while True:
            # The committer tells people of a spool in trouble; what is over refuses nobody meanwhile.
            with suppress(SpoolError):
                await self.sweep()
            await asyncio.sleep(INTERVAL_S)

    async def sweep(self) -> None:
        """Take out what is over, and what cannot be read; SpoolError."""
        after = b""
        while rows := self._spool.suppressions(after, SLICE):
            now = self._clock.now()
            over = [address for address, found in rows if found is None or found.is_over(now)]
            if over:
                self._submit(Suppress(tuple((address, None) for address in over)))
            after = rows[-1][0]
            await asyncio.sleep(0)


def is_gone(failure: Failure) -> bool:
    """Whether it speaks of the address: every further mail would fail too."""
    if failure.is_expired or not failure.reply.is_permanent:
        return False
    return failure.reply.enhanced in _GONE or (failure.row is not None and failure.row.name in _GONE_ROWS)
