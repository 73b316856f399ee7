"""One person leaves the history: rows, replies, and the bytes in the file."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from relay.trace import event as events
from relay.trace.history import database, erasure
from relay.trace.history.options import HistoryError, Kept
from tests.trace.history.sample import NOT_FOUND, Telling

ANNA = "anna@example.net"


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    return Telling(tmp_path / "history.db")


def test_steps_go_and_so_do_mails_that_have_nobody_left(telling: Telling) -> None:
    alone, shared, other = telling.queued(ANNA), telling.queued(ANNA, "bob@example.net"), telling.queued()
    telling.write(alone, shared, other, *map(telling.delivered, (alone, shared, other)))
    assert erasure.count(telling.path, "Anna@Example.net") == erasure.Erased(2, 2)
    assert erasure.erase(telling.path, "Anna@Example.net", "root", 1.8e9) == erasure.Erased(2, 2)
    assert telling.find() == [other.id, shared.id]
    [left] = telling.read(recipient="bob@example.net")
    assert [each.address for each in left.recipients] == ["bob@example.net"]
    assert [step.recipient for step in left.steps] == ["bob@example.net"]
    assert erasure.count(telling.path, ANNA) == erasure.Erased(0, 0)


def test_mail_from_the_person_goes_whole(telling: Telling) -> None:
    sent, other = telling.queued("bob@example.net", sender=ANNA), telling.queued()
    telling.write(sent, other, *map(telling.delivered, (sent, other)))
    erased = erasure.erase(telling.path, ANNA, "root", 1.8e9)
    assert erased == erasure.Erased(1, 1)
    assert telling.find() == [other.id]


def test_no_byte_of_the_address_is_left(telling: Telling) -> None:
    mails = [telling.queued(ANNA, f"r{i}@example.net") for i in range(300)]
    telling.write(*mails)
    for mail in mails:
        # The whole mail was refused because of one of its recipients.
        telling.write(telling.held(mail, reply=NOT_FOUND % ANNA.title()))
    assert b"anna" in telling.everything().lower()
    erasure.erase(telling.path, ANNA, "root", 1.8e9)
    telling.writer.close()
    assert b"anna" not in telling.everything().lower()
    [reply] = {step.reply for mail in telling.read(limit=500) for step in mail.steps}
    assert reply == NOT_FOUND % "(erased)"


@pytest.mark.parametrize("kept", [Kept.FULL, Kept.HASHED])
def test_a_reply_to_somebody_else_names_the_person_no_longer(tmp_path: Path, kept: Kept) -> None:
    telling = Telling(tmp_path / "history.db", changes={"recipients": kept})
    mail = telling.queued("info@example.net")
    telling.write(mail, telling.held(mail, reply="550 5.2.2 info is Anna@Example.net, and full"))
    erased = erasure.erase(telling.path, ANNA, "root", 1.8e9)
    assert (erased.mails, erased.mentions) == (0, 1)
    assert [step.reply for step in telling.read()[0].steps] == ["550 5.2.2 info is (erased), and full"]
    assert erasure.erase(telling.path, ANNA, "root", 1.8e9).mentions == 0


@pytest.mark.parametrize(
    "other", ["joanna@example.net", "x.anna@example.net", "anna@example.net.au", "anna@example.netz"]
)
def test_who_has_a_longer_name_is_left_alone(telling: Telling, other: str) -> None:
    mail = telling.queued(ANNA, "bob@example.net")
    telling.write(mail, telling.held(mail, "bob@example.net", reply=f"550 5.1.1 {other} is not {ANNA}."))
    erasure.erase(telling.path, ANNA, "root", 1.8e9)
    assert [step.reply for step in telling.read()[0].steps] == [f"550 5.1.1 {other} is not (erased)."]


def test_an_address_beyond_ascii_is_found_in_any_case(telling: Telling) -> None:
    mail = telling.queued("info@example.net")
    telling.write(mail, telling.held(mail, reply="550 5.1.1 to JÖRG@Example.net"))
    assert erasure.erase(telling.path, "jörg@example.net", "root", 1.8e9).mentions == 1
    assert "JÖRG" not in telling.everything().decode("utf-8", "replace")


def test_texts_that_are_shared_lose_it_too(telling: Telling) -> None:
    """As versions before this one wrote them: they took an address behind an open bracket for words."""
    one, other = telling.queued("info@example.net"), telling.queued("info@example.net")
    telling.write(one, other)
    telling.write(telling.held(one, reply="550 ANNA here"), telling.held(other, reply="550 (erased here"))
    with closing(database.open_writer(telling.path)) as connection:
        connection.execute(
            "UPDATE texts SET text = '550 <Anna@example.net here' WHERE text = '550 ANNA here'"
        )
        connection.execute("UPDATE texts SET text = '550 <(erased) here' WHERE text = '550 (erased here'")
    assert erasure.erase(telling.path, ANNA, "root", 1.8e9).mentions == 1
    assert b"anna@" not in telling.everything().lower()
    replies = {step.reply for mail in telling.read() for step in mail.steps}
    assert "550 <(erased) here" in replies and len(replies) == 2


def test_who_reads_on_keeps_it_from_being_whole_and_that_is_said(telling: Telling) -> None:
    telling.write(telling.queued(ANNA))
    with database.reading(telling.path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM mails").fetchall()
        assert not erasure.erase(telling.path, ANNA, "root", 1.8e9, emptied_within_s=0.05).is_whole
        assert b"anna" in telling.everything()
    assert erasure.erase(telling.path, ANNA, "root", 1.8e9).is_whole
    assert b"anna" not in telling.everything()


def test_a_hash_is_erased_by_its_address(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"recipients": Kept.HASHED})
    mail = telling.queued(ANNA)
    telling.write(mail, telling.delivered(mail))
    assert erasure.erase(telling.path, ANNA, "root", 1.8e9) == erasure.Erased(1, 1)
    assert telling.rows("people") == 0 and telling.rows("steps") == 0


def test_the_relay_tells_it_once_and_without_the_address(telling: Telling) -> None:
    telling.write(telling.queued(ANNA))
    erasure.erase(telling.path, ANNA, "root (sudo, eve)", 1.8e9)
    telling.writer.look()
    telling.writer.look()
    [event] = telling.of(events.HistoryErased)
    assert isinstance(event, events.HistoryErased)
    assert (event.by, event.mails, event.steps) == ("root (sudo, eve)", 1, 0)
    assert event.person.startswith("#") and "anna" not in event.person and "@" not in event.person


def test_what_comes_later_is_kept_again(telling: Telling) -> None:
    first = telling.queued(ANNA)
    telling.write(first)
    erasure.erase(telling.path, ANNA, "root", 1.8e9)
    telling.write(telling.delivered(first))
    assert telling.find(recipient=ANNA) == [first.id]


def test_it_does_not_stop_a_relay_that_writes(telling: Telling) -> None:
    telling.write(*(telling.queued(ANNA, f"r{i}@example.net") for i in range(1_000)))
    done = threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        while not done.is_set():
            try:
                mail = telling.queued("carol@example.net")
                telling.write(mail, telling.delivered(mail))
            except Exception as error:
                failures.append(error)
                return

    writing = threading.Thread(target=write)
    writing.start()
    try:
        erased = erasure.erase(telling.path, ANNA, "root", 1.8e9)
    finally:
        done.set()
        writing.join(20)
    assert failures == [] and erased.mails == 1_000
    carols = telling.find(limit=10_000, recipient="carol@example.net")
    assert carols and len(carols) == telling.rows("steps")


def test_where_there_is_no_history_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="not there yet"):
        erasure.erase(tmp_path / "history.db", ANNA, "root", 1.8e9)
    assert not (tmp_path / "history.db").exists()
