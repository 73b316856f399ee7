"""What a next hop refuses is held or tried again."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

from pathlib import Path

from relay.spool.change import RecipientState, Status
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to, states
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


@in_loop
async def test_a_permanent_refusal_is_held_with_its_reply(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"RCPT": b"550 5.1.1 No such user"})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send()
            await relay.until(lambda: relay.store.state(mail.id))
            [state] = relay.store.state(mail.id) or ()
            assert state == RecipientState(
                Status.HELD, 1, 0.0, "550 5.1.1 No such user", state.aged_s, state.as_of
            )
            assert relay.told(trace.Held)[0].reply == "550 5.1.1 No such user"
            await relay.until(lambda: any(d.held == 1 for d in relay.told(trace.QueueDepth)))


@in_loop
async def test_a_transient_refusal_is_tried_again(tmp_path: Path) -> None:
    async with Sink(Script(once={b"RCPT": b"450 4.2.1 Later"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=0.1)) as relay:
            await relay.send()
            await relay.until_empty()
        assert [event.attempts for event in relay.told(trace.Deferred)] == [1]
        assert [event.attempts for event in relay.told(trace.Delivered)] == [2]


@in_loop
async def test_each_recipient_has_its_own_end(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO:<no": b"550 5.1.1 no", b"RCPT TO:<later": b"450 4.2.1 later"})
    async with Sink(script) as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        mail = await relay.send("yes@c.test", "no@c.test", "later@c.test")
        await relay.until(lambda: relay.store.state(mail.id))
        assert states(relay, mail.id) == [Status.DELIVERED, Status.HELD, Status.QUEUED]
        assert len(sink.mails) == 1


@in_loop
async def test_an_old_mail_is_held_instead_of_deferred(tmp_path: Path) -> None:
    async with Sink(Script(replies={b".": b"451 4.3.0 Never mind"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, expire_s=3600, waiting_ages=True)) as relay:
            mail = await relay.send(age_s=4000)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert not relay.told(trace.Deferred)


@in_loop
async def test_what_the_next_hop_cannot_take_is_held_without_a_try(tmp_path: Path) -> None:
    async with Sink(Script(extensions=("PIPELINING",))) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send("ä@c.test", is_utf8=True)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert "SMTPUTF8" in relay.told(trace.Held)[0].reply
        assert not any(line.startswith(b"MAIL") for line in sink.commands)
