"""What is told is in the file: mails, recipients, steps; and what is damaged, gone or too old is not in the way."""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.cli import trace_words
from relay.message.queue_id import parse_id
from relay.trace import event as events
from relay.trace.history import database, writer
from relay.trace.history.database import reading
from relay.trace.history.options import HistoryError
from relay.trace.history.state import State
from tests.trace.history.sample import BUSY, Telling

DAY = 86_400


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    return Telling(tmp_path / "history.db")


def test_a_mail_is_there_with_all_that_happened_in_order(telling: Telling) -> None:
    mail = telling.queued("B@Example.Net", "c@example.net", campaign="May", account="erp", priority="bulk")
    telling.write(mail)
    telling.clock.advance(2)
    telling.write(telling.deferred(mail))
    telling.clock.advance(60)
    telling.write(telling.delivered(mail, "b@example.net"), telling.held(mail, "c@example.net"))
    [found] = telling.read()
    assert (found.id, found.message_id, found.sender) == (mail.id, mail.message_id, "app@contoso.com")
    assert (found.client, found.account, found.campaign) == ("10.0.0.1", "erp", "May")
    assert (found.priority, found.size, found.accepted_at) == ("bulk", 1_000, 1_800_000_000.0)
    stands = {each.address: (each.outcome, each.at) for each in found.recipients}
    assert stands == {
        "b@example.net": ("delivered", 1_800_000_062.0),
        "c@example.net": ("held", 1_800_000_062.0),
    }
    assert [(step.event, step.recipient) for step in found.steps] == [
        ("deferred", "b@example.net"), ("deferred", "c@example.net"), ("delivered", "b@example.net"),
        ("held", "c@example.net"),
    ]  # fmt: skip
    first, third = found.steps[0], found.steps[2]
    assert (first.reply, first.next_attempt, first.attempts) == (BUSY, 1_800_000_062.0, 1)
    assert (third.route, third.host, third.identity) == (
        "exchange-online",
        "smtp.office365.com",
        "relay@contoso.com",
    )
    assert (third.session, third.internal_id) == ("0123456789ABCDEF", "7619272024915")
    assert third.reply.endswith("[Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]")


def test_what_happened_to_a_mail_as_a_whole_names_nobody(telling: Telling) -> None:
    mail = telling.queued()
    telling.write(
        mail,
        events.Uncertain(mail.id, "r", "h", "connection lost"),
        events.Spilled(mail.id, "r", "s", "full"),
    )
    [found] = telling.read()
    assert [(s.event, s.recipient, s.reply, s.next_route) for s in found.steps] == [
        ("uncertain", None, "connection lost", ""),
        ("spilled", None, "full", "s"),
    ]
    assert [each.outcome for each in found.recipients] == ["waiting"]


def test_what_failed_and_who_was_told_so_is_there(telling: Telling) -> None:
    mail, report = (
        telling.queued("x@e.net", "y@e.net"),
        telling.queued("app@contoso.com", sender="", client=""),
    )
    telling.write(
        mail,
        events.Failed(
            mail.id, ("x@e.net",), "r", "h", "550 5.1.1 no", 1, "told app@contoso.com", "relay@contoso.com"
        ),
        events.Reported(report.id, mail.id, "app@contoso.com", "failed", 1, "r"),
        events.Reported(report.id, "", "app@contoso.com", "digest", 9, "r"),
        report,
    )
    [_, found] = telling.read()
    assert {each.address: each.outcome for each in found.recipients} == {
        "x@e.net": "failed",
        "y@e.net": "waiting",
    }
    assert [(step.event, step.recipient) for step in found.steps] == [
        ("failed", "x@e.net"),
        ("reported", None),
    ]
    assert found.steps[0].identity == "relay@contoso.com"
    assert found.steps[1].reply == f"failed, by the mail {report.id} to app@contoso.com"
    assert telling.find(outcome=State.FAILED) == [mail.id]
    assert telling.rows("steps") == 2, "a digest is about no mail alone"


