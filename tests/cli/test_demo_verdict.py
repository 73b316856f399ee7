"""The demo's verdict: good only when all is exactly as planned."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from relay.cli.demo_client import Sending
from relay.cli.demo_mail import content
from relay.cli.demo_plan import BILLING, FEWEST, ORDERS, Kind, plan
from relay.cli.demo_verdict import Run, count, problems
from relay.simulator.report import Report
from tests.cli.demo_run import DAY, good_run, kept, log, staying, waiting, with_line, without

INSIDE = next(mail for mail in DAY.mails if mail.number not in DAY.outside_newsletters)
WAITS = staying(DAY)[-1]


@pytest.mark.parametrize("newsletters", [FEWEST, 80, 1200])
def test_as_planned_is_good(newsletters: int) -> None:
    assert problems(good_run(plan(newsletters))) == []


def test_which_newsletters_to_the_outside_go_first_does_not_matter() -> None:
    run = good_run()
    went = next(mail for mail in DAY.mails if mail.number in DAY.outside_newsletters)
    whole = run.arrivals.whole - Counter([went.number]) + Counter([WAITS.number])
    queue = [waiting(went), *(line for line in run.queue if line.id != waiting(WAITS).id)]
    assert problems(replace(run, arrivals=replace(run.arrivals, whole=whole), queue=queue)) == []


def told(run: Run, **changes: object) -> Run:
    """The tenant tells something else."""
    return replace(run, report=msgspec.convert(msgspec.to_builtins(run.report) | changes, Report))


SPOILT: list[tuple[str, str, Callable[[Run], Run]]] = [
    ("refused", "accepted", lambda run: replace(run, sending=Sending([0.1] * 3, ["452 4.3.1 full"]))),
    ("lost", "nothing should hold", lambda run: without(run, INSIDE)),
    ("twice", "arrived twice", lambda run: replace(run, arrivals=replace(
        run.arrivals, whole=run.arrivals.whole + Counter([INSIDE.number])))),
    ("altered", "1 altered", lambda run: replace(run, arrivals=replace(run.arrivals, altered=1))),
    ("wrong recipient", "others than", lambda run: replace(
        run, kept=[kept(replace(INSIDE, recipients=("x@y",)))])),
    ("denied mail arrives", "may not use", lambda run: replace(run, arrivals=replace(
        run.arrivals, whole=run.arrivals.whole + Counter([DAY.of(Kind.INVOICE)[0].number])))),
    ("too much goes outside", "leaves 1 over" if DAY.outside_that_wait == 1 else "to the outside wait",
     lambda run: replace(run, arrivals=replace(
        run.arrivals, whole=run.arrivals.whole + Counter([WAITS.number])))),
    ("the queue forgot one", "the queue has", lambda run: replace(run, queue=run.queue[1:])),
    ("held", "is held", lambda run: replace(run, queue=[*run.queue[:-1], waiting(WAITS, "held")])),
    ("432", "were violated", lambda run: told(run, violations={"send_as": 1, "messages": 1})),
    ("blocked", "one SendAsDenied", lambda run: told(
        run, refusals={"554 5.2.252 SendAsDenied; no": 1, "550 5.2.252 Sender throttled": 1})),
    ("refused twice", "were violated", lambda run: told(run, violations={"send_as": 2})),
    ("another refusal", "one SendAsDenied", lambda run: told(run, refusals={"550 5.7.233 no": 1})),
    ("duplicates", "got a mail twice", lambda run: told(run, duplicates=1)),
    ("a wrong budget", "are left", lambda run: told(run, external_recipients_left=1)),
    ("deferred", "put mail off", lambda run: with_line(run, event="deferred", id="x")),
    ("another stop", "it stopped", lambda run: with_line(
        run, event="breaker_opened", scope="sender", key=ORDERS, reason="430", until=1.0)),
    ("slow resets", "longer than one send interval", lambda run: replace(
        run, log=log(DAY.mails, [mail for mail in DAY.mails if mail not in staying(DAY)], 0.2))),
    ("resets behind bulk", "a password reset waited", lambda run: replace(
        run, log=log(DAY.mails, [mail for mail in DAY.mails if mail not in staying(DAY)], 9.0))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "spoil"), [(w, s) for _, w, s in SPOILT], ids=[name for name, _, _ in SPOILT]
)
def test_what_is_not_as_planned_is_told(words: str, spoil: Callable[[Run], Run]) -> None:
    found = problems(spoil(good_run()))
    assert any(words in problem for problem in found), found


def test_a_limit_that_nobody_was_told_of_is_a_problem() -> None:
    run = good_run()
    run.log.throttled = run.log.throttled[:1]
    assert problems(run) == ["it did not say that mail waits for the tenant's limit"]


def test_a_stop_that_was_not_told_is_a_problem() -> None:
    run = good_run()
    run.log.stopped.clear()
    assert problems(run) == [f"it stopped [], and {ORDERS} as {BILLING} alone was expected"]


def test_every_mail_that_arrived_is_looked_into() -> None:
    mail = DAY.mails[0]
    rest = b"".join(line for line in content(mail).splitlines(True) if not line.startswith(b"X-Relay-"))
    whole = b"Received: x\r\n" + rest
    arrivals = count(
        DAY, [whole, whole, content(mail), b"Subject: spam\r\n\r\n", b"X-Demo-Number: 999999\r\n"]
    )
    assert (arrivals.whole, arrivals.altered, arrivals.twice) == (Counter({0: 2}), 3, 1)
