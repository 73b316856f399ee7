"""The history takes events from the loop at once, whatever its disk does."""

import threading
from pathlib import Path

import pytest

from relay.message.queue_id import parse_id
from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history import intake
from relay.trace.history.intake import BATCH_ROWS, PERIOD_S, RETRY_S, TOLD_EVERY_S, History
from relay.trace.history.options import HistoryOptions
from relay.trace.history.rows import WANTED
from relay.trace.history.writer import Writer
from tests.fakes.clock import FakeClock
from tests.trace.history.sample import Telling


class Disk(Writer):
    """A writer whose disk does what a test says."""

    def __init__(self, options: HistoryOptions, clock: FakeClock, told: list[Event]) -> None:
        super().__init__(options, clock, told.append)
        self.trouble: Exception | None = None
        self.batches: list[int] = []
        self.stands_still: threading.Event | None = None

    def write(self, batch: "list[tuple[float, Event]]") -> None:  # type: ignore[override]  # the one there is
        if self.stands_still is not None:
            self.stands_still.wait(20)
        if self.trouble is not None:
            raise self.trouble
        self.batches.append(len(batch))
        super().write(batch)


class Taking:
    """A history whose thread is the test's, unless it starts another."""

    def __init__(self, path: Path, **changes: object) -> None:
        self.telling = Telling(path)
        self.clock = self.telling.clock
        self.told: list[Event] = []
        # The names are checked at run time.
        options = HistoryOptions(path, **changes)  # type: ignore[arg-type]
        self.disk = Disk(options, self.clock, self.told)
        self.history = History(options, self.clock, self.told.append, self.disk)

    def take(self, count: int) -> list[events.MailQueued]:
        mails = [self.telling.queued() for _ in range(count)]
        for mail in mails:
            self.history(mail)
        return mails

    @property
    def dropped(self) -> list[tuple[int, str]]:
        return [(e.steps, e.reason) for e in self.told if isinstance(e, events.HistoryDropped)]


@pytest.fixture
def taking(tmp_path: Path) -> Taking:
    return Taking(tmp_path / "history.db", queued_max=5_000)


def test_a_turn_writes_all_that_waits_in_batches(taking: Taking) -> None:
    taking.take(4_500)
    assert taking.history.turn() == PERIOD_S
    assert taking.disk.batches == [BATCH_ROWS, BATCH_ROWS, 500]
    assert taking.telling.rows("mails") == 4_500


def test_events_of_others_cost_no_place(taking: Taking) -> None:
    for _ in range(10_000):
        taking.history(events.QueueDepth(1, 0, 0, 1, 0.0))
    taking.take(1)
    taking.history.turn()
    assert taking.telling.rows("mails") == 1 and taking.dropped == []


def test_every_kind_of_event_is_written(taking: Taking) -> None:
    mail = taking.take(1)[0]
    happened: list[Event] = [
        taking.telling.deferred(mail),
        events.Uncertain(mail.id, "r", "h", "lost"),
        events.Spilled(mail.id, "r", "s", "full"),
        taking.telling.held(mail),
        events.Failed(mail.id, mail.recipients, "r", "h", "550 no", 1, "told"),
        events.Reported("06gkhwh6wh0r0", mail.id, "app@contoso.com", "failed", 1, "r"),
        events.Steered(mail.id, "retry", mail.recipients, "root"),
        taking.telling.delivered(mail),
    ]
    assert {type(event) for event in (mail, *happened)} == WANTED
    for event in happened:
        taking.history(event)
    taking.history.turn()
    assert taking.dropped == [] and taking.telling.rows("steps") == len(happened)


