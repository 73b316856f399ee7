"""Prometheus text from the snapshots of all processes.

The only importer of prometheus_client. One table says name, kind, label and meaning of
each metric; what a process counts without standing here is not shown (a test holds both
together). Names follow prometheus.io/docs/practices/naming.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from relay.trace import snapshot
from relay.trace.snapshot import Snapshot
from relay.trace.tally import Counts, Histogram

PREFIX = "m365_relay_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS = {
    "mails_accepted": "Mails answered with 250 after a durable commit.",
    "recipients_accepted": "Recipients of accepted mails.",
    "bytes_accepted": "Bytes of accepted mails.",
    "commit_bytes": "Bytes written by durable commits.",
    "commits_failed": "Commits that failed; every mail in them was answered with 4xx.",
    "spool_refusals": "Times the spool began to take no new mail.",
    "recipients_suppressed": "Addresses that failed for good, for which no mail is taken for a time.",
    "trace_questions": "Questions to Microsoft's message trace that settled nothing yet.",
    "trace_failures": "Times the message trace began not to answer.",
    "directory_failures": "Times the tenant's directory began not to be readable.",
    "records_quarantined": "Damaged spool records moved aside.",
    "devices_admitted": "Unknown devices that the learning mode let in for the first time.",
    "sightings_dropped": "Sightings of clients that the record does not have.",
    "campaigns_ended": "Campaigns of a hundred recipients or more of which nothing waits any more.",
    "history_dropped": "Steps that the history does not have, because its disk was too slow or failed.",
}
LABELLED = {
    "deliveries": ("route", "Transactions that a next hop took."),
    "delivered_recipients": ("route", "Recipients that a next hop took."),
    "deferred_recipients": ("route", "Recipients put off, counted each time."),
    "held_recipients": ("route", "Recipients kept until somebody decides."),
    "failed_recipients": ("route", "Recipients that failed for good, and were told of or listed."),
    "reports": ("kind", "Mails that tell senders what became of theirs."),
    "uncertain_deliveries": ("route", "Connections lost between the final dot and its reply."),
    "uncertain_held": ("route", "Of these, mails kept until somebody decides."),
    "mails_steered": (
        "do",
        "Mails that an order was carried out on: hold, release, retry, cancel and so on.",
    ),
    "commands": ("do", "Commands over the control socket that change something."),
    "spilled": ("route", "Mails that took the route named in spill."),
    "breakers_opened": ("scope", "Times that something stopped for a trouble, by what it was."),
    "limits_learnt": ("scope", "Changes of limits that nobody publishes."),
    "connections_opened": ("route", "Connections to a next hop that became ready for mail."),
    "connections_failed": ("route", "Connections to a next hop that failed."),
    "throttled": ("route", "Times that mail began to wait for a limit, a minute apart at least."),
    "sessions": ("listener", "Client sessions that ended."),
    "sessions_refused": ("listener", "Clients turned away before their first command."),
    "commands_refused": ("code", "Replies with 4xx or 5xx, by code."),
    "mails_repeated": (
        "outcome",
        "Mails whose idempotency key was taken before: answered again, or refused as another mail.",
    ),
    "logins": ("mechanism", "Logins of clients that succeeded."),
    "login_failures": ("reason", "Logins of clients that failed."),
    "spoofing_suspected": ("rule", "Mails that broke a rule about whose name they bear, and went on."),
    "clients_braked": ("reason", "Times that a client began to be held back or banned."),
    "devices_refused": ("reason", "Unknown devices inside the learning networks that could not be let in."),
    "signing_failures": ("domain", "Mails that DKIM should sign and could not."),
    "processes_ended": ("role", "Child processes that ended."),
    "webhook_requests": ("webhook", "Attempts to tell a batch."),
    "webhook_requests_failed": ("webhook", "Of these, what a receiver did not take."),
    "webhook_events": ("webhook", "Events that a receiver took, counted each time."),
    "webhook_gaps": ("webhook", "Times that the history had lost steps before they were told."),
    "webhook_missing_steps": ("webhook", "These steps, where their number is known."),
}
HISTOGRAMS = {
    "accept_seconds": "From the end of the data to the end of the commit.",
    "delivery_seconds": "From the acceptance to the next hop's reply.",
    "commit_seconds": "Duration of durable commits.",
    "commit_changes": "Changes (mails, settlements) in one durable commit.",
    "campaign_forecast_error_ratio": "How far a campaign's end was from what was foreseen first, as part of its time.",
    "connect_seconds": "Time until a connection to a next hop is ready for mail.",
}
GAUGES = {
    "queue_ready": "Jobs that wait for a connection.",
    "queue_deferred": "Jobs that wait for their next attempt.",
    "queue_postponed": "Jobs of these that their senders do not want to leave yet.",
    "queue_held": "Jobs kept until somebody decides.",
    "queue_oldest_seconds": "Age of the oldest job that waits.",
    "connections": "Connections to next hops that are open.",
    "lanes_throttled": "Lanes in which mail waits for a limit, or for its hours.",
    "breakers_open": "Mailboxes, routes, hosts and the like that have stopped for a trouble.",
    "suspensions": "Routes, mailboxes, campaigns and domains that somebody has suspended.",
    "history_rows": "Steps in the history.",
    "history_bytes": "Size of the history, without free pages.",
    "learning_until_timestamp_seconds": "When the learning mode ends, in seconds since the epoch; 0: it has.",
    "spool_refusing": "1 while the spool takes no new mail.",
}

LABELLED_GAUGES = {
    "credential_expiry_timestamp_seconds": (
        "credential", "When a secret or a certificate ends, in seconds since the epoch."
    ),
    "webhook_lag_steps": ("webhook", "Steps of the history that a webhook has not come to."),
    "webhook_lag_seconds": ("webhook", "Age of the first event that a receiver has not taken."),
    "webhook_failures": ("webhook", "Attempts in a row that failed."),
}  # fmt: skip


def text(folder: Path) -> bytes:
    """All metrics of the relay whose run folder this is, in Prometheus text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(snapshot.read(folder)))
    return generate_latest(registry)


