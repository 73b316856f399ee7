"""Reporting at work: reports of ends, notices of delays and digests find their way into the spool.

The parts decide (`reporter`, `quota`, `delays`); here is what they share: the ids, the rows
of the spool at the start, the committer, and who is told when a report is there.
"""

from collections.abc import Callable
from functools import partial

from relay.clock import Clock
from relay.deliver.delays import Delays
from relay.deliver.gate import CallLater
from relay.deliver.outcome import Outcome
from relay.deliver.quota import Quota
from relay.deliver.report_options import ReportOptions
from relay.deliver.reporter import Notice, Reporter
from relay.deliver.settlement import Committer, Reports, Told, Via
from relay.deliver.suppressing import Suppressing
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.message.queue_id import DELIVERER_SLOT, QueueIdSource, format_id
from relay.route.table import RouteTable
from relay.spool.change import Budget, Report
from relay.spool.handover import Queued
from relay.spool.spool import Spool
from relay.trace import event as trace

WINDOWS_SLICE = 1_000
"""Windows of senders looked at in one tick, about a millisecond; the rest a tick later."""


class Reporting:
    """Of one process."""

    def __init__(
        self,
        options: ReportOptions,
        routes: RouteTable,
        spool: Spool,
        committer: Committer,
        record: trace.Record,
        clock: Clock,
        later: CallLater,
        retry_s: float,
        is_known: Callable[[int], bool],
        born: Callable[[Queued], None],
    ) -> None:
        """`is_known`: a mail of that id waits; `born` is told of each report that is in the spool; SpoolError."""
        self._committer = committer
        self._record = record
        self._clock = clock
        self._later = later
        self._retry_s = retry_s
        self._born = born
        rows = spool.budget_rows().rows
        quota = Quota(options.per_sender_per_hour, rows)
        ids = QueueIdSource(DELIVERER_SLOT, clock, spool.last_id(DELIVERER_SLOT))
        self._reporter = Reporter(options, routes, ids, quota, record, is_known)
        self.delays = Delays(
            spool, routes, options.delay_after_s, self._reporter, committer, clock, rows, born
        )
        self.suppressing = Suppressing(
            options.suppress_s, spool, lambda change: committer.submit(change, _whatever), record, clock
        )
        self.reports = Reports(self._failed, self._relayed, self._reporter.ended, born)

    def tick(self) -> None:
        """Digests whose hour has come."""
        notices, rows = self._reporter.digests(self._clock.now(), WINDOWS_SLICE)
        if rows:
            # Lost, they are found at the next start, over again.
            self._committer.submit(Budget(tuple(rows)), _whatever)
        for notice in notices:
            self._send(_change(notice))

    def _failed(self, work: Work, outcome: Outcome, via: Via, now: float) -> Told | None:
        self.suppressing.enter(work.envelope, outcome.failures, now)
        return self._reporter.settle(work, outcome, via, now)

    def _relayed(self, work: Work, outcome: Outcome, via: Via, now: float) -> None:
        """Before the end of the mail is submitted: a crash repeats the delivery, and never loses the notice."""
        notice = self._reporter.relayed(work, outcome, via, now)
        if notice is not None:
            self._committer.submit(_change(notice), partial(self._noticed, work, notice))

    def _noticed(self, work: Work, notice: Notice, error: SpoolError | None) -> None:
        if error is None:
            self._born(Queued.of(notice.mail.envelope))
            return
        name, sender = format_id(work.envelope.id), work.envelope.sender.decode("utf-8", "replace")
        self._record(trace.Unreported(name, sender, str(error)))

    def _send(self, change: Report) -> None:
        self._committer.submit(change, partial(self._sent, change))

    def _sent(self, change: Report, error: SpoolError | None) -> None:
        if error is not None:
            # Until it is there, the spool has what it lists: a restart makes it anew.
            self._later(self._retry_s, partial(self._send, change))
        elif change.mail is not None:
            self._born(Queued.of(change.mail.envelope))


def _change(notice: Notice) -> Report:
    return Report(None, notice.mail, tuple(notice.rows))


def _whatever(error: SpoolError | None) -> None:
    """The rows say nothing any more, or are entered when the address fails again."""
