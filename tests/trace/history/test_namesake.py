"""Whether a Message-ID was used twice in these days."""

from pathlib import Path

import pytest

from relay.message.queue_id import parse_id
from relay.trace.history.namesake import has_namesake
from relay.trace.history.options import HistoryError
from tests.trace.history.sample import Telling

DAY_S = 86_400.0


def test_another_mail_with_the_same_message_id_is_a_namesake_for_two_days(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    first = telling.queued(message_id="<same@app>")
    telling.write(first)
    assert not has_namesake(telling.path, parse_id(first.id), b"<same@app>")
    telling.clock.advance(DAY_S)
    second = telling.queued(message_id="<same@app>")
    telling.write(second, telling.queued(message_id="<other@app>"))
    for each in (first, second):
        assert has_namesake(telling.path, parse_id(each.id), b"<same@app>")
        assert not has_namesake(telling.path, parse_id(each.id), b"<other2@app>")
    telling.clock.advance(3 * DAY_S)
    late = telling.queued(message_id="<same@app>")
    telling.write(late)
    assert not has_namesake(telling.path, parse_id(late.id), b"<same@app>")


def test_it_does_not_matter_whether_brackets_are_written(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    one, two = telling.queued(message_id="<same@app>"), telling.queued(message_id="same@app")
    telling.write(one, two)
    assert has_namesake(telling.path, parse_id(one.id), b" <same@app>")


def test_a_history_that_is_not_there_gives_no_answer(tmp_path: Path) -> None:
    with pytest.raises(HistoryError):
        has_namesake(tmp_path / "history.db", 1 << 60, b"<same@app>")
