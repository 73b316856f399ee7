"""So many reports an hour, then one digest; nothing is forgotten, over restarts too."""

from hypothesis import given
from hypothesis import strategies as st

from relay.budget.row import MAX_KEY_BYTES, Row
from relay.deliver.quota import LISTED_MAX, WINDOW_S, WINDOWS_MAX, Quota
from relay.message.digest import Failure

NOW = 1_800_000_000.0
SENDER = b"Shop@example.com"


def failure(number: int = 0, at: float = NOW) -> Failure:
    return Failure(at, f"id{number}", "<m@x>", ("b@c.test",), 1, "550 no")


class Rows:
    """What the spool would hold."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def put(self, rows: list[Row] | None) -> bool:
        """Whether there were any to put."""
        for key, value in rows or ():
            assert len(key) <= MAX_KEY_BYTES
            if value is None:
                del self.rows[key]
            else:
                self.rows[key] = value
        return rows is not None

    def reopened(self, per_hour: int) -> Quota:
        return Quota(per_hour, sorted(self.rows.items()))


def fail(quota: Quota, rows: Rows, number: int, now: float) -> str:
    """As the reporter does it."""
    if rows.put(quota.report(SENDER, now)):
        return "report"
    return "list" if rows.put(quota.enlist(SENDER, failure(number, now))) else "hold"


def test_what_is_beyond_the_quota_is_listed_until_the_hour_is_over() -> None:
    quota, rows = Quota(2), Rows()
    assert [fail(quota, rows, n, NOW + n) for n in range(5)] == ["report", "report", "list", "list", "list"]
    assert quota.ended(NOW + WINDOW_S - 1, 10) == ([], [])
    assert quota.ended(NOW + WINDOW_S, 10) == ([SENDER], [])
    listed, beyond, gone = quota.digest(SENDER, NOW + WINDOW_S)
    rows.put(gone)
    assert [each.name for each in listed] == ["id2", "id3", "id4"] and beyond == 0
    assert fail(quota, rows, 9, NOW + WINDOW_S + 1) == "report", "the digest was the first of the new hour"
    assert fail(quota, rows, 9, NOW + WINDOW_S + 1) == "list"


def test_a_sender_is_one_whatever_case_he_writes_himself_in() -> None:
    quota = Quota(1)
    assert quota.report(b"A@example.com", NOW) is not None
    assert quota.report(b"a@EXAMPLE.com", NOW) is None
    assert quota.report(b"b@example.com", NOW) is not None


def test_a_window_that_owes_nothing_goes_with_its_row() -> None:
    quota, rows = Quota(2), Rows()
    fail(quota, rows, 0, NOW)
    owed, gone = quota.ended(NOW + WINDOW_S, 10)
    rows.put(gone)
    assert owed == [] and rows.rows == {}


def test_failures_beyond_the_list_are_counted() -> None:
    quota, rows = Quota(1), Rows()
    for number in range(LISTED_MAX + 8):
        fail(quota, rows, number, NOW)
    assert len(rows.rows) == LISTED_MAX + 1
    listed, beyond, _ = rows.reopened(1).digest(SENDER, NOW + WINDOW_S)
    assert (len(listed), beyond) == (LISTED_MAX, 7)


def test_a_hundred_thousand_bad_addresses_are_twenty_reports_and_a_digest() -> None:
    quota, rows = Quota(20), Rows()
    told = [fail(quota, rows, number, NOW) for number in range(100_000)]
    assert (told.count("report"), told.count("list")) == (20, 99_980)
    assert len(rows.rows) == 1 + LISTED_MAX
    listed, beyond, gone = quota.digest(SENDER, NOW + WINDOW_S)
    rows.put(gone)
    assert len(listed) + beyond == 99_980 and len(rows.rows) == 1


def test_a_clock_set_back_ends_the_hour() -> None:
    quota, rows = Quota(1), Rows()
    fail(quota, rows, 0, NOW)
    fail(quota, rows, 1, NOW)
    assert quota.ended(NOW - 9 * WINDOW_S, 10)[0] == [SENDER]


def test_a_digest_without_a_way_waits_another_hour() -> None:
    quota, rows = Quota(1), Rows()
    fail(quota, rows, 0, NOW)
    fail(quota, rows, 1, NOW)
    later = NOW + WINDOW_S
    quota.postpone(SENDER, later)
    assert quota.ended(later + 1, 10) == ([], [])
    assert quota.ended(later + WINDOW_S, 10)[0] == [SENDER]
    assert [each.name for each in quota.digest(SENDER, later + WINDOW_S)[0]] == ["id1"]


def test_a_damaged_row_costs_no_more_than_itself() -> None:
    quota, rows = Quota(1), Rows()
    for number in range(3):
        fail(quota, rows, number, NOW)
    window, first, _ = sorted(rows.rows, key=lambda key: (key[1:2] != b"w", key))
    rows.rows[window] = b"\xc1"
    rows.rows[first] = b"\xc1"
    listed, _, _ = rows.reopened(1).digest(SENDER, NOW + WINDOW_S)
    assert [each.name for each in listed] == ["id2"]


def test_senders_beyond_the_bound_are_not_reported_to() -> None:
    quota = Quota(1)
    for number in range(WINDOWS_MAX):
        assert quota.report(b"%d@example.com" % number, NOW) is not None
    assert quota.report(b"one@example.com", NOW) is None
    assert quota.enlist(b"one@example.com", failure()) is None
    assert quota.report(b"0@example.com", NOW + WINDOW_S) is not None, "his window is over"


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(("fail", "tick", "restart")), st.floats(0, 2000)), max_size=80),
)
def test_every_failure_is_told_once_and_no_hour_has_too_many_mails(
    per_hour: int, steps: list[tuple[str, float]]
) -> None:
    quota, rows = Quota(per_hour), Rows()
    now, failed, told = NOW, 0, 0
    mails: list[float] = []
    for step, wait_s in steps:
        now += wait_s
        match step:
            case "fail":
                failed += 1
                if fail(quota, rows, failed, now) == "report":
                    mails.append(now)
                    told += 1
            case "tick":
                owed, gone = quota.ended(now, 100)
                rows.put(gone)
                for sender in owed:
                    listed, beyond, counted = quota.digest(sender, now)
                    rows.put(counted)
                    told += len(listed) + beyond
                    mails.append(now)
            case "restart":
                quota = rows.reopened(per_hour)
    listed, beyond, _ = quota.digest(SENDER, now) if rows.rows else ([], 0, [])
    assert told + len(listed) + beyond == failed
    # A window is fixed, so an hour anywhere has the mails of two at most.
    assert all(sum(at <= other < at + WINDOW_S for other in mails) <= 2 * per_hour for at in mails)
