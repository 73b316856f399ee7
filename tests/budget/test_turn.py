"""Turns: shares while all wait, high first, room kept for who gathers it."""

from collections import Counter
from itertools import pairwise

from relay.budget.answer import Taken, Wait
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, Charge, Limit, Scope, Unit
from relay.budget.turn import Turn, Turns
from relay.message.priority import Priority
from tests.budget.naive import Charged

HIGH, NORMAL, BULK = Priority
SECOND = 1_000_000
RECIPIENTS = Limit(Scope.MAILBOX, Unit.RECIPIENTS, 5_000, DAY_S)


def mail(recipients: int, key: str = "a") -> list[Charge]:
    return [Charge(Scope.MAILBOX, key, Unit.RECIPIENTS, recipients)]


def next_turn(
    turns: Turns, ledger: Ledger, heads: dict[Priority, list[Charge]], now: int
) -> Turn | Wait | None:
    return turns.next(ledger, heads, Charged(heads), now)


def one(
    turns: Turns, ledger: Ledger, heads: dict[Priority, list[Charge]], now: int = 100 * SECOND
) -> Priority | None:
    turn = next_turn(turns, ledger, heads, now)
    if turn is None or isinstance(turn, Wait):
        return None
    assert isinstance(turn.answer, Taken)
    ledger.settle(turn.answer, now)
    return turn.priority


def test_while_all_wait_each_has_its_share() -> None:
    turns, ledger = Turns(), Ledger([])
    sent = Counter(one(turns, ledger, dict.fromkeys(Priority, mail(1))) for _ in range(2100))
    assert sent == {HIGH: 1600, NORMAL: 400, BULK: 100}


def test_never_two_others_before_a_waiting_high() -> None:
    turns, ledger = Turns(), Ledger([])
    sent = [one(turns, ledger, dict.fromkeys(Priority, mail(1))) for _ in range(500)]
    assert all(HIGH in pair for pair in pairwise(sent))


def test_a_high_that_comes_late_is_next() -> None:
    turns, ledger = Turns(), Ledger([])
    for _ in range(50):
        one(turns, ledger, {NORMAL: mail(1), BULK: mail(1)})
    assert one(turns, ledger, dict.fromkeys(Priority, mail(1))) is HIGH


def test_who_did_not_wait_has_gathered_no_claim() -> None:
    turns, ledger = Turns(), Ledger([])
    for _ in range(1000):
        one(turns, ledger, {NORMAL: mail(1)})
    sent = Counter(one(turns, ledger, {NORMAL: mail(1), BULK: mail(1)}) for _ in range(50))
    assert sent[BULK] == 10


def test_when_bulk_must_keep_its_pace_the_next_one_goes() -> None:
    turns, ledger = Turns(), Ledger([Limit(Scope.MAILBOX, Unit.RECIPIENTS, 30, 60)])
    for _ in range(2):
        assert one(turns, ledger, {BULK: mail(1)}) is BULK
    assert one(turns, ledger, {BULK: mail(1)}) is None
    assert one(turns, ledger, {BULK: mail(1), NORMAL: mail(1)}) is NORMAL


def test_a_mail_to_many_gathers_its_room_among_mails_to_one() -> None:
    turns, ledger = Turns(), Ledger([RECIPIENTS])
    for step in range(4_500):
        assert one(turns, ledger, {HIGH: mail(1)}, step * SECOND) is HIGH
    # 500 are free: bulk must not nibble from them.
    heads = {NORMAL: mail(600), BULK: mail(1)}
    assert one(turns, ledger, heads, 4_500 * SECOND) is None
    wait = next_turn(turns, ledger, heads, 4_500 * SECOND)
    assert isinstance(wait, Wait) and wait.until is not None and wait.short
    assert one(turns, ledger, heads, wait.until) is NORMAL


def test_one_who_waits_elsewhere_does_not_hold_up_the_rest() -> None:
    limits = [Limit(Scope.RECIPIENT, Unit.RECIPIENTS, 1, 3600), RECIPIENTS]
    turns, ledger = Turns(), Ledger(limits)
    slow = [Charge(Scope.RECIPIENT, "r", Unit.RECIPIENTS, 1), *mail(1)]
    assert one(turns, ledger, {HIGH: slow}) is HIGH
    assert one(turns, ledger, {HIGH: slow, BULK: mail(1)}) is BULK


def test_the_wait_is_that_of_the_first_who_may_go() -> None:
    turns, ledger = Turns(), Ledger([Limit(Scope.MAILBOX, Unit.RECIPIENTS, 30, 60)])
    ledger.note(mail(29), 0)
    assert one(turns, ledger, {HIGH: mail(1)}, SECOND) is HIGH
    wait = next_turn(turns, ledger, {HIGH: mail(1), BULK: mail(1)}, 2 * SECOND)
    assert isinstance(wait, Wait) and wait.until == 60 * SECOND


def test_a_mail_that_can_never_go_is_named_with_its_priority() -> None:
    turn = next_turn(Turns(), Ledger([RECIPIENTS]), {NORMAL: mail(5_001)}, 0)
    assert isinstance(turn, Turn) and turn.priority is NORMAL and not isinstance(turn.answer, Taken)


class Passing(Charged):
    """Of one priority, the first mail lets the second past; and there is no third."""

    def __init__(self, priority: Priority, first: list[Charge], second: list[Charge]) -> None:
        super().__init__({})
        self.mails = [first, second]
        self.priority = priority
        self.waits: list[Wait] = []

    def charges(self, priority: Priority) -> list[Charge] | None:
        return self.mails[0] if self.mails else None

    def steps_aside(self, priority: Priority, wait: Wait) -> bool:
        assert priority is self.priority
        self.waits.append(wait)
        self.mails.pop(0)
        return True


def test_a_mail_that_steps_aside_lets_the_next_of_its_priority_past() -> None:
    ledger = Ledger([Limit(Scope.RECIPIENT, Unit.RECIPIENTS, 1, 3600)])
    to_r = [Charge(Scope.RECIPIENT, "r", Unit.RECIPIENTS, 1)]
    assert isinstance(ledger.take(to_r, 0), Taken)
    heads = Passing(NORMAL, to_r, [Charge(Scope.RECIPIENT, "s", Unit.RECIPIENTS, 1)])
    turn = Turns().next(ledger, [NORMAL], heads, 0)
    assert isinstance(turn, Turn) and isinstance(turn.answer, Taken) and len(heads.waits) == 1
    assert Turns().next(ledger, [NORMAL], Passing(NORMAL, to_r, to_r), 0) is None
