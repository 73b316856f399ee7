"""A mail that cannot leave before its deadline: its sender hears so at once, or it is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.receive.late import Late
from relay.route.hours import Hours
from relay.route.route import Credentials, Route
from relay.route.route import Late as Policy
from relay.route.table import RouteTable
from relay.smtp.reply import Reply
from relay.spool import prospect
from relay.spool.prospect import BELIEVED_S, Key, Prospect, Prospects
from tests.fakes.clock import FakeClock

NOW = 1_795_600_800.0
"""2026-11-25 10:00 UTC."""
HOUR = 3600.0
PLAIN = Route("out", ("mx.test",))
KEY = ("out", ("",), int(Priority.NORMAL))


def mail(deadline_s: float, *routes: str, **changes: object) -> Envelope:
    plain = Envelope(
        1, b"a@s.test", tuple(Recipient(b"b@c.test", name) for name in routes or ("out",)), NOW, 100, 1,
        client="127.0.0.1", deadline=NOW + deadline_s,
    )  # fmt: skip
    return structs.replace(plain, **changes)


def late(*routes: Route, at: float = NOW, **leaves_s: float) -> Late:
    """With prospects of routes without logins, by name, in seconds from now."""
    each = tuple(Prospect((name, ("",), int(Priority.NORMAL)), NOW + s) for name, s in leaves_s.items())
    return Late(Path("x"), RouteTable(routes or (PLAIN,)), FakeClock(NOW), lambda _: Prospects(at, each))


def test_who_will_be_late_is_told_when_it_would_leave() -> None:
    said = late(out=4.5 * HOUR).judge(mail(HOUR))
    assert said == "; expected to leave about 2026-11-25 14:30 UTC, after its deadline"


def test_who_will_be_in_time_is_told_nothing() -> None:
    assert late(out=HOUR).judge(mail(2 * HOUR)) == ""
    assert late().judge(mail(1.0)) == ""


def test_a_route_may_refuse_what_cannot_make_it() -> None:
    strict = replace(PLAIN, on_late=Policy.REFUSE)
    reply = late(strict, out=4.5 * HOUR).judge(mail(HOUR))
    assert reply == Reply(
        550,
        "5.4.7",
        "X-Relay-Deadline cannot be kept: mail that comes now would leave about 2026-11-25 14:30 UTC",
    )
    assert late(strict, out=HOUR).judge(mail(2 * HOUR)) == ""


def test_of_several_routes_the_latest_is_told() -> None:
    other = Route("other", ("mx.test",))
    said = late(PLAIN, other, out=2 * HOUR, other=3 * HOUR).judge(mail(HOUR, "out", "other"))
    assert isinstance(said, str) and "13:00" in said


def test_each_priority_and_each_set_of_mailboxes_has_prospects_of_its_own() -> None:
    route = replace(PLAIN, credentials=Credentials("a@s.test", "x"))
    key: Key = ("out", ("a@s.test",), int(Priority.BULK))
    found = Prospects(NOW, (Prospect(key, NOW + 2 * HOUR),))
    asked = Late(Path("x"), RouteTable((route,)), FakeClock(NOW), lambda _: found)
    assert asked.judge(mail(HOUR)) == ""
    assert "12:00" in str(asked.judge(mail(HOUR, priority=Priority.BULK)))


@pytest.mark.parametrize("age_s", [BELIEVED_S + 1, -BELIEVED_S - 1])
def test_what_is_old_or_of_another_clock_is_not_believed(age_s: float) -> None:
    assert late(at=NOW - age_s, out=4 * HOUR).judge(mail(HOUR)) == ""


def test_hours_count_without_anybody_who_foresees() -> None:
    night = Hours(tuple(range(7)), 22 * 60, 6 * 60, "UTC")
    asked = Late(None, RouteTable((replace(PLAIN, hours=(night,)),)), FakeClock(NOW))
    assert "22:00 UTC" in str(asked.judge(mail(HOUR)))
    assert asked.judge(mail(13 * HOUR)) == ""


def test_it_is_read_once_a_second_at_most() -> None:
    reads: list[Path] = []
    clock = FakeClock(NOW)

    def read(path: Path) -> None:
        reads.append(path)

    asked = Late(Path("x"), RouteTable((PLAIN,)), clock, read)
    for _ in range(100):
        asked.judge(mail(HOUR))
    clock.advance(1.0)
    asked.judge(mail(HOUR))
    assert len(reads) == 2


def test_what_was_written_is_read_and_what_is_damaged_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / prospect.FILE
    assert prospect.read(path) is None
    written = Prospects(NOW, (Prospect(KEY, NOW + 1),))
    prospect.write(path, written)
    assert prospect.read(path) == written
    path.write_bytes(path.read_bytes()[:-3])
    assert prospect.read(path) is None
    prospect.write(tmp_path / "absent" / "prospects", written)


def test_what_would_leave_after_the_hours_leaves_when_the_next_ones_begin() -> None:
    office = Hours((0, 1, 2, 3, 4, 5, 6), 9 * 60, 17 * 60, "UTC", campaigns=("May*",))
    asked = late(replace(PLAIN, hours=(office,)), out=7.5 * HOUR)
    # At 17:30 by the limits; mail of the campaign not before 9:00.
    assert "2026-11-25 17:30" in str(asked.judge(mail(HOUR)))
    assert "2026-11-26 09:00" in str(asked.judge(mail(HOUR, campaign="May 2")))
    assert asked.judge(mail(24 * HOUR, campaign="May 2")) == ""
