"""A run of the demo as it should be, made by hand: each test spoils one thing of it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from relay.cli.demo_client import Sending
from relay.cli.demo_log import Log
from relay.cli.demo_mail import message_id
from relay.cli.demo_plan import (
    A_DAY,
    BILLING,
    MAILERS,
    ORDERS,
    OUTSIDE_A_DAY,
    PRIORITIES,
    Kind,
    Mail,
    Plan,
    plan,
)
from relay.cli.demo_verdict import Arrivals, Run
from relay.cli.queue_list import Line as QueueLine
from relay.cli.queue_list import RecipientLine
from relay.simulator.ledger import Kept
from relay.simulator.report import OfMailbox, Report

ENDED_AT = 1_800_000_000.0
DAY = plan(80)
DENIED = "554 5.2.252 SendAsDenied; orders not allowed to send as billing [Hostname=X] (Run Add-RecipientPermission)"


def staying(day: Plan) -> list[Mail]:
    """The mails that wait: of the newsletters to the outside the last ones."""
    outside = [mail for mail in day.mails if mail.number in day.outside_newsletters]
    return [*day.of(Kind.INVOICE), *outside[day.outside_that_leave :]]


def good_run(day: Plan = DAY) -> Run:
    """Exactly as planned."""
    stay = staying(day)
    left = [mail for mail in day.mails if mail not in stay]
    return Run(
        day,
        Sending([0.01] * len(day.mails)),
        Arrivals(Counter(mail.number for mail in left), 0),
        [kept(mail) for mail in left],
        report(left),
        log(day.mails, left),
        [waiting(mail) for mail in stay],
        ENDED_AT,
        10.0,
    )


def kept(mail: Mail) -> Kept:
    return Kept(
        mail.number, "submission", MAILERS[0], mail.sender, mail.recipients, message_id(mail), 1, 0.0, "S"
    )


def waiting(mail: Mail, status: str = "queued") -> QueueLine:
    recipients = [RecipientLine(each, "microsoft365", status) for each in mail.recipients]
    return QueueLine(id_of(mail), sender=mail.sender, recipients=recipients)


def id_of(mail: Mail) -> str:
    return f"id{mail.number}"


def report(left: list[Mail]) -> Report:
    outside = sum(len(mail.recipients) for mail in left if mail.is_outside)
    return Report(
        0.0, 600.0, len(left), sum(len(mail.recipients) for mail in left), outside, 1, 0, {"send_as": 1},
        {MAILERS[0]: OfMailbox(len(left), 0, 3, 30, 900, A_DAY - 900), ORDERS: OfMailbox(4, 1, 1, 4, 4, A_DAY - 4)},
        outside, OUTSIDE_A_DAY - outside, 0, {"submission": 4}, {"554 5.2.252 SendAsDenied; no": 1}, {}, {"issued": 1}, 1,
    )  # fmt: skip


def log(mails: tuple[Mail, ...], left: list[Mail], reset_s: float = 0.05) -> Log:
    waits = {"high": reset_s, "normal": 0.02, "bulk": 9.0}
    lines: list[dict[str, object]] = []
    for mail in left:
        # The deliverer's line may stand before the receiver's.
        lines.append({"event": "delivered", "id": id_of(mail), "seconds": waits[PRIORITIES[mail.kind]]})
    for mail in mails:
        lines.append({"event": "accepted", "id": id_of(mail), "message_id": message_id(mail)})
    lines += [
        {"event": "breaker_opened", "scope": "sender as", "key": f"{ORDERS} as {BILLING}", "reason": DENIED, "until": 0.0},
        {"event": "throttled", "limit": "the limit of 30 messages in 2 s of the mailbox x", "until": ENDED_AT + 1},
        {"event": "throttled", "limit": "the limit of 1000 external recipients in 2880 s of the tenant",
         "until": ENDED_AT + 2800},
    ]  # fmt: skip
    made = Log(Path("nowhere"))
    made.take([json.dumps(line).encode() for line in lines])
    return made


def with_line(run: Run, **line: object) -> Run:
    """The same, and the relay said this, too."""
    run.log.take([json.dumps(line).encode()])
    return run


def without(run: Run, mail: Mail) -> Run:
    """The same, but this mail neither arrived nor waits."""
    whole = Counter({number: times for number, times in run.arrivals.whole.items() if number != mail.number})
    return replace(run, arrivals=replace(run.arrivals, whole=whole))
