"""Senders are told what became of their mail, once, and nobody is told of a report."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
import email
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import cast

import pytest

from relay.deliver import delays
from relay.deliver.report_options import ReportOptions, Unreportable
from relay.errors import SpoolError, SpoolFull
from relay.message.envelope import Recipient
from relay.message.queue_id import DELIVERER_SLOT, slot_of
from relay.route.route import Failed
from relay.spool.change import Change, Report, Status
from relay.spool.commit import Committer
from relay.trace import event as trace
from tests.deliver.relaying import CONTENT, Relaying, relaying, route_to, states
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import PLAIN_EXTENSIONS, Script, Sink, Sunk, closed_port

OPTIONS = ReportOptions("relay.test")
REFUSED = {b"RCPT TO:<b@c.test>": b"550 5.1.1 No such user"}


def parts(report: Sunk) -> list[Message]:
    """Text, the machine's part, what was returned."""
    return cast(list[Message], email.message_from_bytes(report.content).get_payload())


def groups(report: Sunk) -> list[dict[str, str]]:
    """The machine's part, a dictionary for each recipient."""
    found = cast(list[Message], parts(report)[1].get_payload())
    return [{name: str(value) for name, value in group.items()} for group in found[1:]]


def text(report: Sunk) -> str:
    return str(parts(report)[0].get_payload())


@in_loop
async def test_a_sender_is_told_what_was_refused_and_the_mail_goes(tmp_path: Path) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send()
            [report] = await sink.received(1)
            await relay.until_empty()
            assert report.mail.startswith(b"MAIL FROM:<>")
            assert [rcpt.split(b" ")[1] for rcpt in report.rcpts] == [b"TO:<a@sender.test>"]
            [told] = groups(report)
            assert (told["Action"], told["Status"]) == ("failed", "5.1.1")
            assert told["Remote-MTA"] == "dns; 127.0.0.1"
            assert told["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user"
            assert "Correct the address" in text(report)
        [failed], [reported] = relay.told(trace.Failed), relay.told(trace.Reported)
        assert failed.report == f"told in {reported.id}" and reported.about == failed.id
        assert not relay.told(trace.Held)


@in_loop
async def test_a_report_has_an_id_of_the_deliverers_slot_and_is_delivered_like_any_mail(
    tmp_path: Path,
) -> None:
    async with Sink(Script(replies=dict(REFUSED), once={b"RCPT TO:<a@": b"450 4.2.1 later"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=0.1), report=OPTIONS) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.Deferred))
            [entry] = relay.store.envelopes()
            assert slot_of(entry.id) == DELIVERER_SLOT
            await sink.received(1)


@in_loop
async def test_one_report_names_all_that_failed_and_the_others_are_still_tried(tmp_path: Path) -> None:
    replies = {b"RCPT TO:<no": b"550 5.1.1 no", b"RCPT TO:<later": b"450 4.2.1 later"}
    async with Sink(Script(replies=replies)) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            mail = await relay.send("no1@c.test", "yes@c.test", "no2@c.test", "later@c.test")
            _, report = await sink.received(2)
            assert [told["Final-Recipient"] for told in groups(report)] == [
                "rfc822; no1@c.test",
                "rfc822; no2@c.test",
            ]
            await relay.until(lambda: states(relay, mail.id))
            assert states(relay, mail.id) == [
                Status.FAILED,
                Status.DELIVERED,
                Status.FAILED,
                Status.QUEUED,
            ]


@in_loop
async def test_the_last_that_is_delivered_takes_a_mail_with_failed_ones_out(tmp_path: Path) -> None:
    replies, once = {b"RCPT TO:<no": b"550 5.1.1 no"}, {b"RCPT TO:<later": b"450 4.2.1 later"}
    async with Sink(Script(replies=replies, once=once)) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=0.1), report=OPTIONS) as relay:
            await relay.send("no@c.test", "later@c.test")
            await sink.received(2)
            await relay.until_empty()


@pytest.mark.parametrize("notify", [b"NEVER", b"SUCCESS,DELAY"])
@in_loop
async def test_who_does_not_want_to_know_is_not_told(tmp_path: Path, notify: bytes) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send(Recipient(b"b@c.test", "smarthost", notify))
            await relay.until_empty()
            assert relay.told(trace.Failed)[0].report == "nobody wants to know"
        assert not sink.mails


UNANSWERABLE = {
    "null sender": {"sender": b""},
    "an answer": {"content": b"Auto-Submitted: auto-replied\r\n" + CONTENT},
}


@pytest.mark.parametrize("how", UNANSWERABLE.values(), ids=UNANSWERABLE)
@in_loop
async def test_what_may_not_be_answered_is_held(tmp_path: Path, how: dict[str, object]) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            mail = await relay.send(Recipient(b"b@c.test", "smarthost", b"NEVER"), **how)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert not relay.told(trace.Reported)


