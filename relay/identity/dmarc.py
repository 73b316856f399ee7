"""What domains ask for by DMARC, looked up beside the mail and remembered.

The first mail of a domain waits for the answer, within a bound; later ones have it, and
what has become old is used while it is asked for again. Where nobody answers, nothing is
asked: mail must not stop because a name server did.
"""

import asyncio
from collections.abc import Callable, Coroutine

from relay.clock import Clock
from relay.identity.dkim_dns import NoAnswer
from relay.identity.dmarc_dns import LookUp
from relay.message import dmarc
from relay.message.dmarc import NOTHING, Demand, Record

REMEMBERED_MAX = 4_096
"""Author's domains; a relay for applications sees few. Starting over is cheap."""
LOOKUPS_MAX = 64
"""At once; for a domain beyond them nothing is asked just now."""
WAIT_S = 5.0
"""For one domain's whole walk; clients wait 10 minutes, but hold a connection."""
TTL_MIN_S = 60.0
TTL_MAX_S = 3_600.0
"""A domain that begins to ask for alignment is heard within the hour."""
RETRY_S = 60.0
"""After nobody answered."""

Spawn = Callable[[Coroutine[None, None, None]], None]
Done = Callable[[Demand], None]
Failed = Callable[[str, str], None]
"""Told of a domain, and why nobody answered."""


class Demands:
    """By author's domain. One a receiver, in its loop."""

    def __init__(self, look_up: LookUp, spawn: Spawn, clock: Clock, failed: Failed) -> None:
        self._look_up = look_up
        self._spawn = spawn
        self._clock = clock
        self._failed = failed
        self._known: dict[str, tuple[Demand, float]] = {}
        self._waiting: dict[str, list[Done]] = {}

    def get(self, domain: str, done: Done) -> Demand | None:
        """What it asks for; None: that takes a while, and `done` is called in the loop."""
        known = self._known.get(domain)
        if known is not None:
            if self._clock.monotonic() >= known[1]:
                self._ask(domain, None)
            return known[0]
        return None if self._ask(domain, done) else NOTHING

    def _ask(self, domain: str, done: Done | None) -> bool:
        """Have it looked up, unless that is under way; False: too much is."""
        waiting = self._waiting.get(domain)
        if waiting is None:
            if len(self._waiting) >= LOOKUPS_MAX:
                return False
            waiting = self._waiting[domain] = []
            self._spawn(self._find(domain))
        if done is not None:
            waiting.append(done)
        return True

    async def _find(self, domain: str) -> None:
        old = self._known.get(domain)
        demand, ttl_s = (NOTHING if old is None else old[0]), RETRY_S
        try:
            async with asyncio.timeout(WAIT_S):
                demand, ttl_s = await self._walk(domain)
        except (NoAnswer, TimeoutError) as error:
            self._failed(domain, str(error) or f"no answer within {WAIT_S:g} s")
        finally:
            # Also when the receiver ends meanwhile: nobody waits for ever.
            waiting = self._waiting.pop(domain)
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[domain] = demand, self._clock.monotonic() + ttl_s
            for done in waiting:
                done(demand)

    async def _walk(self, domain: str) -> tuple[Demand, float]:
        records: dict[str, Record] = {}
        ttl_s = TTL_MAX_S
        for each in dmarc.walk(domain):
            answer = await self._look_up(f"_dmarc.{each}")
            record = dmarc.parse(answer.texts)
            if record is not None:
                records[each] = record
                ttl_s = min(ttl_s, answer.ttl_s)
                if record.psd == b"n":
                    break
        return dmarc.demand(domain, records), max(ttl_s, TTL_MIN_S)
