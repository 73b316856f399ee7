"""When a next hop could not be reached is known over restarts, and bounded."""

from collections.abc import Callable

from relay.deliver.outages import KEPT_MAX, KEPT_S, Outages
from relay.deliver.reach import Reach
from relay.errors import SpoolError, SpoolFull
from relay.queue.lane import Lane, LaneKey
from relay.route.route import Credentials, Route
from relay.spool.change import Budget, Change
from relay.trace import event as trace
from tests.fakes.clock import FakeClock
from tests.fakes.timers import Timers

ANN, BOB = Credentials("Ann@c.test", "x"), Credentials("bob@c.test", "x")
ROUTE = Route("r", ("h.test",), mailboxes=(ANN, BOB))


class Disk:
    """Rows as the spool keeps them."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.error: SpoolError | None = None
        self.events: list[trace.Event] = []
        self.clock = FakeClock()
        self.timers = Timers(self.clock)

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        assert isinstance(change, Budget)
        if self.error is None:
            for key, value in change.rows:
                if value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = value
        done(self.error)

    def outages(self) -> Outages:
        """As they are after a start."""
        outages = Outages(self.submit, self.events.append, self.clock, self.timers, 1.0)
        outages.restore(self.rows.items())
        return outages


def lane(*logins: Credentials, stopped: str = "") -> Lane:
    return Lane(LaneKey("r", tuple(login.username for login in logins), stopped), ROUTE, logins)


def test_only_the_time_of_an_outage_is_lost_and_after_a_restart_too() -> None:
    disk = Disk()
    outages, begin = disk.outages(), disk.clock.now()
    disk.clock.advance(100)
    outages.note(Reach(ROUTE, ANN), is_out=True)
    disk.clock.advance(50)
    assert outages.lost_s(lane(ANN), begin, disk.clock.now()) == 50
    assert outages.is_out(lane(ANN))
    outages.note(Reach(ROUTE, ANN), is_out=False)
    disk.clock.advance(1_000)
    for each in (outages, disk.outages()):
        assert not each.is_out(lane(ANN))
        assert each.lost_s(lane(ANN), begin, disk.clock.now()) == 50
        assert each.lost_s(lane(ANN), begin + 120, begin + 130) == 10
        assert each.lost_s(lane(ANN), begin + 140, begin + 990) == 10
        assert each.lost_s(lane(BOB), begin, disk.clock.now()) == 0


def test_mail_that_another_mailbox_may_send_loses_only_what_both_lost() -> None:
    disk = Disk()
    outages, begin = disk.outages(), disk.clock.now()
    outages.note(Reach(ROUTE, ANN), is_out=True)
    disk.clock.advance(60)
    outages.note(Reach(ROUTE, BOB), is_out=True)
    assert outages.is_out(lane(ANN, BOB))
    disk.clock.advance(30)
    outages.note(Reach(ROUTE, ANN), is_out=False)
    disk.clock.advance(10)
    assert not outages.is_out(lane(ANN, BOB))
    assert outages.lost_s(lane(ANN, BOB), begin, disk.clock.now()) == 30
    assert outages.lost_s(lane(ANN), begin, disk.clock.now()) == 90


def test_what_lasts_when_the_process_ends_is_over_when_the_next_one_starts() -> None:
    disk = Disk()
    outages, begin = disk.outages(), disk.clock.now()
    outages.note(Reach(ROUTE, ANN), is_out=True)
    disk.clock.advance(3_600)
    again = disk.outages()
    disk.clock.advance(600)
    assert not again.is_out(lane(ANN))
    assert again.lost_s(lane(ANN), begin, disk.clock.now()) == 3_600
    assert disk.outages().lost_s(lane(ANN), begin, disk.clock.now()) == 3_600


def test_a_sender_without_a_mailbox_loses_all_and_one_who_is_stopped_nothing() -> None:
    outages = Disk().outages()
    assert outages.lost_s(lane(), 10.0, 30.0) == 20.0
    assert outages.is_out(lane())
    assert outages.lost_s(lane(stopped="a@b"), 10.0, 30.0) == 0.0
    assert not outages.is_out(lane(stopped="a@b"))


def test_nothing_is_written_while_nothing_changes() -> None:
    disk = Disk()
    outages = disk.outages()
    for _ in range(3):
        outages.note(Reach(ROUTE, ANN), is_out=False)
    assert disk.rows == {}
    outages.note(Reach(ROUTE, ANN), is_out=True)
    [before] = disk.rows.values()
    disk.clock.advance(10)
    outages.note(Reach(ROUTE, ANN), is_out=True)
    assert [before] == list(disk.rows.values())


def test_a_row_the_disk_did_not_take_is_written_again() -> None:
    disk = Disk()
    outages = disk.outages()
    disk.error = SpoolFull("full")
    outages.note(Reach(ROUTE, ANN), is_out=True)
    assert disk.rows == {}
    disk.error = None
    disk.timers.pass_by(1.0)
    assert len(disk.rows) == 1


def test_a_damaged_row_goes_and_is_told() -> None:
    disk = Disk()
    disk.rows[b"\x08r\0"] = b"no list"
    outages = disk.outages()
    assert disk.rows == {} and isinstance(disk.events[0], trace.RecordQuarantined)
    assert outages.lost_s(lane(ANN), 0.0, disk.clock.now()) == 0


def test_the_oldest_are_forgotten() -> None:
    disk = Disk()
    outages, begin = disk.outages(), disk.clock.now()
    for _ in range(KEPT_MAX + 10):
        for is_out in (True, False):
            disk.clock.advance(10)
            outages.note(Reach(ROUTE, ANN), is_out=is_out)
    assert outages.lost_s(lane(ANN), begin, disk.clock.now()) == KEPT_MAX * 10
    disk.clock.advance(KEPT_S)
    outages.note(Reach(ROUTE, ANN), is_out=True)
    [row] = disk.rows.values()
    assert len(row) < 40
