"""Conclusions: what follows when an order is the end for recipients, beside that they are done with.

Who is cancelled with a report, settled as arrived or given up is told of to the sender, as far
as he wants to know; the log and the history learn of a delivery, or of a failure, as if the
next hop had said so.
"""

from collections.abc import Callable, Sequence

from relay.deliver.order import Arrived, Cancel, GiveUp, Order, settled_text
from relay.deliver.settlement import Reports, Told
from relay.errors import RecordDamaged, SpoolError
from relay.message.envelope import Envelope
from relay.message.queue_id import format_id
from relay.spool.change import Change, Report
from relay.spool.handover import Queued
from relay.trace import event as trace

Head = Callable[[], bytes]
"""Reads a mail's first content record; RecordDamaged."""


def is_told(order: Order) -> bool:
    """Whether anybody but the postmaster is to learn of it."""
    match order:
        case Cancel(is_told=is_told):
            return is_told
        case Arrived() | GiveUp():
            return True
    return False


def tell(
    reports: Reports, order: Order, envelope: Envelope, head: Head, indices: Sequence[int], now: float
) -> Told | None:
    """What is to be committed with the end of these recipients; None: nobody is told."""
    if not indices or not is_told(order):
        return None
    try:
        return reports.of_order(order, envelope, head, indices, now)
    except RecordDamaged:
        # Who it was for, and whether it was an answer itself, nobody can say.
        return None


def has_rows(told: Told | None) -> bool:
    """There is something to be committed with the end."""
    return told is not None and (told.mail is not None or bool(told.rows))


def with_report(change: Change, told: Told | None) -> Change:
    """The end of a mail, and the mail that tells of it."""
    if told is None or not has_rows(told):
        return change
    return Report(change, told.mail, told.rows)  # type: ignore[arg-type]  # only Record and Remove are ends


def events(
    order: Order,
    envelope: Envelope,
    attempts: Sequence[int],
    indices: Sequence[int],
    told: Told | None,
    now: float,
) -> list[trace.Event]:
    """What has become of these recipients; `attempts` are of all."""
    if not isinstance(order, Arrived | GiveUp):
        return []
    id, reply = format_id(envelope.id), settled_text(order)
    groups: dict[tuple[str, int], list[str]] = {}
    for index in indices:
        recipient = envelope.recipients[index]
        name = recipient.address.decode("utf-8", "backslashreplace")
        groups.setdefault((recipient.route, attempts[index]), []).append(name)
    found: list[trace.Event] = []
    for (route, tried), names in groups.items():
        if isinstance(order, Arrived):
            seconds = now - envelope.received_at
            found.append(trace.Delivered(id, tuple(names), route, "", reply, tried, seconds))
        else:
            why = "nobody is told" if told is None else told.why
            found.append(trace.Failed(id, tuple(names), route, "", reply, tried, why))
    return found


def born(reports: Reports, told: Told | None) -> None:
    """The report is on the disk: it goes like any mail."""
    if told is not None and told.mail is not None:
        reports.born(Queued.of(told.mail.envelope))


def noticed(
    reports: Reports, told: Told, envelope: Envelope, record: trace.Record, error: SpoolError | None
) -> None:
    """A report that was committed by itself is there, or will never be."""
    if error is None:
        born(reports, told)
        return
    sender = envelope.sender.decode("utf-8", "replace")
    record(trace.Unreported(format_id(envelope.id), sender, str(error)))
