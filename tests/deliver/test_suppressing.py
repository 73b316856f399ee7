"""Addresses that are not there are entered for a time, and only those."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

from pathlib import Path

import pytest

from relay.deliver.outcome import Failure
from relay.deliver.report_options import ReportOptions
from relay.deliver.suppressing import Suppressing, is_gone
from relay.m365.classify import classify
from relay.message.envelope import Recipient
from relay.smtp.reply import Reply
from relay.spool.change import Suppress
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.suppressed import Suppressed
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink
from tests.message.reports import envelope

DAY = 86_400.0
GONE = Reply(550, "5.1.1", "No such user")


@pytest.mark.parametrize(
    ("reply", "gone"),
    [
        (GONE, True),
        (Reply(550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; not found"), True),
        (Reply(550, "5.4.1", "Recipient address rejected: Access denied. AS(201806281)"), True),
        (Reply(550, "5.5.0", "Requested action not taken: mailbox unavailable"), True),
        (Reply(550, "5.1.2", "no such domain"), False),
        (Reply(550, "5.2.2", "mailbox full"), False),
        (Reply(550, "5.7.1", "spam"), False),
        (Reply(550, "", "No such user"), False),
        (Reply(450, "4.1.1", "greylisted"), False),
    ],
)
def test_only_what_speaks_of_the_address_itself_counts(reply: Reply, gone: bool) -> None:
    assert is_gone(Failure(reply, classify(reply), False)) is gone
    assert not is_gone(Failure(reply, classify(reply), True)), "its time ran out"


class Bench:
    def __init__(self, time_s: float = DAY) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(SpoolOptions(Path("/nowhere")))
        self.events: list[trace.Event] = []
        self.suppressing = Suppressing(time_s, self.store, self.submit, self.events.append, self.clock)

    def submit(self, change: Suppress) -> None:
        self.store.apply([change])

    def fail(self, reply: Reply = GONE) -> None:
        about = envelope(recipients=(Recipient(b"Bob@example.net", "out"),))
        self.suppressing.enter(about, {0: Failure(reply, None, False)}, self.clock.now())


def test_the_first_reply_stays_until_its_time_is_over() -> None:
    bench = Bench()
    bench.fail()
    first = bench.store.suppressed(b"bob@example.net")
    assert first == Suppressed(bench.clock.now(), bench.clock.now() + DAY, "550 5.1.1 No such user")
    bench.clock.advance(DAY - 1)
    bench.fail(Reply(550, "5.1.1", "later"))
    assert bench.store.suppressed(b"bob@example.net") == first
    bench.clock.advance(2)
    bench.fail(Reply(550, "5.1.1", "later"))
    again = bench.store.suppressed(b"bob@example.net")
    assert again is not None and again.reply == "550 5.1.1 later"
    assert len(bench.events) == 2


def test_without_a_time_nothing_is_entered() -> None:
    bench = Bench(0.0)
    bench.fail()
    assert bench.store.count_suppressed() == 0


@in_loop
async def test_what_is_over_or_damaged_is_taken_out(tmp_path: Path) -> None:
    bench = Bench()
    now = bench.clock.now()
    rows = [(b"%05d@b.c" % number, Suppressed(now, now + number, "no")) for number in range(2_500)]
    bench.store.apply([Suppress(tuple(rows))])
    bench.store.suppressed_records[b"02400@b.c"] = b"damaged"
    bench.clock.advance(2_000)
    await bench.suppressing.sweep()
    assert bench.store.count_suppressed() == 498
    assert bench.store.suppressed(b"02000@b.c") is None and bench.store.suppressed(b"02001@b.c") is not None


@in_loop
async def test_a_delivery_that_fails_enters_the_address(tmp_path: Path) -> None:
    options = ReportOptions("relay.test", suppress_s=DAY)
    replies = {b"RCPT TO:<gone@": b"550 5.1.1 No such user", b"RCPT TO:<full@": b"552 5.2.2 full"}
    async with Sink(Script(replies=replies)) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=options) as relay:
            await relay.send("gone@c.test", "full@c.test", "there@c.test")
            await sink.received(2)
            await relay.until(lambda: relay.store.count_suppressed())
            [(address, found)] = relay.store.suppressions()
            assert address == b"gone@c.test" and found is not None
            assert found.reply == "550 5.1.1 No such user"
            assert [event.recipient for event in relay.told(trace.RecipientSuppressed)] == ["gone@c.test"]
