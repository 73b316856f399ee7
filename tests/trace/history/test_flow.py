"""The report's numbers, as counted by hand."""

from pathlib import Path

import pytest

from relay.trace import event as events
from relay.trace.history.database import reading
from relay.trace.history.flow import Flow, Span, flow, meaning
from tests.trace.history.sample import BUSY, Telling

START = 1_800_000_000_000
HOUR = 3_600_000


@pytest.fixture
def found(tmp_path: Path) -> Flow:
    """Three hours: two mails, none, three mails; one of another day."""
    telling = Telling(tmp_path / "history.db")
    telling.write(telling.queued(sender="yesterday@contoso.com"))
    telling.clock.advance(86_400)
    a, b = (
        telling.queued("x@e.net", "y@e.net", size=500, campaign="May"),
        telling.queued(sender="crm@contoso.com"),
    )
    telling.write(a, b, telling.delivered(a, "x@e.net"), telling.deferred(a, "y@e.net"), telling.held(b))
    telling.clock.advance(2 * 3600)
    more = [telling.queued(f"z{i}@e.net", campaign="May") for i in range(3)]
    telling.write(*more, telling.delivered(a, "y@e.net", route="backup"))
    telling.write(*(telling.held(mail) for mail in more[:2]))
    with reading(telling.path) as connection:
        return flow(connection, Span(START + 86_400_000, START + 86_400_000 + 2 * HOUR + 1))


def test_the_sums_are_those_of_the_time_alone(found: Flow) -> None:
    assert (found.mails, found.size) == (5, 4_500)
    assert [(count.name, count.mails) for count in found.senders] == [
        ("app@contoso.com", 4),
        ("crm@contoso.com", 1),
    ]
    assert [(count.name, count.mails, count.size) for count in found.campaigns] == [("May", 4, 3_500)]
    assert {count.name: count.mails for count in found.routes} == {"exchange-online": 1, "backup": 1}


def test_every_hour_has_its_line_and_steps_count_when_they_happened(found: Flow) -> None:
    assert [(h.accepted, h.delivered, h.deferred, h.held, h.failed) for h in found.hours] == [
        (2, 1, 1, 1, 0), (0, 0, 0, 0, 0), (3, 1, 0, 2, 0),
    ]  # fmt: skip


def test_recipients_are_counted_as_they_stand(found: Flow) -> None:
    assert {count.name: count.mails for count in found.outcomes} == {"delivered": 2, "held": 3, "waiting": 1}


def test_refusals_that_differ_in_an_address_are_one_with_its_meaning(found: Flow) -> None:
    assert [(each.times, each.recipients) for each in found.refusals] == [(3, 3), (1, 1)]
    first = found.refusals[0]
    assert first.reply.endswith("Recipient … not found by SMTP address lookup")
    assert first.meaning == "There is no such recipient." and first.advice


def test_what_failed_by_its_age_counts_as_failed_and_its_reply_as_a_refusal(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mail = telling.queued()
    telling.write(
        mail,
        events.Failed(mail.id, mail.recipients, "r", "h", "451 4.3.0 never mind", 9, "told", is_expired=True),
    )
    with reading(telling.path) as connection:
        found = flow(connection, Span(START - HOUR, START + HOUR))
    assert sum(hour.failed for hour in found.hours) == 1
    assert [(each.name, each.mails) for each in found.outcomes] == [("failed", 1)]
    assert [each.reply for each in found.refusals] == ["451 4.3.0 never mind"]


def test_a_mail_of_which_only_steps_are_known_has_no_sender_to_count(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    telling.write(telling.delivered(telling.queued()), telling.queued(sender=""))
    with reading(telling.path) as connection:
        found = flow(connection, Span(START - HOUR, START + HOUR))
    assert found.mails == 2 and [(each.name, each.mails) for each in found.senders] == [("<>", 1)]


@pytest.mark.parametrize(
    ("reply", "is_known"),
    [(BUSY, True), ("no reply: lost", False), ("", False), ("999 what", False), ("550", False)],
)
def test_what_is_no_reply_means_nothing(reply: str, is_known: bool) -> None:
    assert (meaning(reply) is not None) is is_known