@in_loop
async def test_what_may_not_be_answered_is_dropped_where_that_is_wanted(tmp_path: Path) -> None:
    options = ReportOptions("relay.test", unreportable=Unreportable.DROP)
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=options) as relay:
            await relay.send(sender=b"")
            await relay.until_empty()
            assert "dropped" in relay.told(trace.Failed)[0].report
        assert not sink.mails


@in_loop
async def test_a_mail_that_a_program_began_is_reported_on(tmp_path: Path) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send(content=b"Auto-Submitted: auto-generated\r\n" + CONTENT)
            await sink.received(1)


@in_loop
async def test_a_report_that_is_refused_is_held_and_not_reported_on(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"RCPT": b"550 5.1.1 nobody here"})) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.Held))
            assert relay.store.count() == 1
            assert relay.told(trace.Reported)[0].id == relay.told(trace.Held)[0].id
            assert len(relay.told(trace.Reported)) == 1


@in_loop
async def test_a_route_may_hold_what_fails(tmp_path: Path) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port, failed=Failed.HOLD), report=OPTIONS) as relay:
            mail = await relay.send()
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])


@pytest.mark.parametrize(
    "reply",
    [b"500 5.3.3 Unrecognized command", b"550 5.7.509 Access denied, does not pass DMARC"],
    ids=["a row that says hold", "refused for all of a domain"],
)
@in_loop
async def test_what_the_administrator_must_look_at_is_held(tmp_path: Path, reply: bytes) -> None:
    async with Sink(Script(replies={b"RCPT TO:<b@": reply})) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            mail = await relay.send()
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])


@in_loop
async def test_a_mail_that_is_too_old_has_failed(tmp_path: Path) -> None:
    async with Sink(Script(once={b".": b"451 4.3.0 Never mind"})) as sink:
        route = route_to(sink.port, expire_s=3600, waiting_ages=True)
        async with relaying(tmp_path, route, report=OPTIONS) as relay:
            await relay.send(age_s=4000)
            [report] = [mail for mail in await sink.received(1) if mail.mail.startswith(b"MAIL FROM:<>")]
            [told] = groups(report)
            assert (told["Action"], told["Status"]) == ("failed", "4.3.0")
            assert "in the time there was" in text(report).replace("\n    ", " ").replace("\r", "")
            assert [event.is_expired for event in relay.told(trace.Failed)] == [True]


@in_loop
async def test_a_report_tells_nothing_of_our_configuration(tmp_path: Path) -> None:
    async with Sink() as sink, closed_port() as port:
        stuck = route_to(port, "stuck", recipients=("c.test",), expire_s=0.1)
        async with relaying(tmp_path, stuck, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send(Recipient(b"b@c.test", "stuck"))
            [report] = await sink.received(1)
            assert "cannot connect" in relay.told(trace.Failed)[0].reply
            [told] = groups(report)
            assert told["Status"] == "4.4.7" and "Diagnostic-Code" not in told and "Remote-MTA" not in told
            assert b"cannot connect" not in report.content and b"127.0.0.1" not in report.content


@in_loop
async def test_who_asks_for_confirmation_is_told_that_there_will_be_none(tmp_path: Path) -> None:
    extensions = tuple(each for each in PLAIN_EXTENSIONS if each != "DSN")
    async with Sink(Script(extensions=extensions)) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send(Recipient(b"b@c.test", "smarthost", b"SUCCESS"), "d@c.test")
            _, report = await sink.received(2)
            assert [(told["Final-Recipient"], told["Action"]) for told in groups(report)] == [
                ("rfc822; b@c.test", "relayed")
            ]


@in_loop
async def test_a_next_hop_that_confirms_is_left_to_it(tmp_path: Path) -> None:
    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS) as relay:
            await relay.send(Recipient(b"b@c.test", "smarthost", b"SUCCESS"))
            await relay.until_empty()
            assert b"NOTIFY=SUCCESS" in sink.mails[0].rcpts[0]
            assert not relay.told(trace.Reported)


@in_loop
async def test_a_sender_no_route_leads_to_has_his_mail_held(tmp_path: Path) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        route = route_to(sink.port, recipients=("c.test",))
        async with relaying(tmp_path, route, report=OPTIONS) as relay:
            mail = await relay.send()
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert relay.told(trace.Unreported)[0].sender == "a@sender.test"


def failing(count: int) -> Callable[[Relaying], None]:
    """Puts mails into the spool that will be refused."""

    def accept(relay: Relaying) -> None:
        for _ in range(count):
            relay.accept()

    return accept


