"""Forecasts agree with what the ledger does: driven on a clock, mail by mail."""

import time
from collections.abc import Sequence
from datetime import datetime
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from relay.budget.answer import Taken, Wait
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, DAY_US, LIFTED, SECOND_US, Charge, Limit, Place, Scope, Unit
from relay.budget.standing import Standing, unused
from relay.message.priority import Priority
from relay.queue.forecast import forecast as foreseen
from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.queue.rota import Rota
from relay.queue.situation import Backlog, Errand, Forecast, Kind, Sender, Situation
from relay.route.hours import Hours, next_span
from relay.route.route import Route
from tests.budget.campaign import DAY, MINUTE, TERRL, Campaign, Mailbox

NOW = 10**15
KEY = "m@example.com"
OPEN_S = 0.1


def forecast(situation: Situation, errand: Errand) -> Forecast:
    return foreseen(situation, errand, ZoneInfo)


HOUR = Limit(Scope.ROUTE, Unit.MESSAGES, 100, 3600)


class Driven:
    """A ledger, and three connections that send as soon as it lets them."""

    def __init__(self, limits: list[Limit], amount: int = 1) -> None:
        self.limits = limits
        self.ledger = Ledger(limits)
        self.now = NOW
        self.charges = [
            Charge(limit.scope, KEY, limit.unit, 1 if limit.unit is Unit.MESSAGES else amount)
            for limit in limits
        ]

    def send(self, mails: int, priority: Priority) -> float:
        """Seconds until the last of them has ended."""
        began, left = self.now, mails
        flying: list[tuple[int, int, Taken]] = []
        while left or flying:
            moments = []
            while left and len(flying) < 3:
                answer = self.ledger.take(self.charges, self.now, priority)
                if isinstance(answer, Taken):
                    left -= 1
                    heappush(flying, (self.now + round(OPEN_S * SECOND_US), left, answer))
                    continue
                assert isinstance(answer, Wait)
                moments += [] if answer.until is None else [answer.until]
                break
            self.now = max(self.now, min([*moments, *(flight[0] for flight in flying[:1])]))
            while flying and flying[0][0] <= self.now:
                self.ledger.settle(heappop(flying)[2], self.now)
        return (self.now - began) / SECOND_US

    def standings(self) -> tuple[Standing, ...]:
        return self.ledger.standings([Place(*charge[:3]) for charge in self.charges], self.now)

    def situation(self, *backlogs: Backlog) -> Situation:
        standings = self.standings()
        sender = Sender("route", KEY, tuple(range(len(standings))), 3, OPEN_S)
        return Situation(0.0, (sender,), standings, backlogs)


def small_limits() -> st.SearchStrategy[Limit]:
    counts, windows = st.sampled_from([5, 20, 30, 100, 600]), st.sampled_from([60, 3600])
    return st.builds(
        lambda count, window: Limit(Scope.MAILBOX, Unit.MESSAGES, count, window), counts, windows
    )


def large_limits() -> st.SearchStrategy[Limit]:
    counts = st.sampled_from([300, 2000, 5000])
    return st.builds(lambda count: Limit(Scope.MAILBOX, Unit.RECIPIENTS, count, DAY_S), counts)


def tolerance_s(limits: list[Limit]) -> float:
    """Two send intervals of the slowest limit, one grain of the large ones, and a mail under way."""
    return 2 * max(limit.window_s / limit.count for limit in limits) + DAY_S / 2048 + 1.0


