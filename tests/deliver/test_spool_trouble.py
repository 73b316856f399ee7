"""When the spool is damaged, slow or broken."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.errors import RecordDamaged, SpoolError, SpoolFull
from relay.message.envelope import Envelope, Recipient
from relay.spool.change import Change, RecipientState, Record, Remove
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


class FaultyStore(MemoryStore):
    """Records of some mails cannot be read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SpoolOptions(folder))
        self.heads: dict[int, SpoolError] = {}
        self.contents: dict[int, SpoolError] = {}
        self.contents_read = 0

    def read(self, id: int) -> tuple[Envelope, bytes] | None:
        if id in self.heads:
            raise self.heads[id]
        return super().read(id)

    def content(self, id: int, index: int) -> bytes:
        if id in self.contents:
            raise self.contents[id]
        self.contents_read += index > 0
        return super().content(id, index)

    def quarantine(self, id: int, reason: str) -> None:
        super().quarantine(id, reason)
        self.heads.pop(id, None)


@in_loop
async def test_a_damaged_record_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    store = FaultyStore(tmp_path)
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), store=store) as relay:
        mails = [relay.accept(f"{n}@c.test") for n in range(5)]
        store.heads[mails[2].id] = RecordDamaged("the check sum is wrong")
        await relay.hint(*mails)
        await relay.until_empty()
        [event] = relay.told(trace.RecordQuarantined)
        assert "check sum" in event.reason
        assert len(sink.mails) == 4


@in_loop
async def test_states_of_more_recipients_than_there_are_set_the_mail_aside_at_start(tmp_path: Path) -> None:
    def before(relay: Relaying) -> None:
        bad, _ = relay.accept("bad@c.test"), relay.accept("good@c.test")
        relay.store.apply([Record(bad.id, (RecipientState(),) * 2)])

    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), before=before) as relay:
        [mail] = await sink.received(1)
        assert mail.rcpts == [b"RCPT TO:<good@c.test>"]
        await relay.until_empty()
        [event] = relay.told(trace.RecordQuarantined)
        assert "2 states for 1 recipients" in event.reason


@in_loop
async def test_states_that_do_not_fit_when_the_mail_is_tried_again_set_it_aside(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO:<bad": b"451 4.3.0 not now"})
    async with (
        Sink(script) as sink,
        relaying(tmp_path, route_to(sink.port, retry_first_s=0.02)) as relay,
    ):
        bad = await relay.send("bad@c.test")
        await relay.until(lambda: relay.told(trace.Deferred))
        relay.store.apply([Record(bad.id, (RecipientState(),) * 3)])
        await relay.until(lambda: relay.told(trace.RecordQuarantined))
        script.replies.clear()
        await relay.send("good@c.test")
        await relay.until_empty()
        [event] = relay.told(trace.RecordQuarantined)
        assert "3 states for 1 recipients" in event.reason


@pytest.mark.parametrize("use_bdat", [False, True])
@in_loop
async def test_a_record_damaged_in_the_middle_of_a_mail_never_arrives_cut_short(
    tmp_path: Path, use_bdat: bool
) -> None:
    store = FaultyStore(tmp_path)
    async with Sink() as sink:
        route = route_to(sink.port, connections=1, use_bdat=use_bdat)
        async with relaying(tmp_path, route, store=store, lane_backoff_first_s=0.02) as relay:
            bad = relay.accept("bad@c.test", content=[b"one\r\n", b"two\r\n", b"three\r\n"])
            store.contents[bad.id] = RecordDamaged("the check sum is wrong")
            await relay.hint(relay.accept("1@c.test"), bad, relay.accept("2@c.test"))
            await relay.until_empty()
            assert len(relay.told(trace.RecordQuarantined)) == 1
            assert sorted(mail.rcpts[0] for mail in sink.mails) == [
                b"RCPT TO:<1@c.test>",
                b"RCPT TO:<2@c.test>",
            ]


@in_loop
async def test_a_spool_that_cannot_be_read_ends_the_deliverer(tmp_path: Path) -> None:
    store = FaultyStore(tmp_path)
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), store=store) as relay:
        mail = relay.accept()
        store.heads[mail.id] = SpoolError("input/output error")
        await relay.hint(mail)
        assert relay.deliverer is not None
        with pytest.raises(SpoolError, match="input/output"):
            await relay.deliverer.wait()