@pytest.mark.parametrize(
    ("do", "stands"),
    [
        ("hold", "held"),
        ("release", "waiting"),
        ("retry", "waiting"),
        ("cancel", "cancelled"),
        ("rebind", "deferred"),
        ("not arrived", "waiting"),
    ],
)
def test_an_order_is_a_step_and_what_was_delivered_stays_so(telling: Telling, do: str, stands: str) -> None:
    mail = telling.queued("x@e.net", "y@e.net")
    telling.write(mail, telling.delivered(mail, "x@e.net"), telling.deferred(mail, "y@e.net"))
    telling.write(events.Steered(mail.id, do, mail.recipients, "anna (uid 1000)", "asked for it", 1))
    [found] = telling.read()
    assert {each.address: each.outcome for each in found.recipients} == {
        "x@e.net": "delivered",
        "y@e.net": stands,
    }
    assert [(s.event, s.recipient, s.reply) for s in found.steps[2:]] == [
        ("steered", "x@e.net", f"{do}, by anna (uid 1000): asked for it"),
        ("steered", "y@e.net", f"{do}, by anna (uid 1000): asked for it"),
    ]
    assert telling.find(outcome=State.CANCELLED) == ([mail.id] if do == "cancel" else [])


def test_what_was_held_for_its_lost_reply_stands_where_it_was_settled(telling: Telling) -> None:
    mail = telling.queued("x@e.net", "y@e.net", "z@e.net")
    telling.write(mail, events.Uncertain(mail.id, "r", "h", "lost", "hold"))
    for each, do in (("x@e.net", "arrived"), ("y@e.net", "given up"), ("z@e.net", "not arrived")):
        telling.write(telling.held(mail, each), events.Steered(mail.id, do, (each,), "anna"))
    telling.write(
        events.Delivered(mail.id, ("x@e.net",), "r", "", "settled as arrived by anna", 1, 9.0),
        events.Failed(
            mail.id, ("y@e.net",), "r", "", "settled as given up by anna", 1, "nobody wants to know"
        ),
    )
    [found] = telling.read()
    assert {each.address: each.outcome for each in found.recipients} == {
        "x@e.net": "delivered",
        "y@e.net": "failed",
        "z@e.net": "waiting",
    }
    told = [line for _, line, _ in trace_words.steps(found)]
    assert "settled for x@e.net (r): it has arrived" in told
    assert "failed for y@e.net (r): it is given up" in told


def test_a_mail_that_was_told_twice_or_late_is_there_once(telling: Telling) -> None:
    mail = telling.queued()
    telling.write(telling.delivered(mail))
    [stub] = telling.read()
    assert (stub.priority, stub.sender, stub.message_id) == (None, "", "")
    assert stub.accepted_at == pytest.approx(telling.clock.now(), abs=0.002)
    telling.write(mail)
    telling.write(mail)
    [found] = telling.read()
    assert (found.priority, found.message_id) == ("normal", mail.message_id)
    assert [(each.outcome) for each in found.recipients] == ["delivered"]
    assert len(found.steps) == 1


def test_any_number_of_rows_makes_a_batch(telling: Telling) -> None:
    for count in (1, 127, 256, 257, 700):
        mails = [telling.queued(f"r{count}-{i}@example.net") for i in range(count)]
        telling.write(*mails, *map(telling.delivered, mails))
    assert telling.rows("mails") == telling.rows("steps") == telling.rows("recipients") == 1_341


def test_bytes_that_are_no_text_are_kept_as_far_as_they_are(telling: Telling) -> None:
    mail = telling.queued(message_id="\\xff<a@b>\x1b[31m", campaign="\udcff")
    telling.write(mail, telling.held(mail, reply="550 \udcc3 no\x1b[2J"))
    [found] = telling.read()
    assert found.steps[0].reply == "550 ? no?[2J"


