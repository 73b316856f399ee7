"""Subjects are kept where they are asked for, and leave with the mail or the person."""

from contextlib import closing
from pathlib import Path

from relay.trace.history import database, erasure
from relay.trace.history.options import Kept
from tests.trace.history.sample import Telling

KEPT: dict[str, object] = {"subject": True}


def test_none_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    telling.write(telling.queued(subject="Your diagnosis"))
    assert telling.read()[0].subject == ""
    assert b"diagnosis" not in telling.everything()


def test_it_is_read_back_with_the_mail(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes=KEPT)
    telling.write(telling.queued(subject="Grüße \udcff"), telling.queued())
    assert [mail.subject for mail in telling.read()] == ["", "Grüße ?"]


def test_addresses_in_it_are_kept_as_those_of_recipients(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes=KEPT | {"recipients": Kept.DOMAIN})
    telling.write(telling.queued(subject="Welcome, anna@example.net"))
    assert telling.read()[0].subject == "Welcome, @example.net"


def test_it_goes_with_its_mail_and_is_struck_where_others_have_it_too(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes=KEPT)
    telling.write(telling.queued("anna@example.net", subject="For Anna alone"))
    telling.write(telling.queued("bob@example.net", subject="anna@example.net has left"))
    erasure.erase(telling.path, "anna@example.net", "root", 1.8e9)
    assert [mail.subject for mail in telling.read()] == ["(erased) has left"]
    telling.writer.close()
    assert b"anna" not in telling.everything().lower()


def test_a_file_of_before_is_read_and_gets_the_table_at_the_next_start(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes=KEPT)
    telling.write(telling.queued())
    telling.writer.close()
    with closing(database.connect(telling.path, 1.0)) as connection:
        connection.execute("DROP TABLE subjects")
    assert telling.read()[0].subject == ""
    telling.write(telling.queued(subject="there"))
    assert telling.read()[0].subject == "there"
