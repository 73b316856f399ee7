"""A week of mixed traffic with outages, on a clock that does not wait: its counts are derived by hand.

The week begins on a Monday at midnight. `at(day, hour, minute)` is a moment in it.

    every hour at :30   4 orders to a.example, normal                             7 * 24 * 4 = 672
                        1 invoice to partner.example, normal                      7 * 24     = 168
    daily at 06:45      1 order to somebody greylisted: 450 once                               7
    daily at 12:15      1 order to somebody who is not there: 550                              7
    Monday 01:00        1 order to a full mailbox: 450 for ever                                1
    Wednesday 09:00     campaigns spring, then summer, 600 each, bulk                       1200
    Wednesday 13:55     5 password resets, high                                                5
    Monday 12:00        40 of a campaign, nightly, that goes from 22:00 to 06:00 only, bulk      40
    Tuesday 12:00       10 codes to partner.example, high, that are of no use after an hour      10
    Friday 10:00        50 of a campaign to partner.example, autumn, bulk                        50
    Friday 09:00        news to 300 addresses that are not there, normal                     300

The campaigns come from clients of their own, and summer's weighs twice as much: of three turns
it has two, so that it is through when spring, which came first, is half through: 300.

Route `a` takes 30 a minute and is away on Wednesday from 08:00 to 14:00. Route `b` is away from
Tuesday 10:00 to Thursday 10:00, and its mail has failed after a day.

What follows for invoices (48 come while `b` is away):

    those of Tuesday 10:30 to Wednesday 09:30 are a day old by Thursday 09:30         24 fail
    those of Wednesday 10:30 to Thursday 09:30 are not                                24 go late
    those of Tuesday 10:30 to Thursday 05:30 are 4 hours old before it is back        44 notices

and for the orders that come while `a` is away: those of 08:30 and 09:30 are 4 hours old before
14:00, 8 notices; campaigns get none. The full mailbox: a notice on Monday, a failure on Saturday.
The codes fail at 13:00, since `b` is away, and each is told of. Autumn is suspended from Friday 09:55
to Sunday 10:00, twice as long as mail of `b` may wait: but that is no age, and all 50 go on Sunday.
The news: 20 reports in the hour, and one digest of the other 280 when it is over.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from relay.budget.limit import Limit, Scope, Unit
from relay.deliver.report_options import ReportOptions
from relay.errors import SpoolError
from relay.message.envelope import Recipient
from relay.message.priority import Priority
from relay.queue.suspension import Suspension
from relay.route.hours import Hours
from relay.spool.change import Change
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.hasty import run_hastily
from tests.fakes.sink import Sink, Sunk

E = TypeVar("E")
MONDAY = datetime(2027, 1, 18, tzinfo=UTC).timestamp()
MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
HOUR, MINUTE, DAY = 3600, 60, 86_400
A_MINUTE = 30
"""What route `a` takes in a minute."""
NIGHT = Hours(tuple(range(7)), 22 * 60, 6 * 60, "UTC", campaigns=("nightly",))
LATE_S = 300 + 60
"""The longest pause of a lane, and a little: so long after an outage mail goes again."""


def at(day: int, hour: int = 0, minute: int = 0) -> float:
    """A moment of the week."""
    return MONDAY + day * DAY + hour * HOUR + minute * MINUTE


@dataclass(frozen=True)
class Mail:
    """What comes at a moment."""

    at: float
    sender: bytes
    to: bytes
    route: str = "a"
    priority: Priority = Priority.NORMAL
    campaign: str = ""
    account: str = ""
    deadline: float = 0.0


def traffic() -> list[Mail]:
    """The week's, in order."""
    hours = [at(0, hour, 30) for hour in range(7 * 24)]
    mails = [Mail(when, b"orders@s.test", b"o%d@a.example" % i) for when in hours for i in range(4)]
    mails += [Mail(when, b"invoices@s.test", b"i@partner.example", "b") for when in hours]
    mails += [Mail(at(day, 6, 45), b"orders@s.test", b"grey%d@a.example" % day) for day in range(7)]
    mails += [Mail(at(day, 12, 15), b"orders@s.test", b"nobody@a.example") for day in range(7)]
    mails += [Mail(at(MON, 1), b"orders@s.test", b"full@a.example")]
    for name in ("spring", "summer"):
        address = name.encode() + b"@s.test"
        mails += [
            Mail(
                at(WED, 9), address, b"%d@a.example" % i, priority=Priority.BULK, campaign=name, account=name
            )
            for i in range(600)
        ]
    mails += [
        Mail(at(WED, 13, 55), b"reset@s.test", b"r%d@a.example" % i, priority=Priority.HIGH) for i in range(5)
    ]
    mails += [
        Mail(at(MON, 12), b"nightly@s.test", b"%d@a.example" % i, priority=Priority.BULK, campaign="nightly")
        for i in range(40)
    ]
    mails += [
        Mail(
            at(TUE, 12), b"codes@s.test", b"c%d@partner.example" % i, "b",
            Priority.HIGH, deadline=at(TUE, 13),
        )
        for i in range(10)
    ]  # fmt: skip
    mails += [
        Mail(at(FRI, 10), b"autumn@s.test", b"%d@partner.example" % i, "b", Priority.BULK, "autumn")
        for i in range(50)
    ]
    mails += [Mail(at(FRI, 9), b"news@s.test", b"nobody%d@a.example" % i) for i in range(300)]
    return sorted(mails, key=lambda mail: mail.at)


