"""Whether a run of the demo came out exactly as planned; pure, a sentence for each thing that did not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relay.cli.demo_client import Sending
from relay.cli.demo_log import Log
from relay.cli.demo_mail import is_unaltered, message_id, number_of
from relay.cli.demo_plan import BILLING, INTERVAL_S, ORDERS, OUTSIDE_A_DAY, SPEED, Kind, Mail, Plan
from relay.cli.queue_list import Line as QueueLine
from relay.simulator.ledger import Kept
from relay.simulator.report import Report

MACHINE_S = 2.0
"""What two busy cores may add to one mail. A reset that stood behind the campaign would wait for most of it."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the tenant took, mail by mail."""

    whole: Counter[int]
    """How often each one came unaltered, by its number."""
    altered: int

    @property
    def twice(self) -> int:
        """How many came more than once."""
        return sum(times > 1 for times in self.whole.values())


@dataclass(frozen=True, slots=True)
class Run:
    """All that is known of a run when it is over."""

    plan: Plan
    sending: Sending
    arrivals: Arrivals
    kept: Sequence[Kept]
    """What the tenant says it took."""
    report: Report
    log: Log
    queue: Sequence[QueueLine]
    ended_at: float
    seconds: float

    @property
    def missing(self) -> frozenset[int]:
        """Numbers of the mails that have not arrived."""
        return frozenset(mail.number for mail in self.plan.mails) - self.arrivals.whole.keys()

    @property
    def waiting(self) -> frozenset[int]:
        """Numbers of the mails in the relay's queue."""
        numbers = {message_id(mail): mail.number for mail in self.plan.mails}
        accepted = self.log.accepted
        found = (accepted[line.id].message_id for line in self.queue if line.id in accepted)
        return frozenset(numbers[each] for each in found if each in numbers)

    def waits_s(self, kind: Kind) -> list[float]:
        """Seconds from the relay's 250 to Microsoft's, of each mail that arrived, in order."""
        return self.log.waits_s({message_id(mail) for mail in self.plan.of(kind)})


def count(plan: Plan, contents: Sequence[bytes]) -> Arrivals:
    """Look into every mail that arrived."""
    whole: Counter[int] = Counter()
    altered = 0
    for content in contents:
        number = number_of(content)
        if number is None or number >= len(plan.mails) or not is_unaltered(content, plan.mails[number]):
            altered += 1
        else:
            whole[number] += 1
    return Arrivals(whole, altered)


def problems(run: Run) -> list[str]:
    """Empty: it is exactly what was expected."""
    return [*_of_mails(run), *_of_waiting(run), *_of_tenant(run), *_of_relay(run), *_of_resets(run)]


def _of_mails(run: Run) -> Iterator[str]:
    accepted, arrivals = len(run.sending.accept_s), run.arrivals
    if accepted != len(run.plan.mails) or run.sending.refusals:
        yield f"the relay accepted {accepted} of {len(run.plan.mails)} mails; {run.sending.refusals[:1]}"
    if arrivals.twice or arrivals.altered:
        yield f"{arrivals.twice} mails arrived twice, {arrivals.altered} altered"
    if wrong := sum(not _is_addressed(kept, run.plan.mails) for kept in run.kept):
        yield f"{wrong} mails went to others than they were for"


def _is_addressed(kept: Kept, mails: Sequence[Mail]) -> bool:
    digits = kept.message_id.strip("<>").partition("@")[0]
    number = int(digits) if digits.isdigit() else len(mails)
    return number < len(mails) and sorted(kept.recipients) == sorted(mails[number].recipients)


def _of_waiting(run: Run) -> Iterator[str]:
    plan = run.plan
    # Which newsletters to the outside go first is the queue's matter; how many go is the tenant's.
    beyond = run.missing - plan.denied
    if not plan.denied <= run.missing:
        yield f"{len(plan.denied - run.missing)} mails arrived whose sender {ORDERS} may not use"
    if not beyond <= plan.outside_newsletters:
        yield f"{len(beyond - plan.outside_newsletters)} mails are missing that nothing should hold"
    waits = len(beyond & plan.outside_newsletters)
    if waits != plan.outside_that_wait:
        yield f"{waits} newsletters to the outside wait, and the limit leaves {plan.outside_that_wait} over"
    if run.waiting != run.missing or len(run.queue) != len(run.missing):
        yield f"{len(run.missing)} mails have not arrived, and the queue has {len(run.queue)}"
    states = {each.status for line in run.queue for each in line.recipients}
    if states - {"queued"}:
        yield f"mail in the queue is {', '.join(sorted(states))}, and waiting should count against none"


def _of_tenant(run: Run) -> Iterator[str]:
    report = run.report
    if report.violations != {"send_as": 1}:
        yield f"limits of the tenant were violated: {dict(report.violations)}, and send_as once was expected"
    refusals = dict(report.refusals)
    if sum(refusals.values()) != 1 or not all("SendAsDenied" in reply for reply in refusals):
        yield f"it refused {refusals}, and one SendAsDenied was expected"
    if report.duplicates:
        yield f"{report.duplicates} recipients got a mail twice"
    sent = sum(
        len(mail.recipients) for mail in run.plan.mails if mail.is_outside and mail.number not in run.missing
    )
    if report.external_recipients_left != OUTSIDE_A_DAY - sent:
        yield f"{sent} recipients outside, and {report.external_recipients_left} of {OUTSIDE_A_DAY} are left"


def _of_relay(run: Run) -> Iterator[str]:
    log = run.log
    if log.troubles:
        yield f"the relay put mail off: {log.troubles[0].event} {log.troubles[0].reason}"
    stopped = [(line.scope, line.key) for line in log.stopped]
    if stopped != [("sender as", f"{ORDERS} as {BILLING}")]:
        yield f"it stopped {stopped}, and {ORDERS} as {BILLING} alone was expected"
    if run.plan.outside_that_wait and not any("external" in line.limit for line in log.throttled):
        yield "it did not say that mail waits for the tenant's limit"


def _of_resets(run: Run) -> Iterator[str]:
    """A mailbox that has just sent a bulk mail takes a reset one interval later."""
    resets, others = run.waits_s(Kind.RESET), run.waits_s(Kind.ORDER)
    if not resets or not others:
        yield "no password reset arrived, or no other single mail to compare it with"
        return
    interval_s = INTERVAL_S / SPEED
    # The slowest of the mails that nothing held says what this machine takes for one.
    if middle(resets) > interval_s + others[-1]:
        yield f"password resets waited {middle(resets):.3f} s, longer than one send interval ({interval_s:.3f} s)"
    if resets[-1] > interval_s + MACHINE_S:
        yield f"a password reset waited {resets[-1]:.1f} s"


def middle(times: Sequence[float]) -> float:
    """The median, of times in order."""
    return times[len(times) // 2]
