"""Why a mail waits: what is in its way, since when, until when, and what can be done."""

from pathlib import Path

from relay.budget.limit import Limit, Scope, Unit
from relay.deliver.reasons import Reason
from relay.message.queue_id import format_id
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink, closed_port


def why(relay: Relaying, id: int) -> Reason:
    assert relay.deliverer is not None
    explained = relay.deliverer.reasons.of(id)
    assert explained is not None
    [reason] = explained.reasons
    return reason


@in_loop
async def test_a_limit_is_told_with_when_it_closed_and_what_helps(tmp_path: Path) -> None:
    clock = FakeClock()
    one = Limit(Scope.ROUTE, Unit.MESSAGES, 1, 60)
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port, limits=(one,)), clock=clock) as relay:
        await relay.send()
        await sink.received(1)
        closed_at = clock.now()
        mail = await relay.send()
        await relay.until(lambda: why(relay, mail.id).what == "limit")
        clock.advance(20)
        reason = why(relay, mail.id)
        assert reason.text.startswith("the limit of 1 messages in 60 s of the route smarthost")
        assert reason.since == closed_at and reason.until == closed_at + 60
        assert f"queue priority high {format_id(mail.id)}" in reason.todo and "plan" in reason.todo


@in_loop
async def test_a_next_hop_that_is_away_is_told_with_since_when(tmp_path: Path) -> None:
    clock = FakeClock()
    async with closed_port() as port, relaying(tmp_path, route_to(port), clock=clock) as relay:
        began_at = clock.now()
        mail = await relay.send()
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        clock.advance(500)
        await relay.until(lambda: len(relay.told(trace.ConnectionFailed)) > 1)
        reason = why(relay, mail.id)
        assert reason.what == "unreachable" and "cannot connect" in reason.text
        assert reason.since == began_at and reason.until is not None and reason.until > clock.now()
        assert "queue rebind ROUTE" in reason.todo


@in_loop
async def test_who_is_not_to_leave_yet_is_told_who_wants_it(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), clock=clock) as relay:
        mail = await relay.send(not_before=clock.now() + 3_600)
        await relay.until(lambda: why(relay, mail.id).what == "not before")
        reason = why(relay, mail.id)
        assert reason.since == mail.received_at and f"queue cancel {format_id(mail.id)}" in reason.todo
