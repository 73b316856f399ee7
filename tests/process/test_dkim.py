"""A running relay signs with the keys of its configuration, and switches between them by the clock alone."""

import smtplib
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.identity.dkim_dns import TxtAnswer
from relay.identity.dkim_judge import Result, Verdict, judge
from relay.spool.entry import Entry
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from tests.identity.keys import ed25519_key, ed25519_pem, rsa_key, rsa_pem, write_key
from tests.process.relay import Relay, configuration, running

MAIL = "From: Ann <ann@example.com>\r\nSubject: Hello\r\n\r\nOne line.\r\n"
RECORDS = {
    "s1._domainkey.example.com": rsa_key(),
    "s2._domainkey.example.com": rsa_key(1),
    "e1._domainkey.example.com": ed25519_key(),
}
SWITCH_AFTER_S = 3.0
"""The relay starts within a second; the rest is for a machine that is busy."""


def policy(folder: Path, *selectors: str) -> str:
    for name, pem in (("s1", rsa_pem()), ("s2", rsa_pem(number=1)), ("e1", ed25519_pem())):
        write_key(folder / f"{name}.pem", pem)
    tables = [
        f'[[dkim.selector]]\nname = "{each[:2]}"\nkey_file = "{each[:2]}.pem"\n{each[2:]}'
        for each in selectors
    ]
    return configuration(rest='[[dkim]]\ndomain = "example.com"\n' + "\n".join(tables))


def send(relay: Relay) -> None:
    with smtplib.SMTP(*relay.address, timeout=20) as client:
        client.sendmail("a@example.com", ["b@example.net"], MAIL)


def verdicts(folder: Path) -> list[list[Verdict]]:
    """On each mail in the spool, oldest first."""
    store = Store.open(SpoolOptions(path=folder / "spool"), read_only=True)
    try:
        found = [store.read(entry.queued.id) for entry in store.scan() if isinstance(entry, Entry)]
    finally:
        store.close()

    def look_up(name: str) -> TxtAnswer:
        return TxtAnswer(name, (RECORDS[name].public_record_value().encode(),))

    return [judge(bytes(each[1]), look_up) for each in found if each is not None]


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
        assert len(relay.events("process_started")) == len(relay.children())
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
