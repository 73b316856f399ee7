"""A running relay rewrites senders as its configuration says, and knows what its listener's mail is worth."""

import smtplib
from pathlib import Path

from relay.message.envelope import Envelope
from relay.message.priority import Priority
from relay.spool.entry import Entry
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from tests.process.relay import configuration, running

MAIL = "X-Relay-Campaign: May\r\nFrom: Desk <p@local>\r\nSubject: Hello\r\n\r\nOne line.\r\n"
TABLES = '[[rewrite]]\nsenders = ["local"]\nto = "scanner@contoso.com"\nclients = ["127.0.0.0/8"]\n'


def mails(folder: Path) -> list[tuple[Envelope, bytes]]:
    store = Store.open(SpoolOptions(path=folder / "spool"), read_only=True)
    try:
        found = [store.read(entry.queued.id) for entry in store.scan() if isinstance(entry, Entry)]
    finally:
        store.close()
    return [(each[0], bytes(each[1])) for each in found if each is not None]


def test_a_mail_leaves_as_the_configuration_says(tmp_path: Path) -> None:
    text = configuration(listener='priority = "bulk"\npriority_max = "normal"', rest=TABLES)
    with running(tmp_path, text) as relay:
        with smtplib.SMTP(*relay.address, timeout=20) as client:
            client.ehlo()
            assert client.has_extn("mt-priority")
            client.sendmail("p@local", ["b@example.net"], MAIL)
            client.sendmail("p@local", ["b@example.net"], MAIL, mail_options=["MT-PRIORITY=5"])
        first, second = relay.wait_for("accepted"), relay.wait_for("accepted", 2)
        assert relay.stop() == 0
    assert (first["priority"], first["campaign"], second["priority"]) == ("bulk", "May", "normal")
    assert (first["sender"], first["original_sender"]) == ("scanner@contoso.com", "p@local")
    assert first["original_from"] == "p@local" and "from_left" not in first
    assert [envelope.priority for envelope, _ in mails(tmp_path)] == [Priority.BULK, Priority.NORMAL]
    for envelope, content in mails(tmp_path):
        assert (envelope.sender, envelope.original_sender) == (b"scanner@contoso.com", b"p@local")
        assert b"\r\nX-Original-From: p@local\r\nFrom: Desk <scanner@contoso.com>\r\nSubject: " in content
        assert b"X-Relay-" not in content
