"""The reporter: who is told of what became of a mail, and the mails that tell him.

    failed for good ──► told now, listed for a digest, or nobody wants to know ──► FAILED, and gone
                   └──► nobody may be told, or no way leads to him             ──► stays held

It decides and composes; whoever asks commits what it returns together with the end of the
mail, so that neither can be lost without the other (`relay.spool.change.Report`).

Nobody is ever told of a report: not the null sender, and not the sender of what says that it
is an answer, as all of ours do (RFC 5321 section 6.1, RFC 3834 section 2). So reports cannot
go round in circles, whatever their envelope sender is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import structs

from relay.budget.row import Row
from relay.deliver import fate
from relay.deliver.order import Arrived, Cancel, Order
from relay.deliver.outcome import Outcome
from relay.deliver.quota import Quota
from relay.deliver.report_options import ReportOptions, Unreportable
from relay.deliver.settlement import Told, Via
from relay.deliver.work import Work
from relay.m365.preset import Kind
from relay.message.digest import Failure, compose_digest
from relay.message.dsn import compose
from relay.message.dsn_words import bounded_reply
from relay.message.envelope import Envelope, Recipient
from relay.message.notify import Action, is_answer, is_wanted
from relay.message.queue_id import QueueIdSource, format_id
from relay.message.report import Author, Fate, Report
from relay.message.seven_bit import shown
from relay.route.report_way import Way, way_to
from relay.route.route import Failed
from relay.route.table import RouteTable
from relay.spool.change import Accept, RecipientState, Status
from relay.trace import event as trace

NAMED_MAX = 5
"""Recipients of one mail that a digest names."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail that tells of no end, and the rows that count it."""

    mail: Accept
    rows: list[Row]


