"""What a ledger promises to its callers, one by one; in general: test_ledger_machine.py."""

import pytest

from relay.budget.answer import Answer, Taken, TooLarge, Wait
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, DAY_US, Charge, Limit, Place, Scope, Unit
from relay.budget.row import NOW, USE, Row, number
from relay.message.priority import Priority
from tests.budget.naive import SECOND, write

MINUTE = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)
DAY = Limit(Scope.MAILBOX, Unit.RECIPIENTS, 100, DAY_S)
TENANT = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 50, DAY_S)
BOX = Place(Scope.MAILBOX, "a", Unit.MESSAGES)
NOON = 20_000 * DAY_US + DAY_US // 2


def messages(amount: int, key: str = "a") -> list[Charge]:
    return [Charge(Scope.MAILBOX, key, Unit.MESSAGES, amount)]


def recipients(inside: int, outside: int) -> list[Charge]:
    return [
        Charge(Scope.MAILBOX, "a", Unit.RECIPIENTS, inside + outside),
        Charge(Scope.TENANT, "", Unit.EXTERNAL_RECIPIENTS, outside),
    ]


def taken(answer: Answer) -> Taken:
    assert isinstance(answer, Taken)
    return answer


def waiting(answer: Answer) -> Wait:
    assert isinstance(answer, Wait)
    return answer


def used(ledger: Ledger, now: int) -> dict[Unit, tuple[int, int]]:
    return {usage.place.unit: (usage.held, usage.open) for usage in ledger.usage(now)}


def test_a_send_that_lacks_one_place_takes_from_none() -> None:
    ledger = Ledger([DAY, TENANT])
    ledger.note(recipients(0, 45), 0)
    wait = waiting(ledger.take(recipients(0, 6), 0))
    assert wait.limit == TENANT
    assert wait.short == {Place(Scope.TENANT, "", Unit.EXTERNAL_RECIPIENTS)}
    assert used(ledger, 0) == {Unit.RECIPIENTS: (45, 0), Unit.EXTERNAL_RECIPIENTS: (45, 0)}


def test_mail_inside_the_tenant_goes_when_the_tenants_limit_is_used_up() -> None:
    ledger = Ledger([DAY, TENANT])
    ledger.note(recipients(0, 50), 0)
    taken(ledger.take(recipients(1, 0), 0))
    waiting(ledger.take(recipients(0, 1), 0))


def test_the_wait_is_for_the_last_of_several_limits() -> None:
    ledger = Ledger([MINUTE, DAY])
    both = [*messages(30), Charge(Scope.MAILBOX, "a", Unit.RECIPIENTS, 100)]
    ledger.settle(taken(ledger.take(both, 5)), 5)
    wait = waiting(ledger.take([*messages(1), Charge(Scope.MAILBOX, "a", Unit.RECIPIENTS, 1)], 6))
    assert (wait.until, wait.limit) == (5 + DAY_US, DAY)


def test_a_place_named_twice_is_charged_for_both() -> None:
    ledger = Ledger([MINUTE])
    taken(ledger.take(messages(15) + messages(15), 0))
    waiting(ledger.take(messages(1), 0))
    other = Ledger([MINUTE])
    assert isinstance(other.take(messages(16) + messages(16), 0), TooLarge)
    other.note(messages(10), 0)
    assert waiting(other.take(messages(11) + messages(11), 1)).until == 60 * SECOND


def test_more_than_the_limit_in_all_can_never_go() -> None:
    ledger = Ledger([MINUTE])
    answer = ledger.take(messages(31), 0)
    assert isinstance(answer, TooLarge) and answer.count == 30 and answer.limit == MINUTE


def test_refused_recipients_are_given_back() -> None:
    ledger = Ledger([DAY, TENANT])
    send = taken(ledger.take(recipients(3, 2), 0))
    ledger.settle(send, 1, unsent=recipients(1, 2))
    assert used(ledger, 2) == {Unit.RECIPIENTS: (2, 0), Unit.EXTERNAL_RECIPIENTS: (0, 0)}


