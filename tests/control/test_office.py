"""What is asked over the socket, and what is answered: suspensions, what has stopped, and why a mail waits."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

from collections.abc import Callable
from pathlib import Path

import pytest

from relay.budget.limit import Limit, Scope, Unit
from relay.errors import SpoolError
from relay.message.queue_id import format_id
from relay.route.route import Credentials
from relay.spool.change import Change
from relay.trace import event as trace
from tests.control.controlled import NOBODY, asking, controlled
from tests.deliver.relaying import route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


@in_loop
async def test_a_route_is_suspended_and_resumed(tmp_path: Path) -> None:
    async with Sink() as sink, controlled(tmp_path, route_to(sink.port)) as (relay, _):
        async with asking(tmp_path) as client:
            await client.result(do="suspend", kind="route", name="smarthost", reason="they move")
            mail = await relay.send("b@c.test")
            why = await client.why(mail.id)
            [reason] = why.reasons
            assert reason.what == "suspended" and "they move" in reason.text
            assert reason.todo == "m365-relay resume route smarthost"
            assert sink.connections == 0
            assert await client.result(do="resume", kind="route", name="smarthost") == {
                "suspensions": 1, "breakers": 0
            }  # fmt: skip
            await relay.until_empty()
            assert [each.kind for each in relay.told(trace.Resumed)] == ["route"]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"do": "suspend", "kind": "route", "name": "smarthots"}, "smarthost"),
        ({"do": "suspend", "kind": "mailbox", "name": "x@y.test"}, "none"),
        ({"do": "suspend", "kind": "campaign", "name": "x", "until": 5}, "time to come"),
        ({"do": "rebind", "where": {"all": True}, "route": "nowhere"}, "smarthost"),
        ({"do": "why", "id": format_id(77)}, "m365-relay trace"),
    ],
)
@in_loop
async def test_what_cannot_be_done_is_said_with_a_hint(
    tmp_path: Path, request_: dict[str, object], says: str
) -> None:
    async with controlled(tmp_path, route_to(NOBODY)), asking(tmp_path) as client:
        [refused] = await client.ask(**request_)
        assert refused["error"] and says in str(refused["hint"])


@pytest.mark.parametrize("do", ["suspend", "resume"])
@in_loop
async def test_a_command_that_the_disk_does_not_take_has_its_end_in_the_log(tmp_path: Path, do: str) -> None:
    async with controlled(tmp_path, route_to(NOBODY)) as (relay, _), asking(tmp_path) as client:
        assert relay.deliverer is not None
        await client.result(do="suspend", kind="campaign", name="May")

        def fails(_: Change, done: Callable[[SpoolError | None], None]) -> None:
            done(SpoolError("the disk is full"))

        relay.deliverer.suspended._submit = fails
        [refused] = await client.ask(do=do, kind="campaign", name="May")
        assert refused["error"] == "the disk is full" and "spool_trouble" in str(refused["hint"])
        assert relay.told(trace.Commanded)[-1].do == do
        ended = relay.told(trace.CommandEnded)[-1]
        assert (ended.do, ended.detail, ended.problem) == (do, "campaign May", "the disk is full")


@in_loop
async def test_what_has_stopped_is_listed_and_tried_at_once_when_it_is_mended(tmp_path: Path) -> None:
    script = Script(
        replies={b"AUTH": b"535 5.7.139 Authentication unsuccessful, basic authentication is disabled."}
    )
    script.login = ("Orders@contoso.com", "right")
    async with Sink(script) as sink:
        route = route_to(sink.port, credentials=Credentials("Orders@contoso.com", "right"))
        async with controlled(tmp_path, route) as (relay, _), asking(tmp_path) as client:
            mail = await relay.send("b@c.test")
            await relay.until(lambda: relay.told(trace.BreakerOpened))
            item, _ = await client.ask(do="stopped")
            stop = item["item"]
            assert isinstance(stop, dict)
            assert (stop["kind"], stop["name"], stop["is_suspended"]) == (
                "mailbox",
                "orders@contoso.com",
                False,
            )
            assert "535" in stop["reason"] and "resume mailbox orders@contoso.com" in stop["todo"]
            why = await client.why(mail.id)
            assert why.reasons[0].what == "stopped"
            script.replies.clear()
            mended = await client.result(do="resume", kind="mailbox", name="orders@contoso.com")
            assert mended["breakers"] == 1
            await relay.until_empty()
            assert (await client.ask(do="stopped"))[-1]["result"] == {"items": 0}


@in_loop
async def test_what_cannot_be_reached_is_tried_at_once_when_it_is_said_to_be_mended(tmp_path: Path) -> None:
    async with Sink() as sink:
        port = sink.port
    async with controlled(tmp_path, route_to(port), lane_backoff_first_s=3600.0) as (relay, _):
        mail = await relay.send("b@c.test")
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        async with asking(tmp_path) as client:
            why = await client.why(mail.id)
            assert why.reasons[0].what == "unreachable"
            again = Sink()
            again.port = port
            async with again:
                await client.result(do="resume", kind="route", name="smarthost")
                await relay.until_empty()


@in_loop
async def test_why_a_mail_waits_is_said_wherever_it_stands(tmp_path: Path) -> None:
    script = Script(
        replies={b"RCPT TO:<later": b"451 4.7.500 Server busy", b"RCPT TO:<no": b"550 5.1.1 unknown"}
    )
    async with Sink(script) as sink:
        routes = route_to(sink.port, retry_first_s=3600), route_to(NOBODY, name="stuck")
        async with controlled(tmp_path, *routes) as (relay, _), asking(tmp_path) as client:
            mail = await relay.send("later@c.test", "no@c.test", "yes@c.test")
            await relay.until(lambda: relay.store.state(mail.id))
            await relay.until(lambda: relay.deliverer._queue.depth().deferred)  # type: ignore[union-attr]
            why = await client.why(mail.id)
            assert why.statuses == {"deferred": 1, "held": 1, "delivered": 1}
            held, deferred = why.reasons
            assert (held.what, held.recipients) == ("held", ("no@c.test",))
            assert "that means" in held.text and "queue release" in held.todo
            assert (deferred.what, deferred.recipients) == ("deferred", ("later@c.test",))
            assert "tried once" in deferred.text
            assert deferred.until is not None and deferred.until > relay.clock.now()
            assert "queue retry" in deferred.todo


@in_loop
async def test_mail_that_waits_for_a_limit_says_which_and_until_when(tmp_path: Path) -> None:
    clock = FakeClock()
    one = Limit(Scope.ROUTE, Unit.MESSAGES, 1, 600)
    async with Sink() as sink:
        async with controlled(tmp_path, route_to(sink.port, limits=(one,)), clock=clock) as (relay, _):
            async with asking(tmp_path) as client:
                await relay.send("b@c.test")
                await sink.received(1)
                mail = await relay.send("d@c.test")
                await relay.until(lambda: relay.told(trace.Throttled))
                why = await client.why(mail.id)
                [reason] = why.reasons
                assert reason.what == "limit" and "1 messages in 600 s of the route" in reason.text
                assert reason.until is not None and abs(reason.until - (clock.now() + 600)) < 5


@in_loop
async def test_mail_under_way_says_so(tmp_path: Path) -> None:
    async with Sink(Script(stall_at={b"DATA"})) as sink:
        async with controlled(tmp_path, route_to(sink.port)) as (relay, _), asking(tmp_path) as client:
            mail = await relay.send("b@c.test")
            await sink.heard(b"DATA")
            why = await client.why(mail.id)
            assert [each.what for each in why.reasons] == ["under way"]
            await sink.close()