def test_nobody_else_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        telling = Telling(tmp_path / "folder" / "history.db")
        telling.write(telling.queued())
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in telling.path.parent.iterdir()}
    assert modes == {"history.db": 0o600, "history.db-wal": 0o600, "history.db-shm": 0o600}
    assert stat.S_IMODE(telling.path.parent.stat().st_mode) == 0o700


def test_a_link_that_lies_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "history.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Telling(tmp_path / "history.db").writer.open()
    assert not (tmp_path / "elsewhere").exists()


def test_a_sqlite_that_is_too_old_is_named(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SQLITE_LEAST", (99, 0, 0))
    with pytest.raises(HistoryError, match=r"needs SQLite 99\.0\.0 or newer"):
        telling.writer.open()


def test_readers_see_what_is_there_while_it_is_written(telling: Telling) -> None:
    telling.write(telling.queued())
    with reading(telling.path) as connection:
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM mails").fetchone() == (1,)
        telling.write(telling.queued())
        assert connection.execute("SELECT count(*) FROM mails").fetchone() == (1,)
    assert telling.rows("mails") == 2


def test_a_reader_cannot_write(telling: Telling) -> None:
    telling.write(telling.queued())
    with pytest.raises(HistoryError, match="readonly"), reading(telling.path) as connection:
        connection.execute("DELETE FROM mails")
    assert telling.rows("mails") == 1


# Trouble.


def _no_database(path: Path) -> None:
    path.write_bytes(b"this is no database " * 500)


def _of_somebody_else(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 1")
        other.execute("CREATE TABLE theirs (x)")
    other.close()


def _torn(path: Path) -> None:
    telling = Telling(path)
    telling.write(*(telling.queued() for _ in range(500)))
    telling.writer.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_no_database, _of_somebody_else, _torn])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(
    telling: Telling, damage: Callable[[Path], None]
) -> None:
    damage(telling.path)
    size = telling.path.stat().st_size
    telling.write(telling.queued())
    assert telling.rows("mails") == 1
    [event] = telling.of(events.HistoryMovedAside)
    assert isinstance(event, events.HistoryMovedAside)
    assert event.aside == f"{telling.path}.damaged-20270115T080000Z"
    assert Path(event.aside).stat().st_size >= size


def test_a_second_damage_in_one_second_keeps_the_first(telling: Telling) -> None:
    for _ in range(2):
        _no_database(telling.path)
        telling.write(telling.queued())
        telling.writer.close()
    aside = sorted(each.name for each in telling.path.parent.glob("*.damaged-*[0-9Z]"))
    assert aside == ["history.db.damaged-20270115T080000Z", "history.db.damaged-20270115T080000Z-2"]


