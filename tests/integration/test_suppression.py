"""The running relay refuses an address that failed, until somebody takes it from the list."""

import smtplib
from pathlib import Path

from tests.integration.refusing import refusing
from tests.integration.serving import Serving, configuration
from tests.process.relay import wait_until

MAIL = "Subject: x\r\n\r\nx\r\n"


def test_an_address_that_failed_is_refused_at_once_until_it_is_removed(tmp_path: Path) -> None:
    with refusing(b"RCPT TO:<gone@", b"550 5.1.1 No such user") as hop:
        text = configuration(hop.port, receivers=2, rest='[report]\nsuppress = "14d"\n')
        with Serving.started(tmp_path, text) as relay:
            with smtplib.SMTP(*relay.now.address, timeout=20) as client:
                client.sendmail("a@sender.test", ["gone@c.test"], MAIL)
            wait_until(lambda: bool(relay.now.events("recipient_suppressed")) and bool(hop.mails))
            wait_until(lambda: "gone@c.test" in relay.command("suppression", "list").stdout)
            # Each receiver looks again within a second.
            wait_until(lambda: is_refused(relay.now.address))
            assert relay.command("suppression", "remove", "gone@c.test").returncode == 0
            assert not is_refused(relay.now.address)
            assert relay.now.stop() == 0
            assert relay.command("spool", "check").returncode == 0


def is_refused(address: tuple[str, int]) -> bool:
    """Whether RCPT is answered with what the next hop said."""
    with smtplib.SMTP(*address, timeout=20) as client:
        client.ehlo()
        client.mail("a@sender.test")
        code, text = client.rcpt("GONE@c.test")
    if code == 550:
        assert b"5.1.1 No mail is taken" in text and b"550 5.1.1 No such user" in text
    return code == 550
