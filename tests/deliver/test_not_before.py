"""What is not to leave yet waits, over restarts too, and says so."""

import asyncio
from pathlib import Path

from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink

HOUR = 3_600.0


@in_loop
async def test_it_waits_for_its_moment_over_a_restart_and_why_says_so(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    until = clock.now() + 2 * HOUR
    async with Sink() as sink:
        route = route_to(sink.port)
        async with relaying(tmp_path, route, clock=clock, store=store, told_to=0) as relay:
            mail = await relay.send(not_before=until)
            await relay.until(lambda: any(d.postponed == 1 for d in relay.told(trace.QueueDepth)))
            assert relay.told(trace.MailQueued)[0].not_before == until
        clock.advance(2 * HOUR - 1)
        async with relaying(tmp_path, route, clock=clock, store=store) as relay:
            assert relay.deliverer is not None
            explained = relay.deliverer.reasons.of(mail.id)
            assert explained is not None
            [reason] = explained.reasons
            assert (reason.what, reason.until) == ("not before", until)
            await asyncio.sleep(0.1)
            assert sink.mails == []
            clock.advance(1)
            await sink.received(1)
            await relay.until_empty()
            await relay.until(lambda: relay.told(trace.QueueDepth)[-1].postponed == 0)


@in_loop
async def test_its_age_begins_when_it_may_go(tmp_path: Path) -> None:
    clock = FakeClock()
    script = Script(replies={b".": b"451 4.3.0 Later"})
    async with Sink(script) as sink:
        route = route_to(sink.port, expire_s=HOUR, waiting_ages=True, retry_steps_s=(HOUR / 2,))
        async with relaying(tmp_path, route, clock=clock) as relay:
            await relay.send(not_before=clock.now() + 9 * HOUR)
            await relay.until(lambda: relay.told(trace.QueueDepth))
            clock.advance(9 * HOUR)
            for tries in (1, 2, 3):
                await relay.until(lambda: len(relay.told(trace.Deferred) + relay.told(trace.Held)) == tries)  # noqa: B023 (called within the turn)
                clock.advance(HOUR / 2)
            assert len(relay.told(trace.Deferred)) == 2 and len(relay.told(trace.Held)) == 1