def test_damage_that_shows_while_it_is_written_costs_no_event(telling: Telling) -> None:
    telling.write(*(telling.queued() for _ in range(2_000)))
    telling.writer.close()
    telling.writer.open()
    size = telling.path.stat().st_size
    with open(telling.path, "r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (size - 8192))
    mail = telling.queued()
    for _ in range(3):
        try:
            telling.write(mail)
            break
        except database.Error as error:
            assert database.is_damage(error)
    assert telling.find() == [mail.id]
    assert len(telling.of(events.HistoryMovedAside)) == 1


def test_a_file_that_was_taken_away_is_begun_anew(telling: Telling) -> None:
    telling.write(telling.queued())
    for each in telling.path.parent.iterdir():
        each.unlink()
    telling.writer.look()
    mail = telling.queued()
    telling.write(mail)
    assert telling.find() == [mail.id]
    [event] = telling.of(events.HistoryMovedAside)
    assert isinstance(event, events.HistoryMovedAside) and event.aside == ""


def test_a_file_of_a_later_program_is_left_alone(telling: Telling) -> None:
    telling.writer.open()
    telling.writer.close()
    with sqlite3.connect(telling.path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(HistoryError, match="format 99"):
        telling.write(telling.queued())
    assert [each.name for each in telling.path.parent.glob("*damaged*")] == []


def test_a_batch_that_cannot_be_written_leaves_nothing_and_goes_through_later(telling: Telling) -> None:
    telling.write(telling.queued())
    full = telling.queued("new@example.net", sender="new@contoso.com")
    connection = telling.writer._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    happened = [telling.queued(f"r{i}@example.net", campaign="c" * 500) for i in range(500)]
    with pytest.raises(database.Error, match="full") as caught:
        telling.write(full, *happened)
    assert database.is_passing(caught.value)
    assert telling.rows("mails") == 1
    connection.execute("PRAGMA max_page_count = 1000000")
    telling.write(full, *happened, telling.delivered(full))
    assert telling.rows("mails") == 502
    assert telling.find(recipient="new@example.net") == [full.id]


def test_texts_have_an_end(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "TEXTS_MAX", 3)
    mails = [telling.queued() for _ in range(10)]
    for i, mail in enumerate(mails):
        telling.write(mail, telling.held(mail, reply=f"550 no {'x' * (i + 1)}"))
    assert telling.rows("texts") == 4
    assert [each.steps[0].reply for each in reversed(telling.read())] == [
        f"550 no {'x' * (i + 1)}" for i in range(10)
    ]


# Age and size.


def test_what_is_too_old_goes_in_slices_with_its_people(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"keep_s": 30.0 * DAY})
    old = [telling.queued(f"old{i}@example.net", "stays@example.net") for i in range(1_200)]
    telling.write(*old, *map(telling.delivered, old))
    telling.clock.advance(20 * DAY)
    young = telling.queued("stays@example.net", "young@example.net")
    telling.write(young, telling.delivered(young))
    assert not telling.writer.purge()
    telling.clock.advance(10 * DAY + 1)
    slices = 0
    while telling.writer.purge():
        slices += 1
    assert slices == 5
    assert telling.find() == [young.id]
    assert (telling.rows("steps"), telling.rows("recipients")) == (2, 2)
    with reading(telling.path) as connection:
        people = {row[0] for row in connection.execute("SELECT address FROM people")}
    assert people == {"stays@example.net", "young@example.net", "app@contoso.com"}


def test_what_is_too_much_goes_the_oldest_first_and_the_file_shrinks(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"max_size_bytes": 1_000_000})
    mails = []
    for _ in range(4):
        telling.clock.advance(60)
        batch = [
            telling.queued(f"r{parse_id(m.id)}@example.net") for m in [telling.queued() for _ in range(1_500)]
        ]
        telling.write(*batch, *map(telling.delivered, batch))
        mails += batch
    connection = telling.writer._connection
    assert connection is not None and database.used_bytes(connection) > 2_000_000
    for _ in range(200):
        if not telling.writer.purge() and telling.path.stat().st_size <= 1_000_000:
            break
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert telling.path.stat().st_size <= 1_000_000
    left = telling.find(limit=10_000)
    assert 200 < len(left) < 4_000
    assert left == [mail.id for mail in reversed(mails)][: len(left)], "the newest are left, and no gap"


def test_size_and_rows_are_told(telling: Telling) -> None:
    mails = [telling.queued() for _ in range(10)]
    telling.write(*mails, *map(telling.delivered, mails))
    telling.writer.look()
    [event] = telling.of(events.HistorySize)
    assert isinstance(event, events.HistorySize)
    assert event.rows == 10 and 50_000 < event.size < 1_000_000


def test_a_mail_that_is_not_to_leave_yet_says_so_as_its_first_step(telling: Telling) -> None:
    came = telling.clock.now()
    telling.write(telling.queued(not_before=came + 3_600), telling.queued(not_before=came - 1))
    waits, goes = telling.read()
    [step] = waits.steps if waits.steps else goes.steps
    assert (step.event, step.recipient, step.next_attempt) == ("postponed", None, came + 3_600)
    assert [] in (waits.steps, goes.steps)
