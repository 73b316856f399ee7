"""Which mails the deliverer tells the history of: each that comes in, and of a scan those it does not have yet."""

from pathlib import Path

from relay.message.envelope import Recipient
from relay.message.queue_id import format_id
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


def told(relay: Relaying) -> list[str]:
    return [event.id for event in relay.told(trace.MailQueued)]


@in_loop
async def test_a_mail_is_told_of_with_all_that_its_envelope_says(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), told_to=0) as relay:
        mail = await relay.send(
            Recipient(b"caf\xc3\xa9@c.test", "smarthost"), Recipient(b"\xff@c.test", "smarthost"),
            message_id=b"<a@b>", campaign="May", account="erp",
        )  # fmt: skip
        await relay.until_empty()
        [event] = relay.told(trace.MailQueued)
        assert (event.id, event.message_id, event.sender) == (format_id(mail.id), "<a@b>", "a@sender.test")
        assert event.recipients == ("café@c.test", "\\xff@c.test")
        assert (event.client, event.account, event.campaign) == ("127.0.0.1", "erp", "May")
        assert (event.priority, event.size, event.received_at) == ("high", mail.size, mail.received_at)
        kinds = [type(each) for each in relay.events]
        assert kinds.index(trace.MailQueued) < kinds.index(trace.Delivered)


@in_loop
async def test_it_is_told_of_before_anybody_tries_it(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(9), told_to=0) as relay:
        mail = await relay.send()
        await relay.until(lambda: told(relay))
        assert told(relay) == [format_id(mail.id)]


@in_loop
async def test_of_a_scan_only_what_the_history_does_not_have_is_told(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(9), told_to=None) as relay:
        known, new = relay.accept(), relay.accept()
        await relay.die_as_receiver()
    async with relaying(tmp_path, route_to(9), store=relay.store, told_to=known.id) as again:
        assert told(again) == [format_id(new.id)]
        assert again.told(trace.MailQueued)[0].recipients == ("b@c.test",)


@in_loop
async def test_what_was_tried_before_is_not_told_again(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO": b"450 4.2.1 later"})
    async with Sink(script) as sink:
        async with relaying(tmp_path, route_to(sink.port), told_to=0) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.Deferred))
        async with relaying(tmp_path, route_to(sink.port), store=relay.store, told_to=0) as again:
            assert again.told(trace.QueueRebuilt)[0].queued == 1
            assert told(again) == []


@in_loop
async def test_a_hint_with_a_low_id_is_told_all_the_same(tmp_path: Path) -> None:
    # A large mail has its id when it begins to come in, and is committed minutes later.
    async with relaying(tmp_path, route_to(9), told_to=(1 << 63) - 1) as relay:
        mail = await relay.send()
        await relay.until(lambda: told(relay))
        assert told(relay) == [format_id(mail.id)]


@in_loop
async def test_without_a_history_nothing_is_told(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send()
        await relay.until_empty()
        assert told(relay) == []
