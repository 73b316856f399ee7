"""A running relay takes a renewed certificate: nobody is disconnected, and the metric follows."""

import hashlib
import smtplib
import ssl
from pathlib import Path

from relay.tls import fingerprint
from tests.fakes.certificate import Authority
from tests.process.relay import Relay, configuration, running, wait_until
from tests.process.test_expiry import end_of, ends

MAIL = "Subject: x\r\n\r\nHello\r\n"


def connect(relay: Relay) -> smtplib.SMTP:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = smtplib.SMTP(*relay.address, timeout=20)
    client.starttls(context=context)
    client.ehlo()
    return client


def shown(client: smtplib.SMTP) -> str:
    assert isinstance(client.sock, ssl.SSLSocket)
    certificate = client.sock.getpeercert(binary_form=True)
    assert certificate is not None
    return hashlib.sha256(certificate).hexdigest()


def test_a_renewed_certificate_is_shown_and_nobody_is_disconnected(tmp_path: Path) -> None:
    (tmp_path / "authority").mkdir()
    authority = Authority(tmp_path / "authority")
    chain, key = authority.issue("relay.example.com", days=40)
    old = fingerprint(chain.read_text())
    text = configuration(listener=f'tls = "starttls"\ncertificate = "{chain}"\nkey = "{key}"')
    name = "certificate of the listener 127.0.0.1:0"
    with running(tmp_path, text) as relay:
        before = connect(relay)
        assert shown(before) == old
        wait_until(lambda: name in ends(relay.console))
        first = ends(relay.console)[name]

        new_chain, new_key = authority.issue("relay.example.com", days=80)
        new = fingerprint(new_chain.read_text())
        new_chain.rename(chain)
        new_key.rename(key)
        reloaded = relay.wait_for("certificate_reloaded")
        assert (reloaded["fingerprint"], reloaded["before"]) == (new, old)

        before.sendmail("a@example.com", ["b@example.net"], MAIL)
        before.quit()
        with connect(relay) as after:
            assert shown(after) == new
            after.sendmail("a@example.com", ["b@example.net"], MAIL)
        wait_until(lambda: ends(relay.console)[name] != first)
        assert ends(relay.console)[name] == end_of(chain)
        assert relay.events("configuration_read") == relay.events("configuration_read")[:1]
        assert relay.stop() == 0
        assert relay.events("fault") == []