def test_a_send_is_held_from_its_end_not_from_its_begin() -> None:
    ledger = Ledger([MINUTE])
    send = taken(ledger.take(messages(30), 0))
    assert waiting(ledger.take(messages(1), SECOND)).until is None
    ledger.settle(send, 5 * SECOND)
    assert waiting(ledger.take(messages(1), 6 * SECOND)).until == 65 * SECOND


def test_a_send_ends_once() -> None:
    ledger = Ledger([MINUTE])
    send = taken(ledger.take(messages(1), 0))
    ledger.refund(send)
    with pytest.raises(AssertionError):
        ledger.settle(send, 1)


def test_time_that_goes_back_does_not_make_windows_shorter() -> None:
    ledger = Ledger([MINUTE])
    ledger.settle(taken(ledger.take(messages(30), 100 * SECOND)), 100 * SECOND)
    assert waiting(ledger.take(messages(1), 0)).until == 160 * SECOND


def test_what_others_used_counts_even_beyond_the_limit() -> None:
    ledger = Ledger([MINUTE])
    ledger.note(messages(20), 0)
    ledger.note(messages(20), SECOND)
    assert waiting(ledger.take(messages(1), 2 * SECOND)).until == 60 * SECOND
    assert waiting(ledger.take(messages(11), 2 * SECOND)).until == 61 * SECOND


def test_a_learnt_count_holds_for_its_key_alone_and_at_once() -> None:
    ledger = Ledger([MINUTE])
    ledger.note(messages(10), 0)
    ledger.set_count(MINUTE, "a", 10)
    ledger.set_count(MINUTE, "c", 10)
    waiting(ledger.take(messages(1), 1))
    taken(ledger.take(messages(30, "b"), 1))
    assert isinstance(ledger.take(messages(11, "c"), 1), TooLarge)


def kept(ledger: Ledger, disk: dict[bytes, bytes]) -> list[Row]:
    batch = ledger.changes()
    assert batch is not None
    write(disk, batch.rows)
    ledger.committed(batch)
    return list(disk.items())


def test_sends_under_way_at_a_crash_count_from_the_restart() -> None:
    ledger = Ledger([MINUTE])
    disk: dict[bytes, bytes] = {}
    ledger.settle(taken(ledger.take(messages(10), 0)), 0)
    taken(ledger.take(messages(20), 0))
    again = Ledger([MINUTE])
    again.restore(kept(ledger, disk), 30 * SECOND)
    assert waiting(again.take(messages(1), 31 * SECOND)).until == 60 * SECOND
    assert waiting(again.take(messages(11), 31 * SECOND)).until == 90 * SECOND


def test_what_is_free_again_leaves_the_disk() -> None:
    ledger = Ledger([MINUTE])
    disk: dict[bytes, bytes] = {}
    for step in range(200):
        ledger.settle(taken(ledger.take(messages(1), step * 3 * SECOND)), step * 3 * SECOND)
        assert len(kept(ledger, disk)) <= 30 + 2
    again = Ledger([MINUTE])
    again.restore(list(disk.items()), 10_000 * SECOND)
    kept(again, disk)
    assert list(disk) == [NOW]


def test_rows_of_a_limit_that_is_no_more_are_deleted() -> None:
    ledger = Ledger([MINUTE, DAY])
    disk: dict[bytes, bytes] = {}
    ledger.note(recipients(3, 0) + messages(1), 0)
    rows = kept(ledger, disk)
    again = Ledger([DAY])
    again.restore(rows, 1)
    kept(again, disk)
    assert used(again, 1) == {Unit.RECIPIENTS: (3, 0)}
    assert len([key for key in disk if key.startswith(USE)]) == 1


def test_another_count_keeps_what_was_used() -> None:
    ledger = Ledger([MINUTE])
    ledger.note(messages(25), 0)
    again = Ledger([Limit(Scope.MAILBOX, Unit.MESSAGES, 26, 60)])
    again.restore(kept(ledger, {}), SECOND)
    taken(again.take(messages(1), SECOND))
    waiting(again.take(messages(1), SECOND))


