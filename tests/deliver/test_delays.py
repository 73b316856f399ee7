"""A sender hears once that his mail waits, whatever it waits for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from relay.deliver.delays import SLICE, Delays
from relay.deliver.quota import Quota
from relay.deliver.report_options import ReportOptions
from relay.deliver.reporter import Reporter
from relay.errors import SpoolFull
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.queue_id import DELIVERER_SLOT, QueueIdSource, slot_of
from relay.route.route import Route
from relay.route.table import RouteTable
from relay.spool.change import Accept, RecipientState, Record, Status
from relay.spool.commit import Committer
from relay.spool.handover import Queued
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop

OUT = Route("out", ("mx.test",))
OTHER = Route("other", ("mx.test",), recipients=("other.test",), delay_after_s=600.0)
HOUR = 3600.0
HEAD = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n"


class Bench:
    """A spool with mail, and what watches over it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(SpoolOptions(folder))
        self.ids = QueueIdSource(0, self.clock)
        self.born: list[Queued] = []
        self.committer = Committer(self.store, asyncio.get_running_loop(), lambda event: None, self.clock)

    def accept(self, *recipients: Recipient, **changes: object) -> int:
        """A mail that has just come."""
        fields = {
            "sender": b"a@sender.test",
            "recipients": recipients or (Recipient(b"b@c.test", "out"),),
            "received_at": self.clock.now(),
            "size": len(HEAD),
            "chunks": 1,
            "client": "127.0.0.1",
        }
        envelope = Envelope(id=self.ids.next(), **(fields | changes))  # type: ignore[arg-type]  # names are checked at run time
        self.store.apply([Accept(envelope, HEAD)])
        return envelope.id

    def delays(self, *routes: Route, delay_after_s: float = 4 * HOUR) -> Delays:
        """As they are after a start."""
        table, rows = RouteTable(routes or (OUT,)), self.store.budget_rows().rows
        reporter = Reporter(
            ReportOptions("relay.test"), table, QueueIdSource(DELIVERER_SLOT, self.clock), Quota(100, rows),
            lambda event: None, lambda id: False,
        )  # fmt: skip
        return Delays(
            self.store, table, delay_after_s, reporter, self.committer, self.clock, rows, self.born.append
        )

    def notices(self) -> list[bytes]:
        """The notices in the spool, in order."""
        mails = [each for each in self.store.envelopes(0, 100_000) if isinstance(each, Envelope)]
        return [self.store.content(each.id, 0) for each in mails if slot_of(each.id) == DELIVERER_SLOT]


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    made = Bench(folder)
    try:
        yield made
    finally:
        await made.committer.close()


@in_loop
async def test_a_mail_that_waits_for_hours_is_told_of_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept()
        delays = at.delays()
        at.clock.advance(4 * HOUR - 1)
        await delays.sweep()
        assert at.notices() == []
        at.clock.advance(2)
        await delays.sweep()
        [notice] = at.notices()
        assert b"Action: delayed" in notice and b"Will-Retry-Until: " in notice
        assert [mail.sender for mail in at.born] == [b""]
        at.clock.advance(9 * HOUR)
        await delays.sweep()
        await at.delays().sweep()
        assert len(at.notices()) == 1