class ScriptedCommitter:
    """Commits when it is told to; fails what it is told to."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self.waiting: list[tuple[Change, Callable[[SpoolError | None], None]]] = []
        self.failures = 0
        self.is_holding = False

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        if self.failures:
            self.failures -= 1
            asyncio.get_running_loop().call_soon(done, SpoolFull("no room"))
        elif self.is_holding:
            self.waiting.append((change, done))
        else:
            self._committer.submit(change, done)

    def let_go(self) -> None:
        self.is_holding = False
        waiting, self.waiting = self.waiting, []
        for change, done in waiting:
            self._committer.submit(change, done)


@in_loop
async def test_an_outcome_that_could_not_be_committed_is_committed_later_and_not_delivered_again(
    tmp_path: Path,
) -> None:
    made: list[ScriptedCommitter] = []

    def scripted(committer: Committer) -> ScriptedCommitter:
        made.append(ScriptedCommitter(committer))
        made[0].failures = 3
        return made[0]

    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port), committing=scripted, settle_retry_s=0.02) as relay:
            await relay.send()
            await relay.until_empty()
        assert len(sink.mails) == 1 and made[0].failures == 0


@in_loop
async def test_no_more_mail_is_started_while_too_many_outcomes_wait_for_their_commit(tmp_path: Path) -> None:
    made: list[ScriptedCommitter] = []

    def scripted(committer: Committer) -> ScriptedCommitter:
        made.append(ScriptedCommitter(committer))
        made[0].is_holding = True
        return made[0]

    async with Sink() as sink:
        route = route_to(sink.port, connections=2)
        async with relaying(tmp_path, route, committing=scripted, unsettled_max=10) as relay:
            await relay.hint(*(relay.accept() for _ in range(100)))
            await sink.received(10)
            await asyncio.sleep(0.1)
            # Each connection may have had one in flight and one behind it when the bound was reached.
            assert 10 <= len(sink.mails) <= 10 + 2 * 2
            assert all(isinstance(change, Remove) for change, _ in made[0].waiting)
            made[0].let_go()
            await relay.until_empty()
        assert len(sink.mails) == 100


@in_loop
async def test_a_next_hop_that_does_not_read_does_not_fill_our_memory(tmp_path: Path) -> None:
    """Only what the kernel takes (some megabytes on the loopback) is read from the spool."""
    store = FaultyStore(tmp_path)
    record = b"x" * 77 + b"\r\n"
    records = [record * 3_300] * 600
    may_read = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 slow\r\n")
        for reply in (b"250 PIPELINING\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await may_read.wait()
        size = 0
        while size < sum(map(len, records)) + 3:
            size += len(await reader.read(1 << 20))
        writer.write(b"250 ok\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0, limit=65_536)
    port = server.sockets[0].getsockname()[1]
    async with server, relaying(tmp_path, route_to(port), store=store) as relay:
        await relay.send("b@c.test", content=records)
        await asyncio.sleep(0.5)
        assert 0 < store.contents_read < 100
        may_read.set()
        await relay.until_empty()
        assert store.contents_read == 599


@in_loop
async def test_one_job_of_a_mail_that_is_damaged_does_not_leave_the_other_behind(tmp_path: Path) -> None:
    store = FaultyStore(tmp_path)
    async with Sink() as one, Sink(Script(verdict_delay_s=0.05)) as two:
        routes = (route_to(one.port, "one"), route_to(two.port, "two"))
        async with relaying(tmp_path, *routes, store=store) as relay:
            mail = relay.accept(Recipient(b"1@c.test", "one"), Recipient(b"2@c.test", "two"))
            store.heads[mail.id] = RecordDamaged("the check sum is wrong")
            await relay.hint(mail)
            await relay.until(lambda: relay.told(trace.RecordQuarantined))
            await relay.until(
                lambda: relay.told(trace.QueueDepth)[-1:] and relay.told(trace.QueueDepth)[-1].ready == 0
            )
        assert not one.mails and not two.mails
