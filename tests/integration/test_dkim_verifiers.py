"""Signed mail that went through the receiver verifies with verifiers that others wrote.

dkimpy always; opendkim and Mail::DKIM (Debian's libmail-dkim-perl, which knows no
Ed25519) where they are installed; mailauth (npm) where `NODE_PATH` leads to it. One run
of a verifier looks at all mails of a configuration.
"""

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.identity.dkim import DomainPolicy, KeyRing, Selector
from relay.message.dkim.author import author_domain
from relay.message.dkim.canonical import Canonicalization
from relay.message.header import Header
from relay.receive.options import Limits
from relay.route.route import Route
from tests import dkimpy, oracle
from tests.identity.keys import ed25519_key, rsa_key, write_key
from tests.integration import corpus
from tests.integration.needs import missing, program
from tests.integration.recording import recording
from tests.integration.serving import Serving, configuration
from tests.integration.wire import Wire
from tests.receive.harness import Client, house, run

HERE = Path(__file__).parent
DOMAIN = b"example.com"
KEYS = {
    "rsa": (Selector(b"r1", rsa_key()),),
    "ed25519": (Selector(b"e1", ed25519_key()),),
    "both": (Selector(b"r1", rsa_key()), Selector(b"e1", ed25519_key())),
}
PAIRS = list(itertools.product(Canonicalization, repeat=2))
CONFIGURATIONS = [(header, body, keys, False) for (header, body), keys in itertools.product(PAIRS, KEYS)]
CONFIGURATIONS.append((Canonicalization.RELAXED, Canonicalization.RELAXED, "both", True))
"""The last one goes through the whole relay as processes, and out at its other end."""


OURS = list(corpus.MAILS.values())
MAILS = list(corpus.signable().values())
# As a configuration names them: From may say in UTF-8 what d= says in A-labels.
DOMAINS = {(author_domain(Header.of(mail)) or DOMAIN).decode().encode("idna") for mail in MAILS}
RECORDS = {
    selector.name + b"._domainkey." + domain: selector.key.public_record_value().encode()
    for selector in KEYS["both"]
    for domain in DOMAINS
}


class Signed:
    """The corpus, signed by one configuration, in files."""

    def __init__(self, folder: Path, mails: list[bytes], keys: str, header: Canonicalization) -> None:
        self.header = header
        self.mails = mails
        self.keys = keys
        self.records = folder / "records"
        self.records.write_bytes(b"".join(b"%b %b\n" % record for record in RECORDS.items()))
        self.files = [folder / f"{number:03}.eml" for number in range(len(mails))]
        for file, mail in zip(self.files, mails, strict=True):
            file.write_bytes(mail)


@pytest.fixture(
    scope="module",
    params=CONFIGURATIONS,
    ids=lambda c: f"{c[0].value}/{c[1].value}-{c[2]}" + c[3] * "-delivered",
)
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    header, body, keys, is_delivered = request.param
    folder = tmp_path_factory.mktemp("signed")
    if is_delivered:
        yield Signed(folder, through_processes(folder, keys), keys, header)
        return
    policies = [
        DomainPolicy(domain, KEYS[keys], header=header, body=body, identity=b"@" + domain)
        for domain in DOMAINS
    ]
    mails = through_the_relay(KeyRing(policies))
    yield Signed(folder, mails, keys, header)


def through_processes(folder: Path, keys: str) -> list[bytes]:
    """Our mails, as the next hop of a running relay gets them."""
    for selector in KEYS[keys]:
        write_key(folder / f"{selector.name.decode()}.pem", selector.key.pem)
    selectors = "".join(
        f'[[dkim.selector]]\nname = "{name}"\nkey_file = "{name}.pem"\n'
        for name in (selector.name.decode() for selector in KEYS[keys])
    )
    policy = f'[[dkim]]\ndomain = "{DOMAIN.decode()}"\n{selectors}'
    sent: dict[bytes, bytes] = {}
    with recording() as hop:
        text = configuration(hop.port, limits="content_line = 0", rest=policy)
        with Serving.started(folder, text) as relay, Wire(relay.port) as wire:
            for number, mail in enumerate(OURS):
                recipient = b"%d@example.net" % number
                wire.open(recipient=recipient, parameters=b" BODY=8BITMIME")
                wire.say(b"DATA")
                assert wire.say(oracle.stuff(mail, True) + b".").startswith(b"250")
                sent[recipient] = mail
            arrived = {mail.rcpts[0][9:-1]: mail.content for mail in hop.received(len(sent))}
    assert len(sent) == len(OURS) and arrived.keys() == sent.keys()
    assert all(arrived[to].endswith((mail, mail + b"\r\n")) for to, mail in sent.items())
    return list(arrived.values())


