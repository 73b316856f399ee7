"""Counting events in plain Python.

An event costs a dictionary look-up and some additions (under 1 µs); what was counted
is written down once a second (`relay.trace.snapshot`) and becomes Prometheus text only
in the process that is asked for it (`relay.trace.metrics`).
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import ClassVar

from msgspec import Struct

from relay.trace import event as events
from relay.trace import webhook_event as webhooks
from relay.trace.event import Event
from relay.trace.repeat_event import MailRepeated

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds for what takes a moment: commits, acceptances, handshakes."""
WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
"""Bounds for what may take days: from acceptance to delivery."""
COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)
PARTS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Bounds for errors of what was foreseen, as parts of the whole."""
LABELS_MAX = 1000
"""A metric's label values; more come from a mistake, and Prometheus pays for each for ever."""


class Histogram(Struct):
    """How often a value fell between two bounds; the last place is above all of them."""

    bounds: tuple[float, ...]
    places: list[int]
    total: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> "Histogram":
        return cls(bounds, [0] * (len(bounds) + 1))

    def add(self, value: float) -> None:
        self.places[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counts(Struct):
    """All that was counted, by metric name without `m365_relay_`; labelled ones by label value."""

    counters: dict[str, float] = {}
    labelled: dict[str, dict[str, float]] = {}
    histograms: dict[str, Histogram] = {}
    gauges: dict[str, float] = {}
    """Of this process and now; they end with it."""
    labelled_gauges: dict[str, dict[str, float]] = {}
    """Likewise, by label value."""


class Tally:
    """A `Record` that counts."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._counters = self.counts.counters
        self._histograms = self.counts.histograms

    def __call__(self, event: Event) -> None:
        """Count the event."""
        count = self._by_type.get(type(event))
        if count is not None:
            count(self, event)

    def _add(self, name: str, amount: float = 1) -> None:
        counters = self._counters
        counters[name] = counters.get(name, 0) + amount

    def _add_labelled(self, name: str, label: str, amount: float = 1) -> None:
        values = self.counts.labelled.setdefault(name, {})
        if label not in values and len(values) >= LABELS_MAX:
            label = "other"
        values[label] = values.get(label, 0) + amount

    def _set_labelled(self, name: str, label: str, value: float) -> None:
        values = self.counts.labelled_gauges.setdefault(name, {})
        if label in values or len(values) < LABELS_MAX:
            values[label] = value

    def _observe(self, name: str, bounds: tuple[float, ...], value: float) -> None:
        histogram = self._histograms.get(name)
        if histogram is None:
            histogram = self._histograms[name] = Histogram.empty(bounds)
        histogram.add(value)

    def _accepted(self, event: events.Accepted) -> None:
        self._add("mails_accepted")
        self._add("recipients_accepted", event.recipients)
        self._add("bytes_accepted", event.size)
        self._observe("accept_seconds", SECONDS, event.seconds)

    def _mail_repeated(self, event: MailRepeated) -> None:
        self._add_labelled("mails_repeated", "answered" if event.is_same else "refused")

    def _login_succeeded(self, event: events.LoginSucceeded) -> None:
        self._add_labelled("logins", event.mechanism)

    def _login_failed(self, event: events.LoginFailed) -> None:
        self._add_labelled("login_failures", event.reason)

    def _spoofing_suspected(self, event: events.SpoofingSuspected) -> None:
        self._add_labelled("spoofing_suspected", event.rule)

    def _client_braked(self, event: events.ClientBraked) -> None:
        self._add_labelled("clients_braked", event.reason)

    def _signing_failed(self, event: events.SigningFailed) -> None:
        self._add_labelled("signing_failures", event.domain)

    def _delivered(self, event: events.Delivered) -> None:
        self._add_labelled("delivered_recipients", event.route, len(event.recipients))
        self._add_labelled("deliveries", event.route)
        self._observe("delivery_seconds", WAITS, event.seconds)

    def _deferred(self, event: events.Deferred) -> None:
        self._add_labelled("deferred_recipients", event.route, len(event.recipients))

    def _held(self, event: events.Held) -> None:
        self._add_labelled("held_recipients", event.route, len(event.recipients))

    def _failed(self, event: events.Failed) -> None:
        self._add_labelled("failed_recipients", event.route, len(event.recipients))

    def _reported(self, event: events.Reported) -> None:
        self._add_labelled("reports", event.kind)

    def _suppressed(self, event: events.RecipientSuppressed) -> None:
        self._add("recipients_suppressed")

    def _uncertain(self, event: events.Uncertain) -> None:
        self._add_labelled("uncertain_deliveries", event.route)
        if event.decision != "retry":
            self._add_labelled("uncertain_held", event.route)

    def _directory_unavailable(self, event: events.DirectoryUnavailable) -> None:
        self._add("directory_failures")

    def _trace_asked(self, event: events.TraceAsked) -> None:
        self._add("trace_questions")

    def _trace_unavailable(self, event: events.TraceUnavailable) -> None:
        self._add("trace_failures")

    def _steered(self, event: events.Steered) -> None:
        self._add_labelled("mails_steered", event.do)

    def _commanded(self, event: events.Commanded) -> None:
        self._add_labelled("commands", event.do)

    def _committed(self, event: events.Committed) -> None:
        self._add("commit_bytes", event.size)
        self._observe("commit_seconds", SECONDS, event.seconds)
        self._observe("commit_changes", COUNTS, event.changes)

    def _session_ended(self, event: events.SessionEnded) -> None:
        self._add_labelled("sessions", event.listener)

    def _session_refused(self, event: events.SessionRefused) -> None:
        self._add_labelled("sessions_refused", event.listener)

    def _command_refused(self, event: events.CommandRefused) -> None:
        self._add_labelled("commands_refused", event.reply[:3])

    def _connection_opened(self, event: events.ConnectionOpened) -> None:
        self._add_labelled("connections_opened", event.route)
        self._observe("connect_seconds", SECONDS, event.seconds)

    def _connection_failed(self, event: events.ConnectionFailed) -> None:
        self._add_labelled("connections_failed", event.route)

    def _throttled(self, event: events.Throttled) -> None:
        self._add_labelled("throttled", event.route)

    def _credential_ends(self, event: events.CredentialEnds) -> None:
        self._set_labelled("credential_expiry_timestamp_seconds", event.credential, event.at)

    def _breaker_opened(self, event: events.BreakerOpened) -> None:
        self._add_labelled("breakers_opened", event.scope)

    def _limit_learnt(self, event: events.LimitLearnt) -> None:
        self._add_labelled("limits_learnt", event.scope)

    def _spilled(self, event: events.Spilled) -> None:
        self._add_labelled("spilled", event.route)

    def _campaign_ended(self, event: events.CampaignEnded) -> None:
        # Not by name: names are the applications'.
        self._add("campaigns_ended")
        if event.forecast_error is not None:
            self._observe("campaign_forecast_error_ratio", PARTS, abs(event.forecast_error))

    def _spool_refusing(self, event: events.SpoolRefusing) -> None:
        self._add("spool_refusals")
        self.counts.gauges["spool_refusing"] = 1

    def _spool_accepting(self, event: events.SpoolAccepting) -> None:
        self.counts.gauges["spool_refusing"] = 0

    def _spool_trouble(self, event: events.SpoolTrouble) -> None:
        self._add("commits_failed")

    def _record_quarantined(self, event: events.RecordQuarantined) -> None:
        self._add("records_quarantined")

    def _queue_depth(self, event: events.QueueDepth) -> None:
        gauges = self.counts.gauges
        gauges["queue_ready"] = event.ready
        gauges["queue_deferred"] = event.deferred
        gauges["queue_held"] = event.held
        gauges["queue_oldest_seconds"] = event.oldest_seconds
        gauges["connections"] = event.connections
        gauges["lanes_throttled"] = event.throttled
        gauges["breakers_open"] = event.stopped
        gauges["suspensions"] = event.suspended
        gauges["queue_postponed"] = event.postponed

    def _history_dropped(self, event: events.HistoryDropped) -> None:
        self._add("history_dropped", event.steps)

    def _history_size(self, event: events.HistorySize) -> None:
        self.counts.gauges["history_rows"] = event.rows
        self.counts.gauges["history_bytes"] = event.size

    def _learning_began(self, event: events.LearningBegan) -> None:
        self.counts.gauges["learning_until_timestamp_seconds"] = event.at

    def _learning_ended(self, event: events.LearningEnded) -> None:
        self.counts.gauges["learning_until_timestamp_seconds"] = 0

    def _device_admitted(self, event: events.DeviceAdmitted) -> None:
        self._add("devices_admitted")

    def _device_refused(self, event: events.DeviceRefused) -> None:
        self._add_labelled("devices_refused", event.reason)

    def _seen_dropped(self, event: events.SeenDropped) -> None:
        self._add("sightings_dropped", event.sightings)

    def _webhook_sent(self, event: webhooks.WebhookSent) -> None:
        self._add_labelled("webhook_requests", event.webhook)
        self._add_labelled("webhook_events", event.webhook, event.events)
        self._set_labelled("webhook_failures", event.webhook, 0)

    def _webhook_failed(self, event: webhooks.WebhookFailed) -> None:
        self._add_labelled("webhook_requests", event.webhook)
        self._add_labelled("webhook_requests_failed", event.webhook)
        self._set_labelled("webhook_failures", event.webhook, event.failures)

    def _webhook_gap(self, event: webhooks.WebhookGap) -> None:
        self._add_labelled("webhook_gaps", event.webhook)
        self._add_labelled("webhook_missing_steps", event.webhook, event.steps)

    def _webhook_lag(self, event: webhooks.WebhookLag) -> None:
        self._set_labelled("webhook_lag_steps", event.webhook, event.steps)
        self._set_labelled("webhook_lag_seconds", event.webhook, event.seconds)

    def _process_ended(self, event: events.ProcessEnded) -> None:
        self._add_labelled("processes_ended", event.role)

    # Values take the event of their key; a type that says so per entry does not exist, hence `...`.
    _by_type: ClassVar[dict[type[object], Callable[..., None]]] = {
        events.Accepted: _accepted,
        events.LoginSucceeded: _login_succeeded,
        events.LoginFailed: _login_failed,
        events.SpoofingSuspected: _spoofing_suspected,
        events.ClientBraked: _client_braked,
        events.SigningFailed: _signing_failed,
        events.Delivered: _delivered,
        events.Deferred: _deferred,
        events.Held: _held,
        events.Failed: _failed,
        events.Reported: _reported,
        events.RecipientSuppressed: _suppressed,
        MailRepeated: _mail_repeated,
        events.Uncertain: _uncertain,
        events.DirectoryUnavailable: _directory_unavailable,
        events.TraceAsked: _trace_asked,
        events.TraceUnavailable: _trace_unavailable,
        events.Steered: _steered,
        events.Commanded: _commanded,
        events.Committed: _committed,
        events.SessionEnded: _session_ended,
        events.SessionRefused: _session_refused,
        events.CommandRefused: _command_refused,
        events.ConnectionOpened: _connection_opened,
        events.ConnectionFailed: _connection_failed,
        events.Throttled: _throttled,
        events.CredentialEnds: _credential_ends,
        events.BreakerOpened: _breaker_opened,
        events.LimitLearnt: _limit_learnt,
        events.Spilled: _spilled,
        events.CampaignEnded: _campaign_ended,
        events.SpoolRefusing: _spool_refusing,
        events.SpoolAccepting: _spool_accepting,
        events.SpoolTrouble: _spool_trouble,
        events.RecordQuarantined: _record_quarantined,
        events.QueueDepth: _queue_depth,
        events.HistoryDropped: _history_dropped,
        events.HistorySize: _history_size,
        events.LearningBegan: _learning_began,
        events.LearningEnded: _learning_ended,
        events.DeviceAdmitted: _device_admitted,
        events.DeviceRefused: _device_refused,
        events.SeenDropped: _seen_dropped,
        events.ProcessEnded: _process_ended,
        webhooks.WebhookSent: _webhook_sent,
        webhooks.WebhookFailed: _webhook_failed,
        webhooks.WebhookGap: _webhook_gap,
        webhooks.WebhookLag: _webhook_lag,
    }