class Commits:
    """Counts what is on its way to the spool: no time passes meanwhile."""

    def __init__(self) -> None:
        self.under_way = 0
        self.committer: Committer | None = None

    def __call__(self, committer: Committer) -> "Commits":
        self.committer = committer
        return self

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        self.under_way += 1
        assert self.committer is not None

        def ended(error: SpoolError | None) -> None:
            self.under_way -= 1
            done(error)

        self.committer.submit(change, ended)


class Watch(Sink):
    """A sink that looks at the clock."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.log: list[tuple[float, str]] = []
        """When, and from whom."""

    async def take(self, mail: Sunk) -> None:
        sender = mail.mail.split(b"<")[1].split(b">")[0]
        self.log.append((self._clock.now(), sender.decode()))
        await super().take(mail)

    def of(self, sender: str) -> list[float]:
        """When mail of a sender came."""
        return [when for when, who in self.log if who == sender]


class Log(list[trace.Event]):
    """Events, and when they were."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.times: list[float] = []

    def append(self, event: trace.Event) -> None:
        self.times.append(self._clock.now())
        super().append(event)


@dataclass
class Week:
    """What there is to look at when it is over."""

    clock: FakeClock
    a: Watch
    b: Watch
    events: "Log" = field(init=False)
    left: int = 0

    def __post_init__(self) -> None:
        self.events = Log(self.clock)

    def told(self, kind: type[E]) -> list[E]:
        """Events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def of_kind(self, kind: str) -> int:
        """Reports of a kind."""
        return sum(each.kind == kind for each in self.told(trace.Reported))

    def count(self, kind: type[trace.Event]) -> int:
        """How many events of a kind there are."""
        return len(self.told(kind))


async def live(week: Week, folder: Path, commits: Commits) -> None:
    """The week, from its first second to its last."""
    clock = week.clock
    week.a.script.replies.update(
        {b"RCPT TO:<nobody": b"550 5.1.1 No such user", b"RCPT TO:<full@": b"450 4.2.2 Mailbox full"}
    )
    week.a.script.once.update({b"RCPT TO:<grey%d@" % day: b"450 4.7.1 Greylisted" for day in range(7)})
    async with week.a, week.b:
        limit = Limit(Scope.ROUTE, Unit.MESSAGES, A_MINUTE, MINUTE)
        routes = (
            route_to(week.b.port, "b", recipients=("partner.example",), expire_s=float(DAY)),
            route_to(week.a.port, "a", limits=(limit,), hours=(NIGHT,)),
        )
        store = MemoryStore(SpoolOptions(folder, check_interval_s=3600.0))
        async with relaying(
            folder, *routes, clock=clock, store=store, committing=commits,
            before=lambda relay: setattr(relay, "events", week.events), report=ReportOptions("relay.test"), tick_s=20.0, weights={"summer": 2},
        ) as relay:  # fmt: skip
            outages = asyncio.gather(
                away(week.a, clock, at(WED, 8), at(WED, 14)), away(week.b, clock, at(TUE, 10), at(THU, 10))
            )
            pause = asyncio.ensure_future(suspend_autumn(relay, clock))
            await send(relay, clock)
            await asyncio.gather(outages, pause)
            await asyncio.sleep(at(SUN, 23, 59) - clock.now())
            week.left = len(relay.store.scan())


async def away(sink: Watch, clock: FakeClock, since: float, until: float) -> None:
    """Nobody answers there."""
    await asyncio.sleep(since - clock.now())
    await sink.close()
    await asyncio.sleep(until - clock.now())
    await sink.__aenter__()


async def suspend_autumn(relay: Relaying, clock: FakeClock) -> None:
    """As a postmaster does."""
    assert relay.deliverer is not None
    await asyncio.sleep(at(FRI, 9, 55) - clock.now())
    suspension = Suspension("campaign", "autumn", "not yet", "postmaster", clock.now(), at(SUN, 10))
    relay.deliverer.suspended.suspend(suspension, lambda _: None)


async def send(relay: Relaying, clock: FakeClock) -> None:
    """All of the week's traffic, each mail at its moment."""
    for mail in traffic():
        if mail.at > clock.now():
            await asyncio.sleep(mail.at - clock.now())
        await relay.send(
            Recipient(mail.to, mail.route),
            sender=mail.sender,
            priority=mail.priority,
            campaign=mail.campaign,
            account=mail.account,
            deadline=mail.deadline,
        )


