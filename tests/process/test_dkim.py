"""A running relay signs with the keys of its configuration, and switches between them by the clock alone."""

import smtplib
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.identity.dkim_judge import Result
from tests.process.relay import running
from tests.process.signing import policy, send, verdicts

SWITCH_AFTER_S = 3.0
"""The relay starts within a second; the rest is for a machine that is busy."""


def test_a_mail_is_signed_with_both_algorithms(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1", "e1")) as relay:
        send(relay)
        assert relay.stop() == 0
    (mail,) = verdicts(tmp_path)
    assert [(each.selector, each.result) for each in mail] == [("s1", Result.PASS), ("e1", Result.PASS)]


def test_keys_are_switched_without_a_restart(tmp_path: Path) -> None:
    switch = time.time() + SWITCH_AFTER_S
    when = f"active_from = {datetime.fromtimestamp(switch, UTC).isoformat()}\n"
    with running(tmp_path, policy(tmp_path, "s1", "s2" + when)) as relay:
        send(relay)
        first = time.time()
        while time.time() <= switch:
            time.sleep(0.05)
        send(relay)
        assert relay.events("process_ended") == []
        assert relay.stop() == 0
    assert first < switch, "the relay took too long to start for this test to say anything"
    assert [[(each.selector, each.result) for each in mail] for mail in verdicts(tmp_path)] == [
        [("s1", Result.PASS)],
        [("s2", Result.PASS)],
    ]


def test_a_domain_whose_keys_are_retired_is_deferred_and_not_sent_unsigned(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1retire_at = 2020-01-01T00:00:00Z\n")) as relay:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            send(relay)
        assert caught.value.smtp_code == 451
        assert relay.stop() == 0
    assert verdicts(tmp_path) == []
