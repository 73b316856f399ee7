"""How mail gets into the queue: from the spool at start, by hints, after a receiver died."""

import asyncio
import stat
from collections.abc import Sequence
from pathlib import Path

from relay.deliver.handover import HandoverServer
from relay.spool.handover import Hello, Queued, encode
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


@in_loop
async def test_the_queue_is_rebuilt_from_the_spool(tmp_path: Path) -> None:
    def fill(relay: Relaying) -> None:
        for _ in range(25):
            relay.accept()

    async with (
        Sink() as sink,
        relaying(tmp_path, route_to(sink.port), before=fill, rebuild_slice=10) as relay,
    ):
        await relay.until_empty()
        [event] = relay.told(trace.QueueRebuilt)
        assert (event.queued, event.held, event.damaged) == (25, 0, 0)
        assert len(sink.mails) == 25


@in_loop
async def test_after_a_restart_the_states_are_known(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO:<no": b"550 5.1.1 no", b"RCPT TO:<later": b"450 4.2.1 later"})
    async with Sink(script) as sink:
        route = route_to(sink.port, retry_first_s=0.2)
        async with relaying(tmp_path, route) as relay:
            await relay.send("yes@c.test", "no@c.test", "later@c.test")
            await relay.send("no@c.test")
            await relay.until(lambda: len(relay.told(trace.Held)) == 2)
        script.replies.clear()
        async with relaying(tmp_path, route, store=relay.store) as again:
            [event] = again.told(trace.QueueRebuilt)
            assert (event.queued, event.held) == (1, 1)
            await sink.received(2)
            await again.until(lambda: again.told(trace.Delivered))
            assert again.told(trace.Delivered)[0].recipients == ("later@c.test",)
            assert again.told(trace.Delivered)[0].attempts == 2


@in_loop
async def test_a_hint_that_comes_twice_delivers_once(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.05)) as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        mail = await relay.send()
        await relay.hint(mail, mail)
        await relay.until_empty()
        await relay.hint(mail)
        await asyncio.sleep(0.05)
        assert len(sink.mails) == 1


@in_loop
async def test_a_hint_for_a_mail_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        ghost = relay.accept()
        relay.store.quarantine(ghost.id, "test")
        await relay.hint(ghost)
        await relay.send()
        await relay.until_empty()
        assert len(sink.mails) == 1


@in_loop
async def test_mail_of_a_receiver_that_died_before_its_hint_is_found(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send()
        await relay.until_empty()
        relay.accept("lost@c.test")
        await relay.die_as_receiver()
        mails = await sink.received(2)
        assert mails[1].rcpts == [b"RCPT TO:<lost@c.test>"]


@in_loop
async def test_a_receiver_that_comes_and_goes_loses_nothing(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), rebuild_slice=3) as relay:
        for n in range(20):
            await relay.hint(*(relay.accept(f"{n}@c.test") for _ in range(n % 3)))
            for _ in range(n % 4):
                relay.accept(f"{n}.lost@c.test")
            await relay.die_as_receiver()
        await relay.until_empty()
        assert len(sink.mails) == sum(n % 3 + n % 4 for n in range(20))


@in_loop
async def test_a_malformed_frame_ends_the_connection_and_nothing_else(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "handover"))
        writer.write(b"\0\0\0\2\xff\xff")
        assert await reader.read() == b""
        writer.close()
        await relay.send()
        await relay.until_empty()
        assert len(sink.mails) == 1


class Heard:
    """An intake that notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def take(self, mails: Sequence[Queued]) -> None:
        self.said += [f"take {mail.id}" for mail in mails]

    def rescan(self, slot: int, first_id: int) -> None:
        self.said.append(f"rescan {slot} from {first_id}")


@in_loop
async def test_what_receivers_say_before_the_queue_is_rebuilt_is_heard_afterwards(tmp_path: Path) -> None:
    heard = Heard()
    server = HandoverServer(tmp_path / "handover", 4, heard)
    await server.listen()
    _, writer = await asyncio.open_unix_connection(str(tmp_path / "handover"))
    writer.write(encode(Hello(3, 7)) + encode([Queued(7, 0.0, 1, 1, ("r",))]))
    await asyncio.sleep(0.02)
    writer.write(encode([Queued(8, 0.0, 1, 1, ("r",))]))
    await asyncio.sleep(0.02)
    writer.close()
    await asyncio.sleep(0.02)
    try:
        assert heard.said == []
        server.read()
        while len(heard.said) < 4:  # noqa: ASYNC110 - bounded by the loop's deadline
            await asyncio.sleep(0.001)
        assert heard.said == ["rescan 3 from 7", "take 7", "take 8", "rescan 3 from 7"]
    finally:
        server.close()


@in_loop
async def test_the_hand_over_socket_is_for_this_user_only(tmp_path: Path) -> None:
    async with relaying(tmp_path):
        assert stat.S_IMODE((tmp_path / "handover").stat().st_mode) == 0o600
    assert not (tmp_path / "handover").exists()


@in_loop
async def test_mail_of_a_receiver_that_died_before_it_said_hello_is_found_when_the_next_one_comes(
    tmp_path: Path,
) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        relay.accept()
        await relay.hint()
        await sink.received(1)
        await relay.until_empty()