@in_loop
async def test_many_failures_are_some_reports_and_one_digest_an_hour(tmp_path: Path) -> None:
    clock = FakeClock()
    options = ReportOptions("relay.test", per_sender_per_hour=2)
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(
            tmp_path,
            route_to(sink.port),
            report=options,
            clock=clock,
            before=failing(7),
        ) as relay:
            await relay.until(lambda: len(relay.told(trace.Failed)) == 7)
            await relay.until_empty()
            assert len(sink.mails) == 2, "five of the seven are listed"
            clock.advance(3600)
            digest = (await sink.received(3))[2]
            assert b"5 more of your mails could not be delivered" in digest.content
            assert digest.content.count(b"to <b@c.test>") == 5
            await relay.until_empty()
            clock.advance(3600)
            await relay.until(lambda: not relay.store.budget_rows().rows)
            assert len(sink.mails) == 3


@in_loop
async def test_what_a_digest_owes_survives_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    options = ReportOptions("relay.test", per_sender_per_hour=1)
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(
            tmp_path,
            route_to(sink.port),
            report=options,
            clock=clock,
            before=failing(3),
        ) as relay:
            await relay.until(lambda: len(relay.told(trace.Failed)) == 3)
            await relay.until_empty()
        async with relaying(
            tmp_path, route_to(sink.port), report=options, clock=clock, store=relay.store,
            before=failing(1),
        ) as again:  # fmt: skip
            await again.until(lambda: len(again.told(trace.Failed)) == 1)
            assert len(sink.mails) == 1, "the hour goes on"
            clock.advance(3600)
            digest = (await sink.received(2))[1]
            assert b"3 more of your mails" in digest.content


class Refusing:
    """A committer whose first reports fail."""

    def __init__(self, committer: Committer, failures: int) -> None:
        self._committer = committer
        self.left = failures

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        if isinstance(change, Report) and self.left:
            self.left -= 1
            asyncio.get_running_loop().call_soon(done, SpoolFull("the disk is full"))
        else:
            self._committer.submit(change, done)


@in_loop
async def test_a_report_that_cannot_be_kept_is_kept_later_and_once(tmp_path: Path) -> None:
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(
            tmp_path,
            route_to(sink.port),
            report=OPTIONS,
            committing=lambda committer: Refusing(committer, 3),
            settle_retry_s=0.02,
        ) as relay:
            await relay.send()
            await sink.received(1)
            await relay.until_empty()
        assert len(sink.mails) == len(relay.told(trace.Reported)) == 1
        assert sum(line.startswith(b"RCPT TO:<b@") for line in sink.commands) == 1, (
            "not tried again meanwhile"
        )


@in_loop
async def test_a_digest_that_cannot_be_kept_is_kept_later(tmp_path: Path) -> None:
    clock = FakeClock()
    options = ReportOptions("relay.test", per_sender_per_hour=1)
    made: list[Refusing] = []

    def committing(committer: Committer) -> Refusing:
        made.append(Refusing(committer, 0))
        return made[0]

    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(
            tmp_path, route_to(sink.port), report=options, clock=clock, before=failing(3), committing=committing,
            settle_retry_s=0.02,
        ) as relay:  # fmt: skip
            await relay.until(lambda: len(relay.told(trace.Failed)) == 3)
            await relay.until_empty()
            made[0].left = 2
            clock.advance(3600)
            digest = (await sink.received(2))[1]
            assert b"2 more of your mails" in digest.content
            await relay.until_empty()
            assert len(sink.mails) == 2


@in_loop
async def test_the_deliverer_looks_for_mail_that_waits_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delays, "INTERVAL_S", 0.01)
    clock = FakeClock()
    later = {b"RCPT TO:<b@c.test>": b"450 4.2.1 later"}
    async with Sink(Script(replies=later)) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=OPTIONS, clock=clock) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.Deferred))
            clock.advance(4 * 3600 + 1)
            [notice] = await sink.received(1)
            [told] = groups(notice)
            assert (told["Action"], told["Status"]) == ("delayed", "4.2.1")
            await relay.until(lambda: len(relay.told(trace.Deferred)) == 2)
            assert len(sink.mails) == 1


@in_loop
async def test_one_senders_failures_leave_anothers_reports_alone(tmp_path: Path) -> None:
    options = ReportOptions("relay.test", per_sender_per_hour=1)
    async with Sink(Script(replies=dict(REFUSED))) as sink:
        async with relaying(tmp_path, route_to(sink.port), report=options, before=failing(5)) as relay:
            await relay.send(sender=b"other@sender.test")
            await relay.until(lambda: any(b"other@" in mail.rcpts[0] for mail in sink.mails))
