"""How a reader sees that the history lost its end."""

from pathlib import Path

import pytest

from relay.trace.history import runs
from relay.trace.history.database import open_writer, reading
from relay.trace.history.runs import KEPT, Run
from tests.trace.history.sample import Telling


def known(path: Path) -> list[Run]:
    with reading(path) as connection:
        return runs.read(connection)


def test_each_writer_notes_the_first_step_it_may_write(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mail = telling.queued("a@e.net", "b@e.net")
    telling.write(mail, telling.delivered(mail))
    telling.writer.close()
    telling.write(telling.delivered(mail, "a@e.net"))
    first, second = known(telling.path)
    assert (first.first, second.first) == (1, 3) and first.name != second.name


def test_what_was_removed_lowers_no_number(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db", changes={"keep_s": 60.0})
    mail = telling.queued()
    telling.write(mail, telling.delivered(mail))
    telling.clock.advance(3_600)
    assert telling.writer.purge()
    telling.writer.close()
    telling.write(telling.queued())
    assert [run.first for run in known(telling.path)] == [1, 2]


def test_no_more_are_kept_than_the_bound(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "history.db")
    for _ in range(KEPT + 3):
        runs.begin(connection)
    assert len(runs.read(connection)) == KEPT
    connection.close()


@pytest.mark.parametrize(
    ("cursor", "known", "others", "surely"),
    [
        (1_000, ("a",), [Run("a", 1)], 1_000),
        (1_000, ("a",), [Run("a", 1), Run("b", 1_001)], 1_000),
        (1_000, ("a",), [Run("a", 1), Run("b", 991)], 990),
        # Two starts since: the second one alone would not show it.
        (1_000, ("a",), [Run("a", 1), Run("b", 991), Run("c", 1_006)], 990),
        # A copy was put back that knows less than the reader.
        (1_000, ("a", "b"), [Run("a", 1), Run("c", 400)], 399),
        (1_000, (), [], 1_000),
        (0, (), [Run("a", 1)], 0),
    ],
)
def test_a_reader_goes_back_to_where_a_run_began_that_he_does_not_know(
    cursor: int, known: tuple[str, ...], others: list[Run], surely: int
) -> None:
    assert runs.surely(cursor, known, others) == surely