def test_while_the_disk_fails_the_newest_are_dropped_and_counted_and_the_rest_is_kept(taking: Taking) -> None:
    taking.disk.trouble = OSError(5, "Input/output error")
    kept = taking.take(5_000)
    taking.take(300)
    assert taking.history.turn() == RETRY_S
    assert taking.dropped == [(300, "[Errno 5] Input/output error")]
    taking.take(100)
    taking.history.turn()
    assert len(taking.dropped) == 1, "told together, not at every turn"
    taking.clock.advance(TOLD_EVERY_S)
    taking.history.turn()
    assert taking.dropped[1:] == [(100, "[Errno 5] Input/output error")]
    taking.disk.trouble = None
    taking.history.turn()
    assert taking.telling.find(limit=10_000) == [mail.id for mail in reversed(kept)]
    taking.take(5_000)
    taking.history.turn()
    assert taking.telling.rows("mails") == 10_000, "there is room again"


def test_a_batch_that_can_never_be_written_is_dropped_alone(taking: Taking) -> None:
    taking.disk.trouble = TypeError("a fault of this program")
    taking.take(10)
    assert taking.history.turn() == RETRY_S
    taking.disk.trouble = None
    taking.take(3)
    taking.history.turn()
    assert taking.dropped == [(10, "a fault of this program")]
    assert taking.telling.rows("mails") == 3


def test_mails_to_many_count_for_many(tmp_path: Path) -> None:
    taking = Taking(tmp_path / "history.db", queued_max=1_000)
    names = tuple(f"r{i}@example.net" for i in range(400))
    for _ in range(5):
        taking.history(taking.telling.queued(*names))
    taking.history.turn()
    assert taking.dropped == [(800, "more came than the disk takes")]
    assert taking.telling.rows("recipients") == 1_200


def test_damage_costs_no_event(taking: Taking) -> None:
    taking.take(1)
    taking.history.turn()
    taking.disk.close()
    taking.telling.path.write_bytes(b"rubbish" * 1_000)
    taking.take(2)
    taking.history.turn()
    assert taking.telling.rows("mails") == 2
    assert [type(event) for event in taking.told if isinstance(event, events.HistoryMovedAside)] != []
    assert taking.dropped == []


def test_a_purge_goes_on_between_batches(tmp_path: Path) -> None:
    taking = Taking(tmp_path / "history.db", keep_s=100.0)
    taking.take(1_700)
    assert taking.history.turn() == PERIOD_S
    taking.clock.advance(200)
    pauses = [taking.history.turn()]
    while pauses[-1] == intake.PURGE_PAUSE_S:
        mails = taking.take(1)
        pauses.append(taking.history.turn())
        assert taking.telling.find(1) == [mails[0].id], "what comes meanwhile is written at once"
    assert len(pauses) == 8
    assert taking.telling.rows("mails") == 7


# With its thread.


def test_what_was_taken_is_there_at_the_end(taking: Taking) -> None:
    assert taking.history.start() == 0
    mails = taking.take(3_000)
    assert taking.history.close()
    assert taking.telling.find(limit=5_000) == [mail.id for mail in reversed(mails)]
    assert taking.dropped == []


def test_the_next_one_knows_what_there_is(taking: Taking, tmp_path: Path) -> None:
    taking.history.start()
    last = taking.take(10)[-1]
    taking.history.close()
    again = Taking(tmp_path / "history.db")
    assert again.history.start() == parse_id(last.id) - (60_000 << 22), "a minute may have been lost"
    assert again.history.close()


def test_a_disk_that_stands_still_holds_nobody_up(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "CLOSE_WITHIN_S", 0.05)
    taking.disk.stands_still = threading.Event()
    taking.history.start()
    taking.take(6_000)
    assert not taking.history.close()
    monkeypatch.setattr(intake, "CLOSE_WITHIN_S", 20.0)
    taking.disk.stands_still.set()
    assert taking.history.close()
    assert taking.telling.rows("mails") == 5_000
    # Told together or one after the other, as the thread got to look.
    assert sum(steps for steps, _ in taking.dropped) == 1_000


def test_a_file_that_cannot_be_opened_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    taking = Taking(tmp_path / "file" / "history.db")
    assert taking.history.start() == 0
    taking.take(7)
    assert taking.history.close()
    [(steps, reason)] = taking.dropped
    assert steps == 7 and str(tmp_path / "file") in reason
