"""Deadlines come in order, and mails that have gone take no room."""

from relay.queue.deadlines import TIDY_FROM, Deadlines


def test_those_that_have_come_are_told_once_the_next_one_first() -> None:
    deadlines = Deadlines(lambda id: True)
    for id, at in ((1, 30.0), (2, 10.0), (3, 20.0)):
        deadlines.add(id, at)
    assert list(deadlines.due(9.9, 10)) == []
    assert list(deadlines.due(20.0, 10)) == [2, 3]
    assert list(deadlines.due(99.0, 10)) == [1]
    assert len(deadlines) == 0


def test_at_most_so_many_are_looked_at() -> None:
    deadlines = Deadlines(lambda id: True)
    for id in range(1, 11):
        deadlines.add(id, 1.0)
    assert len(list(deadlines.due(2.0, 4))) == 4
    assert len(deadlines) == 6


def test_a_mail_that_has_left_is_not_told() -> None:
    deadlines = Deadlines(lambda id: id != 1)
    deadlines.add(1, 1.0)
    deadlines.add(2, 1.0)
    assert list(deadlines.due(2.0, 10)) == [2]


def test_a_million_mails_that_went_in_time_do_not_pile_up() -> None:
    waiting = range(990, 1_000)
    deadlines = Deadlines(lambda id: id % 1_000 in waiting and id >= 100_000)
    most = 0
    for id in range(1, 101_000):
        deadlines.add(id, 1e9 + id)
        most = max(most, len(deadlines))
    assert most <= TIDY_FROM
    assert list(deadlines.due(2e9, 10_000)) == list(range(100_990, 101_000))
