"""Steps by their number, in order, with what is known of their mail; and holes."""

from pathlib import Path

import pytest

from relay.trace import event as events
from relay.trace.history import passage
from relay.trace.history.database import reading
from relay.trace.history.erasure import erase
from relay.trace.history.options import Kept
from relay.trace.history.passage import Happened, Passage
from relay.trace.history.state import State
from tests.trace.history.sample import TAKEN, Telling


def anything(_: Happened) -> bool:
    return True


def read(path: Path, after: int = 0, upto: int | None = None, limit: int = 100, scan: int = 5_000) -> Passage:
    with reading(path) as connection:
        last = passage.known(connection).last
        return passage.read(connection, after, last if upto is None else upto, anything, limit, scan)


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    return Telling(tmp_path / "history.db")


def test_a_step_comes_with_its_mail(telling: Telling) -> None:
    mail = telling.queued("anna@e.net", campaign="May", account="crm")
    telling.write(mail)
    telling.clock.advance(2)
    telling.write(telling.delivered(mail))
    [step] = read(telling.path).steps
    assert step.state is State.DELIVERED and (step.mail, step.recipient) == (mail.id, "anna@e.net")
    assert (step.message_id, step.campaign, step.account, step.client) == (
        mail.message_id,
        "May",
        "crm",
        "10.0.0.1",
    )
    assert (step.at_ms, step.accepted_ms) == (1_800_000_002_000, 1_800_000_000_000)
    assert step.reply == TAKEN % mail.message_id.strip("<>")
    assert (step.sender, step.identity, step.attempts) == ("app@contoso.com", "relay@contoso.com", 1)
    assert step.remote == "SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM"


def test_a_look_ends_with_the_last_that_was_wanted(telling: Telling) -> None:
    mail = telling.queued(*(f"r{i}@e.net" for i in range(5)))
    telling.write(mail, telling.delivered(mail))
    first = read(telling.path, limit=2)
    assert [step.number for step in first.steps] == [1, 2] and first.upto == 2
    rest = read(telling.path, first.upto)
    assert [step.number for step in rest.steps] == [3, 4, 5] and (rest.upto, rest.missing) == (5, 0)
    assert read(telling.path, 5) == Passage((), 5, 0)


def test_a_look_is_bounded_where_nothing_is_wanted(telling: Telling) -> None:
    mail = telling.queued(*(f"r{i}@e.net" for i in range(9)))
    telling.write(mail, telling.delivered(mail))
    with reading(telling.path) as connection:
        found = passage.read(connection, 0, 9, lambda step: step.number == 8, 10, scan=4)
        assert found == Passage((), 4, 0)
        assert [
            step.number for step in passage.read(connection, 4, 9, lambda s: s.number == 8, 10, scan=4).steps
        ] == [8]


def test_what_was_purged_is_counted_and_passed_at_once(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"keep_s": 60.0})
    old = telling.queued(*(f"r{i}@e.net" for i in range(20)))
    telling.write(old, telling.delivered(old))
    telling.clock.advance(3_600)
    new = telling.queued()
    telling.write(new, telling.delivered(new))
    assert telling.writer.purge()
    assert read(telling.path, 3, scan=2) == Passage(read(telling.path).steps, 21, 17)
    assert [step.mail for step in read(telling.path).steps] == [new.id]


def test_when_all_was_purged_the_hole_reaches_to_the_last_number(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"keep_s": 60.0})
    old = telling.queued(*(f"r{i}@e.net" for i in range(7)))
    telling.write(old, telling.delivered(old))
    telling.clock.advance(3_600)
    assert telling.writer.purge()
    assert read(telling.path, 2) == Passage((), 7, 5)


def test_one_erased_in_between_is_a_hole_of_his_steps(telling: Telling) -> None:
    mail = telling.queued("a@e.net", "anna@e.net", "b@e.net")
    telling.write(mail, telling.delivered(mail))
    erase(telling.path, "anna@e.net", "me", 1_800_000_000.0)
    found = read(telling.path)
    assert [step.recipient for step in found.steps] == ["a@e.net", "b@e.net"] and found.missing == 1


def test_recipients_are_as_the_history_keeps_them(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"recipients": Kept.DOMAIN})
    mail = telling.queued("anna@e.net")
    refused = (
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient anna@e.net not found by SMTP address lookup"
    )
    telling.write(mail, telling.held(mail, reply=refused))
    [step] = read(telling.path).steps
    assert step.recipient == "@e.net" and "anna" not in step.reply


def test_what_failed_by_its_age_is_expired_and_its_recipient_has_failed(telling: Telling) -> None:
    a, b = telling.queued("a@e.net"), telling.queued("b@e.net")
    words = ("r", "h", "451 4.4.1 later", 9, "told")
    telling.write(
        a,
        b,
        events.Failed(a.id, a.recipients, *words, is_expired=True),
        events.Failed(b.id, b.recipients, *words),
    )
    assert [step.state for step in read(telling.path).steps] == [State.EXPIRED, State.FAILED]
    assert telling.find(outcome=State.FAILED) == [b.id, a.id]


def test_a_time_is_the_number_before_it(telling: Telling) -> None:
    mail = telling.queued("a@e.net", "b@e.net")
    telling.write(mail, telling.delivered(mail))
    telling.clock.advance(60)
    telling.write(telling.delivered(mail, "a@e.net"))
    start = 1_800_000_000_000
    assert passage.before(telling.path, start) == 0
    assert passage.before(telling.path, start + 1) == 2
    assert passage.before(telling.path, start + 60_001) == 3
