"""Guessing through the whole relay: passwords and recipients, who else is served meanwhile, and what is written down of it."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.recording import Recording, recording
from tests.integration.serving import Generations, Serving, configuration
from tests.integration.wire import Wire
from tests.process.relay import wait_until

REST = """
[brakes]
login_failures = 4
refused_recipients = 4
delay_max = "0s"
ban = "3s"
[[client]]
name = "erp"
username = "erp"
password_hash = "$argon2id$v=19$m=8,t=1,p=1$988egtmAscx0jy+c3Ra2xw$JzXnYVOAR2GQF185AfEdE5myFbJpK6vovi39J2TLxiA"
"""
LISTENER = 'auth = "optional"\nauth_without_tls = true'


@pytest.fixture
def hop() -> Iterator[Recording]:
    with recording() as sink:
        yield sink


@pytest.fixture
def relay(tmp_path: Path, hop: Recording) -> Iterator[Generations]:
    text = configuration(
        hop.port, listener=LISTENER, route='tls = "none"\nrecipients = ["example.net"]', rest=REST
    )
    with Serving.started(tmp_path, text) as running:
        yield running
        assert running.now.events("fault") == []


def test_who_guesses_passwords_is_banned_and_served_again_when_the_ban_ends(relay: Generations) -> None:
    with Wire(relay.port) as wire:
        wire.say(b"EHLO a")
        answers = [
            wire.say(b"AUTH PLAIN " + b64encode(b"\0erp\0guess %d" % number))[:9] for number in range(4)
        ]
    assert answers == [b"535 5.7.8"] * 3 + [b"421 4.7.0"]
    with Wire(relay.port, banner=b"421 4.7.0") as wire:
        assert wire.reply() == b""
    braked = relay.now.wait_for("client_braked")
    assert (braked["client"], braked["reason"], braked["seconds"]) == ("127.0.0.1", "logins", 3.0)
    wait_until(lambda: _is_served(relay.port))


@pytest.mark.parametrize("secret", ["Tr0ub4dor-and-3", "Tr0ub4dor@and3.example"])
def test_a_password_in_place_of_the_name_is_written_down_nowhere(
    tmp_path: Path, hop: Recording, secret: str
) -> None:
    """By each mechanism, from an address that is learnt, so that every record we have is written."""
    until = (datetime.now(UTC) + timedelta(days=1)).date()
    records = f"""
[tenant]
domains = ["example.net"]
[audit]
path = "audit"
[learning]
networks = ["127.0.0.0/24"]
route = "sink"
until = {until}
"""
    text = configuration(
        hop.port, listener=LISTENER, route='tls = "none"\nrecipients = ["example.net"]', rest=REST + records
    )
    with Serving.started(tmp_path, text) as running:
        with Wire(running.port) as wire:
            wire.say(b"EHLO a")
            assert wire.say(b"AUTH PLAIN " + b64encode(f"\0{secret}\0erp".encode())).startswith(b"535")
            assert wire.say(b"AUTH LOGIN " + b64encode(secret.encode())).startswith(b"334")
            assert wire.say(b64encode(b"erp")).startswith(b"535")
            wire.say(b"QUIT")
        wait_until(lambda: len(running.now.events("login_failed")) == 2)
        names = {str(event["username"]) for event in running.now.events("login_failed")}
        assert len(names) == 1 and names.pop().startswith("unknown:")
        audit = tmp_path / "audit" / "audit.jsonl"
        wait_until(lambda: audit.exists() and audit.read_bytes().count(b"login_failed") == 2)
        # With its last words comes what waits for `client seen`.
        assert running.now.stop() == 0
    written = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    hashed = {name for name, content in written.items() if b"unknown:" in content}
    assert {"relay.log", "audit/audit.jsonl", "spool/seen.db"} <= hashed
    assert not [name for name, content in written.items() if secret.encode() in content]


def _is_served(port: int) -> bool:
    with Wire(port, banner=b"") as wire:
        return wire.banner.startswith(b"220")


def test_who_tries_out_recipients_is_sent_away_and_mail_to_good_ones_is_taken(
    relay: Generations, hop: Recording
) -> None:
    with Wire(relay.port) as wire:
        wire.open()
        answers = [wire.say(b"RCPT TO:<user%d@elsewhere.test>" % number)[:9] for number in range(5)]
        assert answers == [b"550 5.7.1"] * 4 + [b"421 4.7.0"]
        assert wire.reply() == b""
    with Wire(relay.port) as wire:
        assert wire.send(b"Subject: good\r\n\r\nHello\r\n").startswith(b"250")
    assert b"Subject: good" in hop.one().content
    braked = relay.now.wait_for("client_braked")
    assert braked["reason"] == "recipients"