@settings(max_examples=120, deadline=None)
@given(
    small_limits(),
    st.none() | large_limits(),
    st.sampled_from(Priority),
    st.integers(1, 700),
    st.none() | st.tuples(st.sampled_from(Priority), st.integers(1, 60), st.integers(0, 7200)),
)
def test_the_last_mail_leaves_when_the_ledger_lets_it(
    small: Limit,
    large: Limit | None,
    priority: Priority,
    mails: int,
    before: tuple[Priority, int, int] | None,
) -> None:
    limits = [small] if large is None else [small, large]
    driven = Driven(limits)
    if before is not None:
        driven.send(before[1], before[0])
        driven.now += before[2] * SECOND_US
    told = forecast(driven.situation(), Errand((0,), priority, mails))
    true_s = driven.send(mails, priority)
    assert told.done_s is not None, told
    # Bursts that overlap in several windows are followed in the mean: never off by more than 2 %.
    assert abs(told.done_s - true_s) <= max(tolerance_s(limits), 0.02 * true_s)


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("mails", [1, 29, 30, 31, 59, 60, 300, 3000])
def test_of_a_mailbox_of_microsoft_it_is_right_within_one_send_interval(
    priority: Priority, mails: int
) -> None:
    driven = Driven([MINUTE, DAY])
    told = forecast(driven.situation(), Errand((0,), priority, mails))
    assert told.done_s == pytest.approx(driven.send(mails, priority), abs=2.0 + OPEN_S, rel=0.001)