def through_the_relay(keys: KeyRing) -> list[bytes]:
    """The mails of the corpus, as they lie in the spool."""
    mails: list[bytes] = []
    sent: list[bytes] = []

    async def main() -> None:
        routes = (Route("all", ("mx.example",)),)
        async with house(keys=keys, routes=routes, limits=Limits(content_line_bytes=0)) as relay:
            client = await Client.connect(relay.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            for mail in MAILS:
                await client.say(b"MAIL FROM:<alice@example.com> BODY=8BITMIME\r\n")
                await client.say(b"RCPT TO:<bob@example.net>\r\n")
                await client.say(b"DATA\r\n")
                reply = await client.say(oracle.stuff(mail, True) + b".\r\n")
                # Some of a folder of nasty mails are refused for good, none for the want of a signature.
                assert reply.startswith((b"250 ", b"55")) and b"5.7.5" not in reply, (reply, mail[:200])
                if reply.startswith(b"250 "):
                    sent.append(mail)
            await client.close()
            mails.extend(content for _, content in relay.mails())

    run(main)
    assert len(mails) == len(sent) > 0.9 * len(MAILS)
    # A mail without a body gets the blank line that it lacks.
    assert all(kept.endswith((mail, mail + b"\r\n")) for kept, mail in zip(mails, sent, strict=True))
    return mails


def results(command: list[str], signed: Signed) -> list[str]:
    """What a verifier says of each mail."""
    arguments = [*command, str(signed.records), *map(str, signed.files)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def passes(line: str, algorithm: str) -> bool:
    """Whether the line tells of a signature with this algorithm, and no other result for it than pass."""
    told = [each.partition("=")[2] for each in line.split() if each.startswith(algorithm + "=")]
    # A mail of the corpus bears a signature of somebody else's, for whom there is no key.
    return told.count("pass") == 1 and all(
        result in ("pass", "invalid", "neutral", "fail", "permerror") for result in told
    )


def algorithms(keys: str) -> list[str]:
    return {"rsa": ["rsa-sha256"], "ed25519": ["ed25519-sha256"], "both": ["rsa-sha256", "ed25519-sha256"]}[
        keys
    ]


def test_dkimpy_finds_every_signature_good(signed: Signed) -> None:
    expected = len(algorithms(signed.keys))
    for mail in signed.mails:
        assert dkimpy.verifies(mail, RECORDS)[:expected] == [True] * expected, mail[:2000]


def test_mail_dkim_finds_every_rsa_signature_good(signed: Signed) -> None:
    perl = program("perl", "perl")
    if subprocess.run([perl, "-MMail::DKIM::Verifier", "-e", "1"], capture_output=True).returncode:
        missing("Mail::DKIM is not installed (Debian: libmail-dkim-perl)")
    lines = results([perl, str(HERE / "dkim_verify.pl")], signed)
    # Mail::DKIM knows no Ed25519: of such a mail it must say no more than that.
    expected = "rsa-sha256" in algorithms(signed.keys)
    wrong = [
        mail[-2000:]
        for mail, line in zip(signed.mails, lines, strict=True)
        if passes(line, "rsa-sha256") is not expected
    ]
    assert wrong == []


def test_mailauth_finds_every_signature_good(signed: Signed) -> None:
    node = program("node", "nodejs")
    found = [Path(folder, "mailauth") for folder in os.environ.get("NODE_PATH", "").split(":") if folder]
    if not any(folder.exists() for folder in found):
        missing("mailauth is not installed (npm install mailauth; NODE_PATH=…/node_modules)")
    lines = results([node, str(HERE / "dkim_verify.cjs")], signed)
    for algorithm in algorithms(signed.keys):
        failed = [
            (line, mail[:2000])
            for mail, line in zip(signed.mails, lines, strict=True)
            if not passes(line, algorithm)
        ]
        assert failed == []


def test_opendkim_finds_every_signature_good(signed: Signed, tmp_path: Path) -> None:
    opendkim = program("opendkim", "opendkim")
    configuration = tmp_path / "opendkim.conf"
    configuration.write_text(f"TestPublicKeys {signed.records}\nMode v\nSyslog no\n")
    command = [opendkim, "-x", str(configuration), "-v", "-v", "-t", ",".join(map(str, signed.files))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = done.stdout.split("hname='Authentication-Results'")[1:]
    assert len(told) == len(signed.mails)
    for text, mail in zip(told, signed.mails, strict=True):
        if signed.header is Canonicalization.SIMPLE and not has_milter_fields(mail):
            continue
        good = re.findall(r"dkim=pass [^;]*header\.d=\S+ [^;]*header\.a=(\S+)", text)
        assert good == algorithms(signed.keys), (text, mail[:2000])


def has_milter_fields(mail: bytes) -> bool:
    """Whether its fields survive opendkim's test mode, which hands them over as an MTA does to a milter.

    White space around a value is lost on that way, and a simple header with it.
    """
    return all(
        field.value == b" " + field.value.strip(b" \t") and field.value != b" "
        for field in Header.of(mail).fields
    )


def test_opendkim_is_asked_of_most_mails_of_the_corpus() -> None:
    assert sum(has_milter_fields(mail) for mail in MAILS) > 0.8 * len(MAILS)
