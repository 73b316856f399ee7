"""The demo's summary: what was used and left, what waits and why, and when the rest would leave.

Each number is the tenant's or the relay's own: the simulator's report, the relay's log
and its queue. Times are the tenant's.
"""

from collections.abc import Iterator

from msgspec import Struct

from relay.cli.demo_plan import A_DAY, A_MINUTE, INTERVAL_S, OUTSIDE_A_DAY, PRIORITIES, SPEED, Kind
from relay.cli.demo_verdict import Run, middle, problems


class OfMailbox(Struct, frozen=True):
    """One mailbox."""

    mailbox: str
    sent: int
    refused: int
    peak_a_minute: int
    limit_a_minute: int
    recipients_used: int
    recipients_left: int
    """Of the 24 hours."""


class Outside(Struct, frozen=True):
    """Recipients outside of the tenant, of 24 hours."""

    limit: int
    used: int
    left: int


class OfPriority(Struct, frozen=True):
    """How long mails waited, from the relay's 250 to Microsoft's."""

    priority: str
    mails: int
    p50_s: float
    max_s: float


class Waiting(Struct, frozen=True):
    """Mail that stays."""

    what: str
    mails: int
    why: str
    leaves_in_s: float | None
    """When the first of it does; None: not before somebody acts."""
    next_step: str


class Summary(Struct, frozen=True):
    """All of it."""

    is_as_expected: bool
    problems: list[str]
    seconds: float
    """On this machine's clock."""
    tenant_seconds: float
    speed: int
    mails: int
    accepted: int
    delivered: int
    twice: int
    altered: int
    accept_p50_ms: float
    accept_p99_ms: float
    send_interval_s: float
    mailboxes: list[OfMailbox]
    outside: Outside
    priorities: list[OfPriority]
    waiting: list[Waiting]
    folder: str


def summarise(run: Run, folder: str) -> Summary:
    """What is shown, and printed by --json."""
    report, found = run.report, problems(run)
    answers = sorted(run.sending.accept_s) or [0.0]
    left = report.external_recipients_left or 0
    return Summary(
        is_as_expected=not found,
        problems=found,
        seconds=run.seconds,
        tenant_seconds=run.seconds * SPEED,
        speed=SPEED,
        mails=len(run.plan.mails),
        accepted=len(run.sending.accept_s),
        delivered=report.accepted,
        twice=run.arrivals.twice,
        altered=run.arrivals.altered,
        accept_p50_ms=middle(answers) * 1000,
        accept_p99_ms=answers[len(answers) * 99 // 100] * 1000,
        send_interval_s=INTERVAL_S,
        mailboxes=list(_mailboxes(run)),
        outside=Outside(OUTSIDE_A_DAY, OUTSIDE_A_DAY - left, left),
        priorities=list(_priorities(run)),
        waiting=[*_denied(run), *_beyond(run)],
        folder=folder,
    )


def _mailboxes(run: Run) -> Iterator[OfMailbox]:
    for address, each in run.report.mailboxes.items():
        left = each.recipients_left or 0
        yield OfMailbox(
            address, each.accepted, each.refused, each.peak_messages, A_MINUTE, A_DAY - left, left
        )


def _priorities(run: Run) -> Iterator[OfPriority]:
    for kind in (Kind.RESET, Kind.ORDER, Kind.NEWSLETTER):
        times = run.waits_s(kind)
        if times:
            yield OfPriority(PRIORITIES[kind], len(times), middle(times) * SPEED, times[-1] * SPEED)


def _denied(run: Run) -> Iterator[Waiting]:
    """Mail of senders that have stopped, with the relay's own sentence."""
    for stopped in run.log.stopped:
        mailbox, _, sender = stopped.key.partition(" as ")
        mails = sum(line.sender == sender for line in run.queue)
        grant = f"Add-RecipientPermission {sender} -Trustee {mailbox} -AccessRights SendAs"
        leaves_in_s = (stopped.until - run.ended_at) * SPEED if stopped.until else None
        yield Waiting(
            f"mails from {sender}",
            mails,
            stopped.reason,
            leaves_in_s,
            f"{grant}  (Exchange Online PowerShell), then: systemctl reload m365-relay",
        )


def _beyond(run: Run) -> Iterator[Waiting]:
    """Mail to the outside that the tenant's limit has no room for."""
    outside = run.waiting & run.plan.outside_newsletters
    told = [line for line in run.log.throttled if "external" in line.limit]
    if outside and told:
        last = max(told, key=lambda line: line.until)
        yield Waiting(
            "newsletters to the outside",
            len(outside),
            f"{last.limit}, which are the tenant's 24 hours; a part of it is kept for urgent mail",
            (last.until - run.ended_at) * SPEED,
            "nothing: they leave by themselves. With more licences the limit is larger",
        )
