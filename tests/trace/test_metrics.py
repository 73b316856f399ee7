"""From events to Prometheus text, over several processes and their ends."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.trace import event as events
from relay.trace import metrics, snapshot, tally
from relay.trace.repeat_event import MailRepeated
from relay.trace.tally import Tally
from relay.trace.webhook_event import (
    WebhookFailed,
    WebhookGap,
    WebhookLag,
    WebhookMoved,
    WebhookSent,
    WebhookTrouble,
)

EVERY_EVENT: list[events.Event] = [
    events.SessionRefused(client="::1", listener="l", reason="too many"),
    events.SessionEnded(client="::1", listener="l", reason="quit", mails=1, seconds=1),
    events.CommandRefused(client="::1", listener="l", command="RCPT", reply="550 5.7.1 no"),
    events.Accepted(
        id="A", message_id="", sender="", recipients=2, size=100, client="::1", helo="", seconds=0.004
    ),
    events.LoginSucceeded(client="::1", listener="l", account="erp", mechanism="PLAIN"),
    events.LoginFailed(client="::1", listener="l", username="x", mechanism="LOGIN", reason="unknown user"),
    events.SpoofingSuspected(id="A", client="::1", rule="from", author="a@b.example", reason="550 5.7.1 no"),
    events.ClientBraked(client="::1", listener="l", reason="logins", seconds=600.0),
    events.Steered(id="1", do="hold", recipients=("a@b.c",), by="root"),
    events.Commanded(do="hold", by="root", uid=0, pid=1, detail="1"),
    events.SigningFailed(id="A", domain="example.com", reason="no key is active", action="defer"),
    events.Delivered(
        id="A", recipients=("a", "b"), route="r", host="h", reply="250 ok", attempts=1, seconds=0.3
    ),
    events.Deferred(
        id="A", recipients=("a",), route="r", host="h", reply="451 later", attempts=1, next_attempt=1.0
    ),
    events.Held(id="A", recipients=("a",), route="r", host="h", reply="550 no", attempts=1),
    events.Failed(id="A", recipients=("a",), route="r", host="h", reply="550 no", attempts=1, report="told"),
    events.Reported(id="B", about="A", sender="a", kind="failed", recipients=1, route="r"),
    events.RecipientSuppressed(recipient="b@c.test", until=1.0, reply="550 5.1.1 no"),
    events.Unreported(id="A", sender="a", reason="no way"),
    MailRepeated(id="A", client="c", account="", is_same=True),
    events.Uncertain(id="A", route="r", host="h", reason="lost", decision="hold"),
    events.TraceAsked(id="A", route="r", said="not yet"),
    events.DirectoryRead(addresses=3, seconds=0.1),
    events.DirectoryUnavailable(reason="no token", age_seconds=-1.0),
    events.TraceUnavailable(reason="no token"),
    events.ConnectionOpened(route="r", host="h", tls="", seconds=0.1),
    events.ConnectionFailed(route="r", host="h", reason="refused"),
    events.ConnectionClosed(route="r", host="h", reason="idle", mails=1),
    events.Throttled(route="r", limit="the limit of 30 messages", until=1.0),
    events.BreakerOpened(scope="sender", key="a@b.c", route="r", reason="550 5.2.252", until=0.0),
    events.BreakerClosed(scope="sender", key="a@b.c", seconds=9.0),
    events.LimitLearnt(scope="forest", key="mx", unit="connections", before=20, after=10, reply="421"),
    events.Spilled(id="A", route="r", to="s", reason="full"),
    events.SpoolRefusing(reason="full"),
    events.SpoolAccepting(),
    events.SpoolTrouble(reason="disk", mails=3),
    events.Committed(changes=5, size=1000, seconds=0.002),
    events.RecordQuarantined(table="envelope", id="A", reason="check sum"),
    events.QueueRebuilt(queued=1, held=0, damaged=0, seconds=0.1),
    events.QueueDepth(ready=7, deferred=3, held=1, connections=2, oldest_seconds=9.0),
    events.CredentialEnds(credential="certificate of the route r", at=1_900_000_000.0),
    events.CampaignEnded(
        campaign="May",
        mails=120,
        delivered=119,
        failed=1,
        held=0,
        cancelled=0,
        seconds=60.0,
        forecast_error=0.02,
    ),
    events.HistoryDropped(steps=4, reason="the disk is slow"),
    events.HistorySize(rows=10, size=4096),
    events.CampaignEnded(
        campaign="c", mails=1, delivered=1, failed=0, held=0, cancelled=0, seconds=9.0, forecast_error=0.1
    ),
    events.ProcessStarted(role="receiver-0"),
    events.ProcessEnded(role="receiver-0", status=1, restart_in=0.1),
    events.LearningBegan(
        networks=("10.20.0.0/24",), route="r", until="2026-12-25 00:00 UTC", at=1_798_156_800.0
    ),
    events.DeviceAdmitted(client="10.20.0.7", listener="l", account="learning:10.20.0.7", route="r"),
    events.DeviceRefused(client="10.20.0.8", listener="l", reason="full"),
    events.SeenDropped(sightings=2),
    WebhookSent(webhook="crm", id="batch_1", events=3, status=200, seconds=0.1),
    WebhookFailed(webhook="crm", reason="it answered 500", failures=2, next_attempt=9.0),
    WebhookGap(webhook="crm", steps=5, reason="purged"),
    WebhookMoved(webhook="crm", do="skip", by="root", before=1, after=9),
    WebhookTrouble(webhook="crm", reason="disk"),
    WebhookLag(webhook="crm", steps=7, seconds=1.5),
    events.Ready(listeners=("l",)),
    events.Draining(role="receiver-0"),
]


def samples(folder: Path) -> dict[tuple[str, str], float]:
    """(name, first label's value) → value, read by Prometheus' own parser."""
    families = text_string_to_metric_families(metrics.text(folder).decode())
    return {
        (sample.name.removeprefix(metrics.PREFIX), next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
    }


def full_tally() -> Tally:
    counting = Tally()
    for event in EVERY_EVENT:
        counting(event)
    return counting


def test_what_is_counted_is_shown(tmp_path: Path) -> None:
    counts = full_tally().counts
    assert counts.counters.keys() == metrics.COUNTERS.keys()
    assert counts.labelled.keys() == metrics.LABELLED.keys()
    assert counts.histograms.keys() == metrics.HISTOGRAMS.keys()
    assert counts.gauges.keys() == metrics.GAUGES.keys()
    assert counts.labelled_gauges.keys() == metrics.LABELLED_GAUGES.keys()


def test_the_text_says_what_happened(tmp_path: Path) -> None:
    snapshot.clear(tmp_path)
    snapshot.write(tmp_path, "deliverer", full_tally().counts)
    shown = samples(tmp_path)
    assert shown["mails_accepted_total", ""] == 1
    assert shown["bytes_accepted_total", ""] == 100
    assert shown["delivered_recipients_total", "r"] == 2
    assert shown["commands_refused_total", "550"] == 1
    assert shown["accept_seconds_bucket", "0.0025"] == 0
    assert shown["accept_seconds_bucket", "0.005"] == 1
    assert shown["accept_seconds_bucket", "+Inf"] == shown["accept_seconds_count", ""] == 1
    assert shown["commit_changes_sum", ""] == 5
    assert shown["queue_ready", ""] == 7
    assert (shown["webhook_events_total", "crm"], shown["webhook_requests_total", "crm"]) == (3, 2)
    assert (shown["webhook_failures", "crm"], shown["webhook_lag_steps", "crm"]) == (2, 7)
    assert shown["webhook_missing_steps_total", "crm"] == 5
    assert shown["credential_expiry_timestamp_seconds", "certificate of the route r"] == 1_900_000_000
    assert shown["process_resident_bytes", "deliverer"] > 1_000_000


def test_counters_stand_at_zero_before_anything_happens(tmp_path: Path) -> None:
    assert samples(tmp_path)["mails_accepted_total", ""] == 0


def test_sums_stay_when_a_process_ends_and_gauges_go(tmp_path: Path) -> None:
    snapshot.clear(tmp_path)
    counts = full_tally().counts
    for _ in range(3):
        snapshot.write(tmp_path, "deliverer", counts)
        snapshot.retire(tmp_path, os.getpid())
    shown = samples(tmp_path)
    assert shown["mails_accepted_total", ""] == 3
    assert shown["accept_seconds_count", ""] == 3
    assert ("queue_ready", "") not in shown
    assert not any(name == "credential_expiry_timestamp_seconds" for name, _ in shown)
    assert [path.name for path in tmp_path.iterdir()] == [snapshot.RETIRED]


def test_processes_are_added_up(tmp_path: Path) -> None:
    snapshot.clear(tmp_path)
    for role in ("receiver-0", "receiver-1"):
        snapshot.write(tmp_path, role, full_tally().counts)
    assert samples(tmp_path)["mails_accepted_total", ""] == 2


def test_files_of_an_earlier_relay_are_cleared(tmp_path: Path) -> None:
    snapshot.write(tmp_path, "receiver-0", full_tally().counts)
    (tmp_path / "receiver-1.1.json.new").touch()
    snapshot.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_snapshot_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "receiver-9.1.json").write_bytes(b"{")
    snapshot.write(tmp_path, "receiver-0", full_tally().counts)
    assert samples(tmp_path)["mails_accepted_total", ""] == 1


def test_a_folder_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    snapshot.write(tmp_path / "gone", "receiver-0", full_tally().counts)
    assert snapshot.read(tmp_path / "gone") == []


def test_label_values_are_bounded() -> None:
    counting = Tally()
    for number in range(tally.LABELS_MAX + 50):
        counting(events.Uncertain(id="A", route=f"r{number}", host="h", reason="lost"))
    values = counting.counts.labelled["uncertain_deliveries"]
    assert len(values) == tally.LABELS_MAX + 1
    assert values["other"] == 50


def test_what_ends_is_shown_as_it_was_told_last_and_bounded() -> None:
    counting = Tally()
    for number in range(tally.LABELS_MAX + 50):
        counting(events.CredentialEnds(credential=f"c{number}", at=1.0))
    counting(events.CredentialEnds(credential="c7", at=2.0))
    values = counting.counts.labelled_gauges["credential_expiry_timestamp_seconds"]
    assert len(values) == tally.LABELS_MAX
    assert (values["c7"], values["c8"]) == (2.0, 1.0)


def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    snapshot.write(tmp_path, "deliverer", full_tally().counts)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.text(tmp_path), capture_output=True, timeout=30
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
