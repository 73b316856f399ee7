"""The whole relay with rules: quotas over all receivers, their deaths and reloads; names and recipients."""

import os
import signal
import smtplib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.process.relay import Relay, configuration, running, wait_until
from tests.process.test_clients import reload

QUOTA = 25
CLIENT = f"""
[[client]]
name = "local"
networks = ["127.0.0.1/32"]
senders = ["example.com"]
messages_per_day = {QUOTA}
"""
MAIL = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"


def reply_to(relay: Relay, mail: bytes = MAIL, recipient: str = "b@example.net") -> tuple[int, bytes]:
    """What decides about one mail on a connection of its own; 0 when the connection is lost."""
    try:
        with smtplib.SMTP(*relay.address, timeout=20) as session:
            session.ehlo("app.example.com")
            for said in (session.mail("a@example.com"), session.rcpt(recipient)):
                if said[0] != 250:
                    return said
            return session.data(mail)
    except (smtplib.SMTPException, OSError):
        return 0, b""


def test_a_quota_is_one_for_all_receivers_and_outlives_their_deaths_and_reloads(tmp_path: Path) -> None:
    text = configuration(rest=CLIENT).replace("receivers = 1", "receivers = 3")
    with running(tmp_path, text) as relay, ThreadPoolExecutor(6) as pool:
        relay.wait_for("ready")
        said = Counter(code for code, _ in pool.map(lambda _: reply_to(relay), range(10)))
        assert said == {250: 10}
        victim = relay.children()["receiver-1"]
        os.kill(victim, signal.SIGKILL)
        said += Counter(code for code, _ in pool.map(lambda _: reply_to(relay), range(8)))
        wait_until(lambda: len(relay.children()) >= 4)
        reload(relay)
        said += Counter(code for code, _ in pool.map(lambda _: reply_to(relay), range(20)))
        # A mail whose connection died may have been counted, never the other way round.
        assert QUOTA - said[0] <= said[250] <= QUOTA
        assert said[450] > 0 and not said.keys() - {0, 250, 450}
        code, text_said = reply_to(relay)
        assert code == 450 and text_said.startswith(
            b"4.7.1 Your messages for this day are used up; try again in "
        )
        assert relay.stop() == 0


def test_names_and_recipients_are_judged_as_the_configuration_says(tmp_path: Path) -> None:
    (tmp_path / "people").write_text("b@example.com\n")
    rest = '[tenant]\ndomains = ["example.com"]\nrecipients_file = "people"\n[spoofing]\ndisplay_name = "refuse"\n'
    with running(tmp_path, configuration(rest=rest)) as relay:
        relay.wait_for("recipients_read")
        assert reply_to(relay, recipient="b@example.com")[0] == 250
        assert reply_to(relay, recipient="c@example.com") == (550, b"5.1.1 There is no such recipient here")
        assert reply_to(relay, b"From: a@evil.example\r\n\r\nx\r\n")[1].startswith(
            b"5.7.1 Mail from the domain in From"
        )
        other = b'From: "boss@rival.example" <a@example.com>\r\n\r\nx\r\n'
        assert reply_to(relay, other)[1].startswith(b"5.7.1 The name in From shows")
        # The list changes beside the relay.
        (tmp_path / "new").write_text("c@example.com\n")
        os.replace(tmp_path / "new", tmp_path / "people")
        relay.wait_for("recipients_read", 2)
        assert reply_to(relay, recipient="c@example.com")[0] == 250
        assert relay.stop() == 0