class Reporter:
    """Of one process."""

    def __init__(
        self,
        options: ReportOptions,
        routes: RouteTable,
        ids: QueueIdSource,
        quota: Quota,
        record: trace.Record,
        is_known: Callable[[int], bool],
    ) -> None:
        """`ids` are of the deliverer's own slot; `is_known`: the spool has a mail of that id."""
        self._options = options
        self._routes = routes
        self._ids = ids
        self._quota = quota
        self._record = record
        self._is_known = is_known

    # Ends.

    def settle(self, work: Work, outcome: Outcome, via: Via, now: float) -> Told | None:
        """Let recipients that are held fail for good, where their sender is told; what is to be committed with it.

        Changes the outcome and the work's states. None: nothing of that.
        """
        if not outcome.failures or work.job.lane.route.failed is Failed.HOLD:
            return None
        if not self.may_answer(work.envelope, work.transaction.head):
            return self._unreportable(work, outcome)
        recipients = work.envelope.recipients
        wanted = [i for i in outcome.failures if is_wanted(recipients[i].notify, Action.FAILED)]
        told = (
            self._tell(work, outcome, wanted, via, now) if wanted else Told(None, (), "nobody wants to know")
        )
        if told is not None:
            _fail(work, outcome)
        return told

    def may_answer(self, envelope: Envelope, head: bytes) -> bool:
        """Whether the sender may be told anything."""
        return bool(envelope.sender) and not is_answer(head)

    def _unreportable(self, work: Work, outcome: Outcome) -> Told | None:
        if self._options.unreportable is Unreportable.HOLD:
            return None
        _fail(work, outcome)
        return Told(None, (), "nobody may be told, and such mail is dropped")

    def _tell(self, work: Work, outcome: Outcome, wanted: Sequence[int], via: Via, now: float) -> Told | None:
        envelope = work.envelope
        way = self._way(envelope)
        if way is None:
            return None
        rows = self._quota.report(envelope.sender, now)
        if rows is None:
            rows = self._quota.enlist(envelope.sender, _first_listed(work, outcome, wanted, now))
            return None if rows is None else Told(None, tuple(rows), "it is listed in a digest")
        given = (work.transaction.mail_reply, work.transaction.final, *work.transaction.rcpt_replies)
        fates = [
            fate.failed(
                envelope.recipients[i],
                failure,
                via.host,
                fate.is_from_server(failure.reply, given),
                now,
            )
            for i in wanted
            if (failure := outcome.failures[i])
        ]
        mail = self._report(Action.FAILED, envelope, work.transaction.head, fates, way, now)
        return Told(mail, tuple(rows), f"told in {format_id(mail.envelope.id)}")

    def ended(
        self, order: Order, envelope: Envelope, head: Callable[[], bytes], indices: Sequence[int], now: float
    ) -> Told | None:
        """An order is the end for these recipients; None: that concerns nobody but who gave it. RecordDamaged."""
        action = Action.RELAYED if isinstance(order, Arrived) else Action.FAILED
        recipients = envelope.recipients
        wanted = [i for i in indices if is_wanted(recipients[i].notify, action)]
        if isinstance(order, Arrived):
            # Others know RFC 3461, and tell of a delivery themselves.
            wanted = [i for i in wanted if self._is_plain(recipients[i].route)]
        if not wanted:
            return Told(None, (), "nobody wants to know")
        content = head()
        if not self.may_answer(envelope, content):
            return Told(None, (), "nobody may be told")
        way = self._way(envelope)
        if way is None:
            return Told(None, (), "no way leads to its sender")
        fates = [_fate(order, recipients[i], now) for i in wanted]
        rows = self._quota.report(envelope.sender, now)
        if rows is None:
            if action is Action.RELAYED:
                return Told(None, (), "its sender has had too many reports this hour")
            rows = self._quota.enlist(envelope.sender, _listed(envelope, fates[0], wanted, now))
            why = "its sender has had too many reports" if rows is None else "it is listed in a digest"
            return Told(None, tuple(rows or ()), why)
        mail = self._report(action, envelope, content, fates, way, now)
        return Told(mail, tuple(rows), f"told in {format_id(mail.envelope.id)}")

    def _is_plain(self, name: str) -> bool:
        route = self._routes.get(name)
        return route is None or route.kind is Kind.SMTP

    # Notices.

    def relayed(self, work: Work, outcome: Outcome, via: Via, now: float) -> Notice | None:
        """The next hop has it and sends no notifications, and some sender wants to know (RFC 3461 section 5.2.2)."""
        recipients = work.envelope.recipients
        wanted = [i for i in outcome.delivered if is_wanted(recipients[i].notify, Action.RELAYED)]
        if not wanted:
            return None
        fates = [fate.relayed(recipients[i], via.host, now) for i in wanted]
        return self._notice(Action.RELAYED, work.envelope, work.transaction.head, fates, now)

    def delayed(
        self,
        envelope: Envelope,
        head: bytes,
        states: Sequence[RecipientState | None],
        indices: Sequence[int],
        until: float,
        now: float,
    ) -> Notice | None:
        """Recipients at `indices` still wait and are tried until then; `states` are of all."""
        wanted = [i for i in indices if is_wanted(envelope.recipients[i].notify, Action.DELAYED)]
        if not wanted:
            return None
        fates = [fate.delayed(envelope.recipients[i], states[i]) for i in wanted]
        return self._notice(Action.DELAYED, envelope, head, fates, now, until)

    def digests(self, now: float, limit: int) -> tuple[list[Notice], list[Row]]:
        """Digests that are due, looking at so many windows; and rows of windows that are over."""
        owed, rows = self._quota.ended(now, limit)
        notices = []
        for sender in owed:
            way = self._way_to(sender)
            if way is None:
                self._quota.postpone(sender, now)
                self._record(trace.Unreported("", shown(sender), "no route leads there"))
                continue
            failures, beyond, counted = self._quota.digest(sender, now)
            id, name = self._new_id()
            content = compose_digest(sender, failures, beyond, self._author(way), name, now)
            mail = self._accept(id, name, sender, way, content, now)
            self._record(
                trace.Reported(name, "", shown(sender), "digest", len(failures) + beyond, way.route.name)
            )
            notices.append(Notice(mail, counted))
        return notices, rows

    # Mails.

    def _notice(
        self,
        action: Action,
        envelope: Envelope,
        head: bytes,
        fates: Sequence[Fate],
        now: float,
        until: float = 0.0,
    ) -> Notice | None:
        """Within the quota, or not at all: nothing is lost without it."""
        if not self.may_answer(envelope, head):
            return None
        way = self._way(envelope)
        rows = None if way is None else self._quota.report(envelope.sender, now)
        if way is None or rows is None:
            return None
        return Notice(self._report(action, envelope, head, fates, way, now, until), rows)

    def _report(
        self,
        action: Action,
        envelope: Envelope,
        head: bytes,
        fates: Sequence[Fate],
        way: Way,
        now: float,
        until: float = 0.0,
    ) -> Accept:
        about = format_id(envelope.id)
        report = Report(action, envelope, about, fates, head, now, until)
        id, name = self._new_id()
        content = compose(report, self._author(way), name, now, self._options.returned_bytes)
        self._record(
            trace.Reported(name, about, shown(envelope.sender), action.value, len(fates), way.route.name)
        )
        return self._accept(id, name, envelope.sender, way, content, now)

    def _way(self, envelope: Envelope) -> Way | None:
        way = self._way_to(envelope.sender)
        if way is None:
            reason = "no route leads there that takes a report; see [report] route and sender"
            self._record(trace.Unreported(format_id(envelope.id), shown(envelope.sender), reason))
        return way

    def _way_to(self, sender: bytes) -> Way | None:
        options = self._options
        return way_to(sender, self._routes, options.route, options.sender, options.from_address)

    def _author(self, way: Way) -> Author:
        return Author(self._options.hostname, self._options.author(way.sender.decode()))

    def _new_id(self) -> tuple[int, str]:
        id = self._ids.next()
        # The clock may have been set back since an earlier process gave this one.
        while self._is_known(id):
            id = self._ids.next()
        return id, format_id(id)

    def _accept(self, id: int, name: str, to: bytes, way: Way, content: bytes, now: float) -> Accept:
        message_id = f"<{name}@{self._options.hostname}>".encode()
        # NEVER: where our sender is no null one, the next hop must not answer it either.
        recipient = Recipient(to, way.route.name, notify=b"NEVER")
        return Accept(
            Envelope(
                id,
                way.sender,
                (recipient,),
                now,
                len(content),
                1,
                client="",
                is_utf8=not to.isascii(),
                message_id=message_id,
            ),
            content,
        )


