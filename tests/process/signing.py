"""A relay that signs the mail of example.com, and a judge of what it has signed."""

import smtplib
from pathlib import Path

from relay.identity.dkim_dns import TxtAnswer
from relay.identity.dkim_judge import Verdict, judge
from relay.spool.entry import Entry
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from tests.identity.keys import ed25519_key, ed25519_pem, rsa_key, rsa_pem, write_key
from tests.process.relay import Relay, configuration

MAIL = "From: Ann <ann@example.com>\r\nSubject: Hello\r\n\r\nOne line.\r\n"
RECORDS = {
    "s1._domainkey.example.com": rsa_key(),
    "s2._domainkey.example.com": rsa_key(1),
    "e1._domainkey.example.com": ed25519_key(),
}


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