def test_a_week_is_as_derived_by_hand(tmp_path: Path) -> None:
    clock, commits = FakeClock(MONDAY), Commits()
    week = Week(clock, Watch(clock), Watch(clock))
    run_hastily(live(week, tmp_path, commits), clock, lambda: commits.under_way > 0)
    whole(week)
    reports(week)
    retries(week)
    after_an_outage(week)
    at_its_time(week)


def whole(week: Week) -> None:
    """Each mail has one end, and no limit was exceeded."""
    assert week.left == 0 and week.count(trace.Held) == 0
    assert len(week.b.log) == 7 * 24 - 24 + 50
    from_us = week.of_kind("failed") + week.of_kind("delayed") + week.of_kind("digest")
    assert len(week.a.log) == 672 + 7 + 1200 + 5 + 40 + from_us
    assert week.count(trace.Failed) == 24 + 7 + 1 + 300 + 10
    everybody = [when for when, _ in week.a.log]
    most = max(bisect_left(everybody, when + MINUTE) - i for i, when in enumerate(everybody))
    assert most == A_MINUTE


def reports(week: Week) -> None:
    """Who was told of what."""
    told = Counter((each.sender, each.kind) for each in week.told(trace.Reported))
    assert told == {
        ("invoices@s.test", "failed"): 24,
        ("invoices@s.test", "delayed"): 44,
        ("orders@s.test", "failed"): 7 + 1,
        ("orders@s.test", "delayed"): 8 + 1,
        ("codes@s.test", "failed"): 10,
        ("news@s.test", "failed"): 20,
        ("news@s.test", "digest"): 1,
    }
    assert week.a.of("") and len(week.a.of("")) == sum(told.values())
    [digest] = [each for each in week.told(trace.Reported) if each.kind == "digest"]
    assert digest.recipients == 280


def retries(week: Week) -> None:
    """Greylisted ones come a minute later; the full mailbox is tried for five days."""
    deferred = Counter(each.recipients[0] for each in week.told(trace.Deferred))
    assert all(deferred.pop(f"grey{day}@a.example") == 1 for day in range(7))
    assert list(deferred) == ["full@a.example"]
    # 60, 120, 240, 480, 960, 1920 seconds, then an hour each: 6 and some 119 tries, none while `a` was away.
    assert 6 + 119 - 7 <= deferred["full@a.example"] <= 6 + 119 - 5
    [full] = [each for each in week.told(trace.Failed) if each.recipients == ("full@a.example",)]
    assert full.attempts == deferred["full@a.example"] + 1


def after_an_outage(week: Week) -> None:
    """What has waited goes by its worth, and nothing waits for another route."""
    back = at(WED, 14)
    assert all(when <= back + LATE_S for when in week.a.of("reset@s.test"))
    assert not [when for when, _ in week.a.log if at(WED, 8) <= when < back]
    # 5 resets, 25 orders and 8 notices are more than a minute's; bulk has its share beside them.
    late = [when for when in week.a.of("orders@s.test") if back <= when < at(WED, 14, 30)]
    assert len(late) == 6 * 4 and late[-1] <= back + LATE_S + 2 * MINUTE
    on_time = week.b.of("invoices@s.test")
    assert [when for when in on_time if when < at(TUE, 10)] == [at(0, hour, 30) for hour in range(34)]
    assert len([when for when in on_time if at(THU, 10) <= when <= at(THU, 10) + LATE_S]) == 24
    spring, summer = week.a.of("spring@s.test"), week.a.of("summer@s.test")
    # 1200 at 30 a minute, beside 38 others: 42 minutes.
    assert spring[-1] <= back + LATE_S + 42 * MINUTE
    assert abs(bisect_right(spring, summer[-1]) - 300) <= 2


def at_its_time(week: Week) -> None:
    """What has hours, a deadline or a suspension."""
    nightly = week.a.of("nightly@s.test")
    assert len(nightly) == 40 and at(MON, 22) <= nightly[0] and nightly[-1] <= at(MON, 22) + 2 * MINUTE
    assert not week.b.of("codes@s.test")
    codes = [
        when
        for when, event in zip(week.events.times, week.events, strict=True)
        if isinstance(event, trace.Failed) and event.recipients[0].startswith("c")
    ]
    assert len(codes) == 10 and all(at(TUE, 13) <= when <= at(TUE, 13) + MINUTE for when in codes)
    autumn = week.b.of("autumn@s.test")
    assert len(autumn) == 50 and at(SUN, 10) <= autumn[0] and autumn[-1] <= at(SUN, 10) + MINUTE