def _fail(work: Work, outcome: Outcome) -> None:
    for index in outcome.failures:
        work.states[index] = structs.replace(work.states[index], status=Status.FAILED)
    outcome.failed = list(outcome.failures)
    outcome.held = [index for index in outcome.held if index not in outcome.failures]


def _fate(order: Order, recipient: Recipient, now: float) -> Fate:
    match order:
        case Cancel(reason=reason):
            return fate.cancelled(recipient, reason)
        case Arrived():
            return fate.relayed(recipient, "", now)
    return fate.unknown(recipient, now)


def _first_listed(work: Work, outcome: Outcome, wanted: Sequence[int], now: float) -> Failure:
    envelope = work.envelope
    failure = outcome.failures[wanted[0]]
    given = (work.transaction.mail_reply, work.transaction.final, *work.transaction.rcpt_replies)
    told = fate.failed(
        envelope.recipients[wanted[0]], failure, "", fate.is_from_server(failure.reply, given), now
    )
    return _listed(envelope, told, wanted, now)


def _listed(envelope: Envelope, told: Fate, wanted: Sequence[int], now: float) -> Failure:
    return Failure(
        now,
        format_id(envelope.id),
        shown(envelope.message_id)[:200],
        tuple(shown(envelope.recipients[i].address) for i in wanted[:NAMED_MAX]),
        len(wanted),
        bounded_reply(told.reply)[:300] or told.meaning,
    )