class _Everything(Collector):
    """One scrape."""

    def __init__(self, snapshots: list[Snapshot]) -> None:
        self._snapshots = snapshots
        self._sums = Counts()
        for each in snapshots:
            snapshot.add(self._sums, each.counts)

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()
        yield from self._processes()

    def _counters(self) -> Iterator[Metric]:
        for name, meaning in COUNTERS.items():
            yield CounterMetricFamily(PREFIX + name, meaning, value=self._sums.counters.get(name, 0))
        for name, (label, meaning) in LABELLED.items():
            family = CounterMetricFamily(PREFIX + name, meaning, labels=[label])
            for value, count in self._sums.labelled.get(name, {}).items():
                family.add_metric([value], count)
            yield family

    def _histograms(self) -> Iterator[Metric]:
        for name, meaning in HISTOGRAMS.items():
            histogram = self._sums.histograms.get(name)
            if histogram is not None:
                family = HistogramMetricFamily(PREFIX + name, meaning)
                family.add_metric([], list(_buckets(histogram)), histogram.total)
                yield family

    def _gauges(self) -> Iterator[Metric]:
        for name, meaning in GAUGES.items():
            values = _values(name, self._snapshots)
            if values:
                # One deliverer tells of the queue; of several receivers the one in trouble is of interest.
                yield GaugeMetricFamily(PREFIX + name, meaning, value=max(values))
        for name, (label, meaning) in LABELLED_GAUGES.items():
            family = GaugeMetricFamily(PREFIX + name, meaning, labels=[label])
            for value, number in _labelled_values(name, self._snapshots).items():
                family.add_metric([value], number)
            yield family

    def _processes(self) -> Iterator[Metric]:
        cpu = CounterMetricFamily(PREFIX + "process_cpu_seconds", "Processor time used.", labels=["role"])
        memory = GaugeMetricFamily(PREFIX + "process_resident_bytes", "Memory in use.", labels=["role"])
        by_role = {each.role: each for each in self._snapshots if each.pid}
        for role, each in by_role.items():
            cpu.add_metric([role], each.cpu_seconds)
            memory.add_metric([role], each.resident_bytes)
        yield cpu
        yield memory


def _values(name: str, snapshots: Iterable[Snapshot]) -> list[float]:
    return [each.counts.gauges[name] for each in snapshots if each.pid and name in each.counts.gauges]


def _labelled_values(name: str, snapshots: Iterable[Snapshot]) -> dict[str, float]:
    """While one deliverer takes over from another, what the two agree on or either of them says."""
    found: dict[str, float] = {}
    for each in snapshots:
        if each.pid:
            found |= each.counts.labelled_gauges.get(name, {})
    return found


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    bounds = [str(bound) for bound in histogram.bounds] + ["+Inf"]
    return zip(bounds, accumulate(map(float, histogram.places)), strict=True)