@pytest.mark.parametrize("key", ["", "ä@exämple.com", "\udcff@example.com", "x" * 400, "\x00\xff"])
def test_any_key_survives_a_restart(key: str) -> None:
    ledger = Ledger([MINUTE])
    ledger.note(messages(30, key), 0)
    again = Ledger([MINUTE])
    again.restore(kept(ledger, {}), 1)
    waiting(again.take(messages(1, key), 1))


@pytest.mark.parametrize(
    "row",
    [
        (USE, number(1)),
        (USE + b"\x01", number(1)),
        (USE + b"\x63\x02\x00" + b"\x00\x00\x00\x3c" + number(5), number(1)),
        (USE + b"\x01\x02\x00" + b"\x00\x00\x00\x3c" + number(5), b"short"),
        (USE + b"\x01\x02\x00" + b"\x00\x00\x00\x3c" + number(5), None),
        (NOW, b""),
    ],
)
def test_a_row_that_cannot_be_read_is_refused(row: Row) -> None:
    with pytest.raises(ValueError, match=r"budget row|number"):
        Ledger([MINUTE]).restore([row], 0)


@pytest.mark.parametrize(("was_ahead_s", "free_again_s"), [(0, 0), (3600, 0), (2, 0), (-2, 2), (-3600, 3600)])
def test_a_corrected_wall_clock_frees_no_day_too_soon(was_ahead_s: int, free_again_s: int) -> None:
    """Midnight was told by a clock that ran ahead or behind; the restart knows better."""
    daily = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, DAY_S, since_midnight=True)
    ledger = Ledger([daily], utc_offset_us=was_ahead_s * SECOND)
    ledger.note(messages(30), NOON)
    again = Ledger([daily], utc_offset_us=0)
    again.restore(kept(ledger, {}), NOON + SECOND)
    midnight = NOON + DAY_US // 2
    assert waiting(again.take(messages(1), NOON + SECOND)).until == midnight + free_again_s * SECOND


def test_a_failed_batch_is_said_again_and_nothing_leaves_before() -> None:
    ledger = Ledger([MINUTE])
    first = taken(ledger.take(messages(1), 0))
    one = ledger.changes()
    second = taken(ledger.take(messages(1), 0))
    two = ledger.changes()
    assert one is not None and two is not None
    ledger.failed(one)
    ledger.committed(two)
    assert ledger.durable < first.serial <= second.serial
    three = ledger.changes()
    assert three is not None
    ledger.committed(three)
    assert ledger.durable >= second.serial
    disk: dict[bytes, bytes] = {}
    write(disk, three.rows)
    again = Ledger([MINUTE])
    again.restore(list(disk.items()), 1)
    assert used(again, 1) == {Unit.MESSAGES: (2, 0)}
    assert ledger.changes() is None


def test_what_was_settled_in_a_failed_batch_is_said_again() -> None:
    ledger = Ledger([MINUTE])
    disk: dict[bytes, bytes] = {}
    send = taken(ledger.take(messages(7), 0))
    kept(ledger, disk)
    ledger.settle(send, SECOND)
    lost = ledger.changes()
    assert lost is not None
    ledger.failed(lost)
    again = Ledger([MINUTE])
    again.restore(kept(ledger, disk), 2 * SECOND)
    assert used(again, 2 * SECOND) == {Unit.MESSAGES: (7, 0)}
    assert waiting(again.take(messages(30), 3 * SECOND)).until == 61 * SECOND


def test_the_pace_outlives_other_keys_that_come_and_go() -> None:
    """An account that was forgotten too soon let bulk go one interval early (found by the state machine)."""
    ledger = Ledger([Limit(Scope.MAILBOX, Unit.MESSAGES, 1, 1)])
    at = 1_800_000_000 * SECOND

    def bulk(key: str) -> Answer:
        answer = ledger.take([Charge(Scope.MAILBOX, key, Unit.MESSAGES, 1)], at, Priority.BULK)
        if isinstance(answer, Taken):
            ledger.refund(answer)
        return answer

    assert isinstance(bulk("a"), Taken)
    for key in ("b", "c", "d"):
        bulk(key)
    assert isinstance(bulk("a"), Taken), "up to one interval of lateness is made good"
    wait = bulk("a")
    assert isinstance(wait, Wait) and wait.until == at + SECOND