def test_fifty_thousand_mails_of_a_mailbox_take_five_days_and_the_limits_that_bind_are_told() -> None:
    driven = Driven([MINUTE, DAY])
    told = forecast(driven.situation(), Errand((0,), Priority.BULK, 50_000))
    assert told.done_s == pytest.approx(driven.send(50_000, Priority.BULK), abs=DAY_S / 2048)
    assert [stretch.standing for stretch in told.stretches[:2]] == [0, 1]
    assert len(told.stretches) <= 2 * 6
    assert told.stretches[0].mails == pytest.approx(10_000 - 10_000 // 200, abs=1)
    assert sum(stretch.mails for stretch in told.stretches) == pytest.approx(50_000, abs=0.01)


def test_mails_to_many_use_up_whole_mails_only() -> None:
    driven = Driven([Limit(Scope.MAILBOX, Unit.RECIPIENTS, 1000, 3600)], amount=300)
    told = forecast(driven.situation(), Errand((0,), Priority.NORMAL, 10, Kind(300, 300)))
    assert told.done_s == pytest.approx(driven.send(10, Priority.NORMAL), abs=10)
    assert driven.now - NOW > 3 * 3600 * SECOND_US, "three fit into an hour, not three and a third"


def test_a_mail_that_is_more_than_a_limit_allows_never_leaves() -> None:
    driven = Driven([DAY])
    told = forecast(driven.situation(), Errand((0,), Priority.NORMAL, 1, Kind(10_001, 0)))
    assert told.done_s is None and "10000 recipients in 24 h" in told.trouble


TODAY = NOW // DAY_US
TOMORROW_S = (DAY_US - NOW % DAY_US) / SECOND_US


def ramp(unit: Unit, *numbers: int, begins: int = TODAY, count: int = LIFTED) -> Limit:
    return Limit(Scope.MAILBOX, unit, count, DAY_S, True, ramp=numbers, ramp_day=begins)


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("begins", [TODAY - 2, TODAY, TODAY + 2])
@pytest.mark.parametrize("mails", [150, 400, 2_500])
def test_of_a_ramp_each_day_has_its_own_number(priority: Priority, begins: int, mails: int) -> None:
    driven = Driven([ramp(Unit.MESSAGES, 200, 300, 500, 500, count=700)])
    driven.limits[0] = limit = ramp(Unit.MESSAGES, 200, 300, 500, 500, begins=begins, count=700)
    driven.ledger = Ledger([limit])
    driven.send(30, Priority.NORMAL)
    told = forecast(driven.situation(), Errand((0,), priority, mails))
    # A burst at midnight takes its connections; below the headroom of a day nobody but high goes.
    assert told.done_s == pytest.approx(driven.send(mails, priority), abs=2.0)


def test_the_days_of_a_ramp_are_told_with_their_numbers() -> None:
    driven = Driven([ramp(Unit.RECIPIENTS, 200, 500, 1000), MINUTE])
    told = forecast(driven.situation(), Errand((0,), Priority.BULK, 1_500))
    days = [each for each in told.stretches if each.standing == 0]
    assert [each.limit.split(" in ")[0] for each in days] == ["200 recipients", "500 recipients"]
    assert told.done_s == pytest.approx(driven.send(1_500, Priority.BULK), abs=5.0)
    # Two midnights: 199 and 498 go before them (high keeps the rest), and what is left by 30 a minute.
    assert told.done_s == pytest.approx(TOMORROW_S + DAY_S + 2 * (1_500 - 199 - 498), abs=60)


def test_a_mail_that_is_too_large_for_the_first_days_of_a_ramp_is_not_said_never_to_leave() -> None:
    driven = Driven([ramp(Unit.RECIPIENTS, 100, 500)], amount=300)
    told = forecast(driven.situation(), Errand((0,), Priority.NORMAL, 1, Kind(300, 300)))
    assert told.done_s is not None


def test_a_million_over_a_ramp_of_thirty_days_is_foreseen_at_once() -> None:
    numbers = tuple(2_000 * (day + 1) for day in range(30))
    driven = Driven(
        [ramp(Unit.RECIPIENTS, *numbers, count=100_000), Limit(Scope.MAILBOX, Unit.MESSAGES, 1_800, 60)]
    )
    began = time.process_time()
    told = forecast(driven.situation(), Errand((0,), Priority.BULK, 1_000_000))
    took_s = time.process_time() - began
    # 930,000 in thirty days less what is kept for high; the rest on the 31st, at 1,800 a minute.
    assert told.done_s is not None and 30 <= (told.done_s - TOMORROW_S) / DAY_S + 1 < 31
    assert took_s < 1.0, "0.03 s where it was written"


def of_pool(mailboxes: list[Mailbox], mails: int, *backlogs: Backlog) -> Forecast:
    standings: list[Standing] = []
    senders = []
    terrl = unused(TERRL, "")
    for mailbox in mailboxes:
        own = (len(standings), len(standings) + 1, 2 * len(mailboxes))
        standings += [unused(MINUTE, mailbox.name), unused(DAY, mailbox.name)]
        senders.append(Sender("route", mailbox.name, own, 3, OPEN_S))
    situation = Situation(0.0, tuple(senders), (*standings, terrl), backlogs)
    return forecast(situation, Errand(tuple(range(len(senders))), Priority.BULK, mails))


def test_ten_mailboxes_send_fifty_thousand_as_the_campaign_on_the_ledger_does() -> None:
    mailboxes = [Mailbox(f"m{number}@example.com", 5000) for number in range(10)]
    campaign = Campaign(mailboxes, OPEN_S, seed=1)
    for mailbox in mailboxes:
        campaign.ask(mailbox)
    told = of_pool(mailboxes, 50_000)
    campaign.run()
    assert told.done_s == pytest.approx(campaign.now / SECOND_US, rel=0.002)


def test_a_higher_priority_goes_first_and_a_lower_one_takes_its_share() -> None:
    driven = Driven([MINUTE])
    alone = forecast(driven.situation(), Errand((0,), Priority.NORMAL, 300))
    behind = forecast(
        driven.situation(Backlog((0,), Priority.NORMAL, 300.0)), Errand((0,), Priority.NORMAL, 300)
    )
    beside = forecast(
        driven.situation(Backlog((0,), Priority.BULK, 3000.0)), Errand((0,), Priority.NORMAL, 300)
    )
    assert alone.done_s and behind.done_s and beside.done_s
    assert behind.done_s == pytest.approx(2 * alone.done_s, rel=0.06)
    # Four turns in five are its.
    assert beside.done_s == pytest.approx(1.25 * alone.done_s, rel=0.06)


def test_where_a_lane_takes_turns_mail_before_it_is_passed() -> None:
    driven = Driven([MINUTE])
    in_order = forecast(driven.situation(Backlog((0,), 1, 3000.0)), Errand((0,), 1, 300))
    in_turn = forecast(driven.situation(Backlog((0,), 1, 3000.0, client="a")), Errand((0,), 1, 300))
    assert in_order.done_s == pytest.approx(3300 * 2, rel=0.03)
    assert in_turn.done_s == pytest.approx(600 * 2, rel=0.06)


def test_what_has_stopped_is_waited_for() -> None:
    closed = Sender("route", KEY, (), 1, 0.5, closed_s=3600.0, stopped="the route is suspended")
    told = forecast(Situation(0.0, (closed,)), Errand((0,), 1, 100))
    assert told.first_s == 3600.0
    assert told.done_s == pytest.approx(3650.0, abs=1.0)
    assert told.stretches[0].limit == "the route is suspended"
    for_good = Sender("route", KEY, (), 1, 0.5, stopped_for_good=True, stopped="the password is wrong")
    told = forecast(Situation(0.0, (for_good,)), Errand((0,), 1, 100))
    assert (told.done_s, told.trouble) == (None, "the password is wrong")


def test_without_limits_connections_say_how_fast_it_goes() -> None:
    told = forecast(Situation(0.0, (Sender("route", "", (), 4, 0.5),)), Errand((0,), 1, 800))
    assert told.done_s == pytest.approx(100.5)
    assert [stretch.limit for stretch in told.stretches] == ["connections"]


def test_a_standing_of_a_full_day_is_small_and_says_how_much_is_used() -> None:
    driven = Driven([MINUTE, DAY])
    driven.send(9_000, Priority.BULK)
    minute, day = driven.standings()
    assert (minute.used, day.used) == (30, 9_000)
    assert len(day.blocks) <= 64
    assert (minute.limit.count, day.limit.unit) == (30, Unit.RECIPIENTS)


# Hours.

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = (0, 1, 2, 3, 4, 5, 6)
DAYTIME = Hours(WEEK, 9 * 60, 17 * 60, "Europe/Berlin")
NIGHT = Hours((4, 5, 6), 22 * 60, 6 * 60, "Europe/Berlin")
LUNCH = Hours(WEEK, 12 * 60, 13 * 60, "UTC")
SPRING = datetime(2026, 3, 27, 12, tzinfo=BERLIN).timestamp()
"""Two days before the clocks go forward: the night of the 29th has an hour less."""
AUTUMN = datetime(2026, 10, 23, 12, tzinfo=BERLIN).timestamp()


class Timed(Driven):
    """The same, which begins no mail outside of its hours."""

    def __init__(self, limits: list[Limit], began_at: float, hours: tuple[Hours, ...]) -> None:
        super().__init__(limits)
        self.began_at, self.hours = began_at, hours

    def send(self, mails: int, priority: Priority) -> float:
        began, left, ended = self.now, mails, self.now
        flying: list[int] = []
        taken: dict[int, list[Taken]] = {}
        while left:
            at = self.began_at + (self.now - began) / SECOND_US
            span = next_span(self.hours, at + 1e-6, ZoneInfo)
            assert span is not None
            moments = [began + round((max(at, span[0]) - self.began_at) * SECOND_US)]
            if span[0] <= at + 1e-6:
                answer = self.ledger.take(self.charges, self.now, priority) if len(flying) < 3 else None
                if isinstance(answer, Taken):
                    left -= 1
                    ended = self.now + round(OPEN_S * SECOND_US)
                    heappush(flying, ended)
                    taken.setdefault(ended, []).append(answer)
                    continue
                moments = (
                    []
                    if answer is None or not isinstance(answer, Wait) or answer.until is None
                    else [answer.until]
                )
            self.now = max(self.now, min([*moments, *flying[:1]]))
            while flying and flying[0] <= self.now:
                self.ledger.settle(taken[flying[0]].pop(), self.now)
                heappop(flying)
        return (ended - began) / SECOND_US

    def asked(self, mails: int, priority: Priority, *backlogs: Backlog) -> Forecast:
        situation = structs.replace(self.situation(*backlogs), at=self.began_at)
        return forecast(situation, Errand((0,), priority, mails, hours=self.hours))


@pytest.mark.parametrize("hours", [(DAYTIME,), (NIGHT,), (DAYTIME, NIGHT), (LUNCH, NIGHT)])
@pytest.mark.parametrize("began_at", [SPRING, AUTUMN, AUTUMN - 5 * 3_600])
@pytest.mark.parametrize(("limit", "mails"), [(HOUR, 20), (HOUR, 900), (HOUR, 3_100), (MINUTE, 20_000)])
def test_mail_goes_in_its_hours_alone_also_when_the_clocks_change(
    hours: tuple[Hours, ...], began_at: float, limit: Limit, mails: int
) -> None:
    driven = Timed([limit], began_at, hours)
    told = driven.asked(mails, Priority.NORMAL)
    true_s = driven.send(mails, Priority.NORMAL)
    assert told.done_s is not None
    off_s = in_hours_between(hours, began_at, told.done_s, true_s)
    days = 1 + true_s / DAY_S
    # Two sends of the limit. A window that is open when the hours end is cut: after 16 of them in a row they are
    # a rate, which is half a window off at most for each time that they end.
    is_exact = limit is HOUR
    assert off_s <= 2 * limit.window_s / limit.count + 1.0 + (
        0 if is_exact else 2 * days * limit.window_s / 2
    )
    assert off_s <= max(0.01 * in_hours_between(hours, began_at, 0, true_s), 73.0)


def in_hours_between(hours: tuple[Hours, ...], began_at: float, one_s: float, other_s: float) -> float:
    """Seconds in which mail may go between the two moments; a night between two sends is none."""
    at, end, found = began_at + min(one_s, other_s), began_at + max(one_s, other_s), 0.0
    while (span := next_span(hours, at, ZoneInfo)) is not None and span[0] < end:
        found += min(span[1], end) - max(span[0], at)
        at = span[1]
    return found


def test_the_hours_are_told_as_what_holds_it_up() -> None:
    driven = Timed([MINUTE], AUTUMN, (DAYTIME,))
    told = driven.asked(30 * 60 * 6, Priority.BULK)
    # Five hours until 17:00, sixteen of the night, and one more.
    assert [each.limit.split(" in ")[0] for each in told.stretches] == [
        "30 messages",
        "the hours of its route",
        "30 messages",
    ]
    # A window is as much longer than a minute as a mail is open: 0.1 s.
    assert told.done_s == pytest.approx(22 * 3600, abs=6 * 60 * 0.1 + 4)
    assert told.stretches[1].mails == 0


def test_what_goes_at_once_in_the_morning_is_not_told_as_of_the_night() -> None:
    driven = Timed([ramp(Unit.MESSAGES, 200, 300, 400)], NOW / SECOND_US, (DAYTIME,))
    told = driven.asked(700, Priority.NORMAL)
    assert sum(each.mails for each in told.stretches) == pytest.approx(700, abs=0.01)
    assert [each.mails for each in told.stretches if each.limit == "the hours of its route"] == [0, 0, 0]


def test_mail_without_hours_goes_while_mail_that_has_some_waits_and_then_they_share() -> None:
    driven = Timed([MINUTE], AUTUMN + 5 * 3600, (DAYTIME,))
    told = driven.asked(600, Priority.NORMAL, Backlog((0,), 1, 40_000.0, client="a"))
    # 16 hours of the night for the other alone: 28,800; then every second mail.
    assert told.first_s == pytest.approx(16 * 3600, abs=1)
    assert told.done_s == pytest.approx(16 * 3600 + 2 * 600 * 2, rel=0.002)


def test_hours_that_never_come_are_no_date() -> None:
    never = Hours((6,), 2 * 60 + 15, 2 * 60 + 15 + 1, "UTC", ())
    told = forecast(
        Situation(0.0, (Sender("route", "", (), 1, 0.5),)), Errand((0,), 1, 1_000, hours=(never,))
    )
    assert told.done_s is not None, "a minute a week is little, and enough"
    assert told.done_s > 8 * 7 * DAY_S - 7 * DAY_S


def test_a_ramp_and_hours_of_a_month_are_foreseen_at_once() -> None:
    numbers = tuple(2_000 * (day + 1) for day in range(30))
    limits = [ramp(Unit.RECIPIENTS, *numbers, count=100_000), Limit(Scope.MAILBOX, Unit.MESSAGES, 1_800, 60)]
    driven = Driven(limits)
    situation = structs.replace(driven.situation(Backlog((0,), 2, 5_000.0, client="a")), at=NOW / SECOND_US)
    began = time.process_time()
    told = forecast(situation, Errand((0,), Priority.BULK, 1_000_000, hours=(DAYTIME,)))
    assert time.process_time() - began < 1.0, "0.05 s where it was written"
    assert told.done_s is not None and 30 <= told.done_s / DAY_S < 33


# Weights.


class Line:
    """Mail of one who takes turns."""

    def __init__(self, mails: int) -> None:
        self.left = mails

    def peek(self) -> Job | None:
        return JOB if self.left else None

    def __len__(self) -> int:
        return self.left


JOB = Job(1, Lane(LaneKey("r"), Route("r", ("h.test",))))


def in_turns(parties: Sequence[tuple[int, int]], limit: Limit) -> float:
    """Seconds until the first of them has gone, of a rota and a ledger: weight and mails of each."""
    driven = Driven([limit])
    rota: Rota[Line] = Rota()
    lines = [Line(mails) for _, mails in parties]
    for number, ((weight, _), line) in enumerate(zip(parties, lines, strict=True)):
        rota.join(str(number), weight, line)
    sent_s = 0.0
    while lines[0].left:
        assert rota.peek() is not None
        name = str(
            min(
                (tag + member.owes, count, int(member.name))
                for tag, count, member in rota._order
                if member.waits.left
            )[2]
        )
        rota.charge(name, 1)
        lines[int(name)].left -= 1
        sent_s += driven.send(1, Priority.NORMAL)
    return sent_s


@pytest.mark.parametrize(
    "parties",
    [
        [(1, 200), (1, 2_000)],
        [(3, 300), (1, 2_000)],
        # The other two have gone one after the other, and leave their turns to it.
        [(1, 300), (2, 150), (5, 50)],
        [(2, 400), (1, 100), (1, 300), (7, 20)],
    ],
)
@pytest.mark.parametrize("are_campaigns", [False, True])
def test_clients_and_campaigns_have_their_shares_by_weight(
    parties: list[tuple[int, int]], are_campaigns: bool
) -> None:
    (weight, mails), *others = parties
    if are_campaigns:
        backlogs = [
            Backlog((0,), 1, m, campaign=str(n), campaign_weight=w) for n, (w, m) in enumerate(others)
        ]
        errand = Errand((0,), 1, mails, campaign="own", campaign_weight=weight)
    else:
        backlogs = [Backlog((0,), 1, m, client=str(n), weight=w) for n, (w, m) in enumerate(others)]
        errand = Errand((0,), 1, mails, client="own", weight=weight)
    told = forecast(Driven([HOUR]).situation(*backlogs), errand)
    # Two sends of the limit, and one of each other whose turn it is at the end.
    assert told.done_s == pytest.approx(in_turns(parties, HOUR), abs=(2 + len(others)) * 36.0 + 1.0)