@in_loop
async def test_the_last_answer_is_in_the_notice_and_only_who_waits(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        id = at.accept(Recipient(b"has@c.test", "out"), Recipient(b"waits@c.test", "out"))
        waits = RecipientState(Status.QUEUED, 3, 0.0, "450 4.2.1 busy")
        at.store.apply([Record(id, (RecipientState(Status.DELIVERED, 1), waits))])
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        [notice] = at.notices()
        assert b"Final-Recipient: rfc822; waits@c.test" in notice and b"has@c.test" not in notice
        assert b"Diagnostic-Code: smtp; 450 4.2.1 busy" in notice


@in_loop
async def test_a_notice_says_no_later_time_than_the_mails_own_deadline(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept(deadline=at.clock.now() + 6 * HOUR)
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        [notice] = at.notices()
        # The clock begins at 2027-01-15 08:00 UTC.
        assert b"Will-Retry-Until: Fri, 15 Jan 2027 14:00:00 +0000" in notice


SILENT: dict[str, dict[str, object]] = {
    "bulk": {"priority": Priority.BULK},
    "null sender": {"sender": b""},
    "not wanted": {"recipients": (Recipient(b"b@c.test", "out", b"FAILURE"),)},
    "not to be sent before": {"not_before": 1_800_000_000.0 + 9 * HOUR},
    "too old": {"received_at": 1_800_000_000.0 - OUT.expire_s},
    "past its own deadline": {"deadline": 1_800_000_000.0 + 4.5 * HOUR},
    "of no such route": {"recipients": (Recipient(b"b@c.test", "gone"),)},
}


@pytest.mark.parametrize("changes", SILENT.values(), ids=SILENT)
@in_loop
async def test_of_some_mail_nobody_is_told(tmp_path: Path, changes: dict[str, object]) -> None:
    async with bench(tmp_path) as at:
        at.accept(**changes)
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        assert at.notices() == []


@in_loop
async def test_held_mail_is_nobodys_delay(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.store.apply([Record(at.accept(), (RecipientState(Status.HELD, 1, 0.0, "550 no"),))])
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        assert at.notices() == []


@in_loop
async def test_a_route_has_a_time_of_its_own(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept(Recipient(b"b@c.test", "out"), Recipient(b"b@other.test", "other"))
        delays = at.delays(OTHER, OUT)
        at.clock.advance(601)
        await delays.sweep()
        [notice] = at.notices()
        assert b"b@other.test" in notice and b"b@c.test" not in notice
        at.clock.advance(4 * HOUR)
        await delays.sweep()
        _, second, *rest = at.notices()
        assert b"Final-Recipient: rfc822; b@c.test" in second and b"; b@other.test" not in second
        assert rest == []


@in_loop
async def test_no_time_is_no_notice(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept()
        at.clock.advance(50 * HOUR)
        await at.delays(delay_after_s=0.0).sweep()
        await at.delays(replace(OUT, delay_after_s=0.0)).sweep()
        assert at.notices() == []


@pytest.mark.parametrize("changed_to", [HOUR, 9 * HOUR], ids=["sooner", "later"])
@in_loop
async def test_a_changed_time_tells_of_no_mail_again(tmp_path: Path, changed_to: float) -> None:
    async with bench(tmp_path) as at:
        at.accept()
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        at.clock.advance(20 * HOUR)
        await at.delays(delay_after_s=changed_to).sweep()
        assert len(at.notices()) == 1


@in_loop
async def test_a_clock_that_was_years_ahead_does_not_silence_later_notices(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept(priority=Priority.BULK)
        now = at.clock.now()
        at.clock.set_wall(now + 9_000 * HOUR)
        await at.delays().sweep()
        at.clock.set_wall(now + 1)
        at.accept()
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        assert len(at.notices()) == 1


@in_loop
async def test_a_full_spool_puts_notices_off(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept()
        at.clock.advance(5 * HOUR)
        delays = at.delays()
        at.store.capacity_bytes = 1
        with pytest.raises(SpoolFull):
            await delays.sweep()
        at.store.capacity_bytes = 1 << 40
        at.clock.advance(60)
        await at.delays().sweep()
        assert len(at.notices()) == 1


@in_loop
async def test_many_mails_are_looked_at_in_slices(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        for _ in range(SLICE + 3):
            at.accept(priority=Priority.BULK)
        at.accept()
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        assert len(at.notices()) == 1


@in_loop
async def test_a_damaged_mail_does_not_keep_others_from_their_notice(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        at.accept()
        damaged = at.accept()
        at.accept()
        key = damaged.to_bytes(8, "big")
        at.store.envelope_rows[key] = at.store.envelope_rows[key][:-1] + b"?"
        at.clock.advance(5 * HOUR)
        await at.delays().sweep()
        assert len(at.notices()) == 2
