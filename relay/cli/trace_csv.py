"""Steps as CSV (RFC 4180), a line each, for spreadsheets."""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from relay.cli.moment import iso
from relay.trace.history.mail import MailLine, StepLine

MAIL_COLUMNS = (
    "id", "message_id", "accepted_at", "sender", "client", "account", "campaign", "priority", "size",
)  # fmt: skip
STEP_COLUMNS = (
    "at", "event", "recipient", "route", "host", "identity", "remote", "session", "internal_id", "attempts",
    "next_attempt", "next_route", "reply",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(out: TextIO, mails: Iterable[MailLine]) -> None:
    """Head and lines."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((*MAIL_COLUMNS, *STEP_COLUMNS, "subject"))
    for mail in mails:
        for row in rows(mail):
            writer.writerow([safe(each) for each in row])


def rows(mail: MailLine) -> Iterator[tuple[object, ...]]:
    """A row a step; of a mail that nobody has tried yet, a row a recipient."""
    head = (
        mail.id, mail.message_id, iso(mail.accepted_at), mail.sender, mail.client, mail.account, mail.campaign,
        mail.priority, mail.size,
    )  # fmt: skip
    for step in mail.steps:
        yield (*head, *tail(step), mail.subject)
    if not mail.steps:
        for recipient in mail.recipients:
            blank = ("",) * (len(STEP_COLUMNS) - 3)
            yield (*head, iso(recipient.at), recipient.outcome, recipient.address, *blank, mail.subject)


def tail(step: StepLine) -> tuple[object, ...]:
    """What a step has of its own."""
    return (
        iso(step.at), step.event, step.recipient, step.route, step.host, step.identity, step.remote, step.session,
        step.internal_id, step.attempts, None if step.next_attempt is None else iso(step.next_attempt),
        step.next_route, step.reply,
    )  # fmt: skip


def safe(value: object) -> object:
    """A spreadsheet takes what begins like a formula for one, and a client chooses its sender and campaign."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
