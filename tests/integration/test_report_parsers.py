"""Reports as programs read them that others wrote: Mail::DeliveryStatus::BounceParser (Debian's
libmail-deliverystatus-bounceparser-perl) and mailparser (npm), where `NODE_PATH` leads to it.

One of them comes out of the whole relay as processes: accepted, refused by a next hop, reported.
"""

import email
import os
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.integration.needs import missing, program
from tests.integration.refusing import refusing
from tests.integration.serving import Serving, configuration
from tests.message.reports import GOLDEN, HEADER, MAIL
from tests.process.relay import wait_until

HERE = Path(__file__).parent
MODULE = "Mail::DeliveryStatus::BounceParser"


class Read(msgspec.Struct):
    """What mailparser finds."""

    subject: str
    automatic: str
    text: str
    parts: list[tuple[str, str]]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A report of the running relay, as the next hop took it."""
    folder = tmp_path_factory.mktemp("reported")
    # ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)
    with refusing(b"RCPT TO:<bob", b"550 5.1.1 No such user") as hop:
        with Serving.started(folder, configuration(hop.port)) as relay:
            with smtplib.SMTP(*relay.now.address, timeout=20) as client:
                client.sendmail(
                    "shop@example.com",
                    ["bob@example.net"],
                    MAIL,
                    ["RET=FULL", "ENVID=QQ+2B1"],
                    ["ORCPT=rfc822;bob+2Bold@example.net", "NOTIFY=FAILURE"],
                )
            wait_until(lambda: bool(hop.mails))
            assert relay.now.stop() == 0
            assert [line["kind"] for line in relay.now.events("reported")] == ["failed"]
    [report] = hop.mails
    assert report.mail.startswith(b"MAIL FROM:<>")
    assert report.rcpts == [b"RCPT TO:<shop@example.com> NOTIFY=NEVER"]
    (folder / "delivered.eml").write_bytes(report.content)
    yield folder / "delivered.eml"


def bounce_parser(file: Path) -> list[str]:
    perl = program("perl", "perl")
    if subprocess.run([perl, f"-M{MODULE}", "-e", "1"], capture_output=True, check=False).returncode:
        missing(f"{MODULE} is not installed (Debian: libmail-deliverystatus-bounceparser-perl)")
    command = [perl, str(HERE / "report_parse.pl"), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def mailparser(file: Path) -> Read:
    node = program("node", "nodejs")
    found = [Path(each, "mailparser") for each in os.environ.get("NODE_PATH", "").split(":") if each]
    if not any(each.exists() for each in found):
        missing("mailparser is not installed (npm install mailparser; NODE_PATH=…/node_modules)")
    command = [node, str(HERE / "report_parse.cjs"), str(file)]
    return msgspec.json.decode(subprocess.run(command, capture_output=True, check=True).stdout, type=Read)


@pytest.mark.parametrize("kind", ["failed", "failed-full", "failed-utf8"])
def test_a_bounce_parser_knows_who_failed_and_why(kind: str) -> None:
    # It takes the address that the sender wrote.
    assert bounce_parser(GOLDEN / f"{kind}.eml") == [
        "bounce",
        "bob+old@example.net,failed,5.1.1,user_unknown",
    ]


@pytest.mark.parametrize("kind", ["delayed", "relayed", "digest"])
def test_a_bounce_parser_takes_nothing_else_for_a_failure(kind: str) -> None:
    assert bounce_parser(GOLDEN / f"{kind}.eml") == ["none"]


@pytest.mark.parametrize("kind", ["failed", "failed-full", "failed-utf8", "delayed", "relayed"])
def test_a_mail_reader_shows_text_status_and_original(kind: str) -> None:
    read = mailparser(GOLDEN / f"{kind}.eml")
    assert read.automatic == "auto-replied"
    assert read.text.startswith("This is the mail relay relay.example.com.")
    assert "Final-Recipient: rfc822; " in read.text, "it shows the status as text"
    [(type, original)] = read.parts
    assert type == ("message/rfc822" if kind == "failed-full" else "text/rfc822-headers")
    assert original.startswith("Received: from app ([10.0.0.5])")


def test_the_whole_mail_comes_back_as_it_was() -> None:
    assert mailparser(GOLDEN / "failed-full.eml").parts == [("message/rfc822", MAIL.decode())]


def test_a_digest_is_a_plain_text() -> None:
    read = mailparser(GOLDEN / "digest.eml")
    assert "<y@example.net>, <ü@example.net> and 10 more" in read.text and read.parts == []


def test_a_report_of_the_running_relay_is_read_by_all(delivered: Path) -> None:
    assert bounce_parser(delivered) == ["bounce", "bob+old@example.net,failed,5.1.1,user_unknown"]
    read = mailparser(delivered)
    assert "There is no such recipient." in read.text and "Original-Envelope-Id: QQ+1" in read.text
    [(type, original)] = read.parts
    assert type == "message/rfc822" and MAIL.decode() in original and HEADER.decode() in original
    message = email.message_from_bytes(delivered.read_bytes())
    assert message.defects == [] and message["Auto-Submitted"] == "auto-replied"
