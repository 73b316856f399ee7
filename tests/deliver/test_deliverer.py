"""The deliverer as a whole, against a sink that does what it is told."""

from pathlib import Path

from relay.trace import event as trace
from tests.deliver.relaying import CONTENT, relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink


@in_loop
async def test_a_mail_arrives_as_it_was_accepted(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send("b@c.test")
        [mail] = await sink.received(1)
        await relay.until_empty()
    assert mail.content == CONTENT
    assert mail.mail == b"MAIL FROM:<a@sender.test> SIZE=%d" % len(CONTENT)
    assert mail.rcpts == [b"RCPT TO:<b@c.test>"]
    [event] = relay.told(trace.Delivered)
    assert event.recipients == ("b@c.test",) and event.reply == "250 2.0.0 Ok: queued as 1"
