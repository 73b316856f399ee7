"""Mail in doubt is asked about, in time and not more often, and settled by what is shown."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relay.deliver.doubts import Doubts
from relay.deliver.order import Arrived, Rebind
from relay.errors import RelayError
from relay.identity.graph import GraphOptions, GraphRefused
from relay.identity.message_trace import Found, Traced
from relay.m365.preset import Kind
from relay.message.queue_id import format_id
from relay.message.uncertain import Then, Uncertain
from relay.route.oauth import Application, ClientSecret
from relay.spool.change import RecipientState, Record, Status
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.selection import Selection
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.deliver.test_actions import BY, NOBODY, give
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink

APPLICATION = Application("app", "https://login.test/t", "https://graph.test/.default", ClientSecret("s"))
OPTIONS = GraphOptions(APPLICATION, "https://graph.test")
MESSAGE_ID = b"<1@app.test>"


@dataclass
class FakeTrace:
    """A message trace that shows what it is told to."""

    options: GraphOptions = OPTIONS
    rows: tuple[Traced, ...] = ()
    trouble: RelayError | None = None
    ready_at: float = 0.0
    asked: list[tuple[str, float, float]] = field(default_factory=list)

    async def find(self, message_id: str, since: float, until: float) -> Found:
        self.asked.append((message_id, since, until))
        if self.trouble is not None:
            raise self.trouble
        return Found(self.rows)


@dataclass
class Case:
    """One mail in doubt, sent a moment ago."""

    relay: Relaying
    doubts: Doubts
    asks: FakeTrace
    clock: FakeClock
    id: int
    sent_at: float

    async def at(self, after_s: float) -> None:
        """Look when so much has gone by since the loss."""
        self.clock.advance(self.sent_at + after_s - self.clock.now())
        await self.doubts.look()
        # What it found due only now is looked at in the next turn.
        await self.doubts.look()

    @property
    def states(self) -> list[Status]:
        return states(self.relay, self.id)

    async def why(self) -> str:
        assert self.relay.deliverer is not None
        found = self.relay.deliverer.reasons.of(self.id)
        assert found is not None
        [reason] = [each for each in found.reasons if each.what == "uncertain"]
        assert reason.since == self.sent_at and "queue settle" in reason.todo
        return f"{reason.text} | {reason.until}"


@asynccontextmanager
async def asking(
    folder: Path,
    *recipients: str,
    message_id: bytes = MESSAGE_ID,
    uncertain: Uncertain | None = None,
    namesakes: Callable[[int, bytes], bool] | None = lambda id, message_id: False,
    store: MemoryStore | None = None,
    has_trace: bool = True,
    **route: object,
) -> AsyncIterator[Case]:
    """A relay that finds the mail in its spool, as after a restart; its next hop takes what comes."""
    clock, asks = FakeClock(), FakeTrace()
    store = store or MemoryStore(SpoolOptions(folder))
    sent_at = clock.now()
    route = {"on_uncertain": Uncertain.ASK, "kind": Kind.CONNECTOR} | route
    async with Sink() as sink:
        ways = route_to(sink.port, **route)  # type: ignore[arg-type]  # as of `route_to`
        ids: list[int] = []

        def before(relay: Relaying) -> None:
            mail = relay.accept(*(recipients or ("b@c.test",)), message_id=message_id, uncertain=uncertain)
            state = RecipientState(
                Status.UNCERTAIN, 1, 0.0, "451 4.4.2 no reply: reset", sent_at=sent_at, sent_by="smarthost"
            )
            relay.store.apply([Record(mail.id, (state,) * len(recipients or ("b@c.test",)))])
            ids.append(mail.id)

        async with relaying(
            folder,
            ways,
            clock=clock,
            store=store,
            before=before,
            asks=asks if has_trace else None,
            namesakes=namesakes,
        ) as relay:
            assert relay.deliverer is not None
            yield Case(relay, relay.deliverer.doubts, asks, clock, ids[0], sent_at)


@in_loop
async def test_what_the_trace_shows_has_arrived_and_is_never_sent_again(tmp_path: Path) -> None:
    async with asking(tmp_path) as case:
        await case.at(299)
        assert not case.asks.asked
        case.asks.rows = (Traced("b@c.test", "delivered"),)
        await case.at(300)
        [(message_id, since, until)] = case.asks.asked
        assert message_id == "<1@app.test>"
        assert since < case.sent_at - 600 and until == case.clock.now()
        assert not case.relay.store.scan()
        [delivered] = case.relay.told(trace.Delivered)
        assert delivered.reply == (
            "its reply was lost; settled as arrived by Microsoft's message trace: shown as delivered"
        )


@in_loop
async def test_absence_counts_only_when_the_trace_had_its_time(tmp_path: Path) -> None:
    async with asking(tmp_path) as case:
        for after_s in (300, 600, 1200, 2400, 3599):
            await case.at(after_s)
            assert case.states == [Status.UNCERTAIN]
        assert len(case.asks.asked) == 4
        await case.at(3600)
        await case.relay.until_empty()
        assert len(case.asks.asked) == 5
        [steered] = [each for each in case.relay.told(trace.Steered) if each.do == "not arrived"]
        assert (steered.by, steered.reason) == (
            "Microsoft's message trace",
            "it does not show the mail 60 minutes after it was sent",
        )
        assert [each.attempts for each in case.relay.told(trace.Delivered)] == [2]


@in_loop
async def test_what_is_shown_late_but_in_time_is_not_sent_twice(tmp_path: Path) -> None:
    async with asking(tmp_path) as case:
        await case.at(300)
        await case.at(2400)
        case.asks.rows = (Traced("b@c.test", "pending"),)
        await case.at(3600)
        assert not case.relay.store.scan()
        assert case.relay.told(trace.Delivered)[0].reply.endswith("shown as pending")


@in_loop
async def test_a_relay_that_slept_does_not_take_an_old_answer_for_a_late_one(tmp_path: Path) -> None:
    """Asked early and found absent, then down for hours: it asks again before it believes it."""
    async with asking(tmp_path) as case:
        await case.at(300)
        case.asks.rows = (Traced("b@c.test", "delivered"),)
        await case.at(86_400)
        assert len(case.asks.asked) == 2
        assert not case.relay.store.scan()


@in_loop
async def test_each_recipient_is_settled_with_what_became_of_it(tmp_path: Path) -> None:
    async with asking(tmp_path, "b@c.test", "d@c.test", "alias@c.test") as case:
        case.asks.rows = (Traced("b@c.test", "delivered"), Traced("d@c.test", "quarantined"))
        await case.at(300)
        await case.relay.until_empty()
        said = {each.recipients: each.reply for each in case.relay.told(trace.Delivered)}
        assert said.keys() == {("b@c.test",), ("d@c.test",), ("alias@c.test",)}
        assert said["b@c.test",].endswith("shown as delivered")
        assert said["d@c.test",].endswith("shown as quarantined")
        assert said["alias@c.test",].endswith("shown as delivered and quarantined")


@pytest.mark.parametrize(
    ("namesakes", "words"),
    [
        (lambda id, message_id: True, "another mail has the same Message-ID"),
        (None, "another mail has the same Message-ID"),
    ],
)
@in_loop
async def test_a_message_id_that_was_used_twice_is_left_for_people(
    tmp_path: Path, namesakes: Callable[[int, bytes], bool] | None, words: str
) -> None:
    async with asking(tmp_path, namesakes=namesakes) as case:
        case.asks.rows = (Traced("b@c.test", "delivered"),)
        await case.at(300)
        await case.at(86_400)
        assert case.states == [Status.UNCERTAIN]
        assert len(case.asks.asked) == 1
        assert words in await case.why() and "waits for somebody's word | None" in await case.why()
        [told] = case.relay.told(trace.TraceAsked)
        assert (told.id, told.level) == (format_id(case.id), "warning") and words in told.said
        await give(case.relay, Arrived(by=BY), Selection(status="uncertain"))
        assert not case.relay.store.scan()


@pytest.mark.parametrize("message_id", [b"", b"<>", b"<a b@c>", b"<\xc3\xa9@c>", b"<" + b"x" * 1000 + b"@c>"])
@in_loop
async def test_a_mail_without_a_message_id_to_ask_for_is_left_for_people(
    tmp_path: Path, message_id: bytes
) -> None:
    async with asking(tmp_path, message_id=message_id) as case:
        await case.at(300)
        await case.at(86_400)
        assert not case.asks.asked and case.states == [Status.UNCERTAIN]
        assert "no Message-ID that could be asked for" in await case.why()


@in_loop
async def test_why_says_what_was_asked_and_when_it_is_asked_again(tmp_path: Path) -> None:
    async with asking(tmp_path, uncertain_after_s=7200.0, uncertain_then=Then.FAIL) as case:
        await case.at(0)
        first = await case.why()
        assert "Microsoft's message trace is asked in time" in first
        assert first.endswith(str(case.sent_at + 300))
        await case.at(300)
        case.clock.advance(120)
        second = await case.why()
        assert "was asked 2 minutes ago: the trace does not show it yet" in second
        assert second.endswith(str(case.sent_at + 600))
        assert "the route's rule says fail 2 hours after it was sent" in second


@in_loop
async def test_why_knows_that_the_trace_wants_to_be_left_alone(tmp_path: Path) -> None:
    async with asking(tmp_path) as case:
        case.asks.trouble = GraphRefused("https://graph.test answers 429", is_fault=False)
        await case.at(300)
        case.asks.ready_at = case.clock.monotonic() + 240
        assert (await case.why()).endswith(f"answers 429 | {case.sent_at + 540}")


@in_loop
async def test_a_trace_that_does_not_answer_settles_nothing_and_is_told_of_once(tmp_path: Path) -> None:
    async with asking(tmp_path) as case:
        case.asks.trouble = GraphRefused("https://graph.test answers 403", is_fault=True)
        for after_s in (300, 400, 3600, 7200):
            await case.at(after_s)
        assert case.states == [Status.UNCERTAIN] and len(case.asks.asked) >= 4
        [told] = case.relay.told(trace.TraceUnavailable)
        assert (told.reason, told.level) == ("https://graph.test answers 403", "error")
        assert "cannot be asked just now: https://graph.test answers 403" in await case.why()
        case.asks.trouble = None
        case.asks.rows = (Traced("b@c.test", "delivered"),)
        await case.at(7300)
        assert not case.relay.store.scan()


@in_loop
async def test_a_history_that_cannot_be_read_settles_nothing(tmp_path: Path) -> None:
    def broken(id: int, message_id: bytes) -> bool:
        raise RelayError("the history cannot be read")

    async with asking(tmp_path, namesakes=broken) as case:
        case.asks.rows = (Traced("b@c.test", "delivered"),)
        await case.at(3600)
        assert case.states == [Status.UNCERTAIN]
        assert case.relay.told(trace.TraceUnavailable)[0].reason == "the history cannot be read"


@in_loop
async def test_no_question_is_asked_before_the_trace_is_ready_for_it(tmp_path: Path) -> None:
    async with asking(tmp_path) as case:
        case.asks.ready_at = case.clock.monotonic() + 1000
        await case.at(999)
        assert not case.asks.asked
        await case.at(1000)
        assert len(case.asks.asked) == 1


@pytest.mark.parametrize(
    ("of_route", "of_mail", "is_asked"),
    [
        (Uncertain.ASK, None, True),
        (Uncertain.ASK, Uncertain.HOLD, False),
        (Uncertain.HOLD, Uncertain.ASK, True),
        (Uncertain.HOLD, None, False),
    ],
)
@in_loop
async def test_a_mail_is_asked_about_as_it_wants_or_its_route(
    tmp_path: Path, of_route: Uncertain, of_mail: Uncertain | None, is_asked: bool
) -> None:
    async with asking(tmp_path, on_uncertain=of_route, uncertain=of_mail) as case:
        await case.at(300)
        assert bool(case.asks.asked) is is_asked


@pytest.mark.parametrize(("kind", "has_trace"), [(Kind.SMTP, True), (Kind.CONNECTOR, False)])
@in_loop
async def test_a_mail_that_asks_where_nobody_can_be_asked_is_kept(
    tmp_path: Path, kind: Kind, has_trace: bool
) -> None:
    """The trace shows nothing of what another server took: it would send everything twice."""
    async with asking(
        tmp_path, on_uncertain=Uncertain.HOLD, uncertain=Uncertain.ASK, kind=kind, has_trace=has_trace
    ) as case:
        await case.at(86_400)
        assert not case.asks.asked and case.states == [Status.UNCERTAIN]
        assert "waits for somebody's word" in await case.why()


@in_loop
async def test_the_route_that_sent_it_says_what_is_done_and_not_the_one_it_was_bound_to_since(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path) as case:
        await give(case.relay, Rebind(by=BY, route="another"), Selection(all=True))
        case.asks.rows = (Traced("b@c.test", "delivered"),)
        await case.at(300)
        assert not case.relay.store.scan()


@in_loop
async def test_a_rule_ends_what_the_trace_leaves_open(tmp_path: Path) -> None:
    async with asking(tmp_path, uncertain_after_s=7200.0, uncertain_then=Then.ARRIVED) as case:
        case.asks.rows = (Traced("somebody@else.test", "delivered"),)
        await case.at(3600)
        assert case.states == [Status.UNCERTAIN] and "somebody@else.test" in await case.why()
        await case.at(7200)
        assert not case.relay.store.scan()


@in_loop
async def test_what_a_person_settled_is_not_asked_about(tmp_path: Path) -> None:
    async with asking(tmp_path, "b@c.test") as case:
        await case.at(0)
        await give(case.relay, Arrived(by=BY), Selection(status="uncertain"))
        await case.at(86_400)
        assert not case.asks.asked


@in_loop
async def test_mail_that_nobody_can_send_waits_without_a_route(tmp_path: Path) -> None:
    """Its route is gone from the configuration."""
    store = MemoryStore(SpoolOptions(tmp_path))
    async with asking(tmp_path, store=store):
        pass
    async with relaying(tmp_path, route_to(NOBODY, "another"), store=store) as relay:
        assert relay.deliverer is not None
        await relay.deliverer.doubts.look()
        [envelope] = relay.store.envelopes()
        assert states(relay, envelope.id) == [Status.UNCERTAIN]
