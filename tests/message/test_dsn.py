"""A report is the same bytes each time, is read by programs without a complaint, and carries nothing of a stranger's."""

import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.message.dsn import typed_address
from relay.message.dsn_words import SHOWN_MAX
from relay.message.notify import Action
from relay.message.report import Fate
from tests.message.reports import (
    BUSY,
    FULL_MAX,
    GOLDEN,
    HEADER,
    KINDS,
    MAIL,
    NOT_FOUND,
    composed,
    report,
)

STRICT = email.policy.SMTP.clone(raise_on_defect=True)
KEYWORDS = {
    "reporting-mta", "original-envelope-id", "arrival-date", "original-recipient", "final-recipient",
    "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date", "will-retry-until",
}  # fmt: skip
ANYTHING = st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
WORDS = st.text(max_size=300) | st.just("550 no\r\nBcc: all@example.com\r\n\r\n--x") | st.just("y" * 3000)
FATES = st.builds(
    Fate,
    address=ANYTHING,
    status=st.sampled_from(("5.1.1", "4.4.7")),
    meaning=WORDS,
    advice=WORDS,
    host=WORDS,
    reply=WORDS,
    orcpt=ANYTHING | ANYTHING.map(lambda raw: b"rfc822;" + raw),
)


def read(mail: bytes) -> EmailMessage:
    """As Python's own parser reads it, which stops at the first thing that is wrong."""
    return email.message_from_bytes(mail, policy=STRICT)


def parts(mail: bytes) -> tuple[EmailMessage, list[EmailMessage], EmailMessage]:
    """Text, groups of the machine's part, what was returned."""
    message = read(mail)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, original = cast(list[EmailMessage], message.get_payload())
    assert status.get_content_type() == "message/delivery-status"
    return text, cast(list[EmailMessage], status.get_payload()), original


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_written_as_ever(kind: str) -> None:
    assert KINDS[kind] == (GOLDEN / f"{kind}.eml").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_says_that_it_is_no_persons(kind: str) -> None:
    message = read(KINDS[kind])
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@relay.example.com>"
    assert message["To"] == "shop@example.com"
    assert message["Message-ID"] and message["Date"]


def test_the_machines_part_has_what_the_rfc_asks_for() -> None:
    _, (mail, one), _ = parts(composed(report(Action.FAILED, NOT_FOUND, envid=b"QQ+2B314159")))
    assert mail["Reporting-MTA"] == "dns; relay.example.com"
    assert mail["Original-Envelope-Id"] == "QQ+314159"
    assert one["Original-Recipient"] == "rfc822; bob+old@example.net"
    assert one["Final-Recipient"] == "rfc822; bob@example.net"
    assert (one["Action"], one["Status"]) == ("failed", "5.1.1")
    assert one["Remote-MTA"] == "dns; mx.example.net"
    assert str(one["Diagnostic-Code"]).startswith("smtp; 550 5.1.1 <bob@example.net>")


def test_a_delay_says_until_when_it_is_tried() -> None:
    _, (_, one), _ = parts(composed(report(Action.DELAYED, BUSY, until=1_790_432_000.0)))
    assert one["Action"] == "delayed"
    assert one["Will-Retry-Until"] == "Sat, 26 Sep 2026 14:13:20 +0000"


@pytest.mark.parametrize(
    ("ret", "head", "full_max", "kind"),
    [
        (b"FULL", MAIL, FULL_MAX, "message/rfc822"),
        (b"HDRS", MAIL, FULL_MAX, "text/rfc822-headers"),
        (b"", MAIL, FULL_MAX, "text/rfc822-headers"),
        (b"FULL", MAIL, len(MAIL) - 1, "text/rfc822-headers"),
        (b"FULL", MAIL + "ü\r\n".encode(), FULL_MAX, "text/rfc822-headers"),
        (b"FULL", MAIL + b"x" * 999 + b"\r\n", FULL_MAX, "text/rfc822-headers"),
        (b"FULL", HEADER + b"no blank line\r\n", FULL_MAX, "text/rfc822-headers"),
    ],
    ids=["full", "headers", "nothing asked", "too large", "eight bits", "long line", "no blank line"],
)
def test_what_is_returned_is_what_ret_asks_for_where_it_may_be(
    ret: bytes, head: bytes, full_max: int, kind: str
) -> None:
    mail = composed(report(Action.FAILED, NOT_FOUND, head=head, ret=ret), full_max)
    _, _, original = parts(mail)
    assert original.get_content_type() == kind
    if kind == "message/rfc822":
        assert head in mail
    else:
        assert original.get_content().split() == HEADER.decode().split()
        assert b"Thank you" not in mail


def test_a_mail_of_several_records_is_never_returned_whole() -> None:
    _, _, original = parts(composed(report(Action.FAILED, NOT_FOUND, ret=b"FULL", chunks=2)))
    assert original.get_content_type() == "text/rfc822-headers"


def test_a_delay_never_returns_the_whole_mail() -> None:
    # RFC 3461 section 4.3: RET applies to failures; for the rest the header is enough.
    _, _, original = parts(composed(report(Action.DELAYED, BUSY, ret=b"FULL")))
    assert original.get_content_type() == "text/rfc822-headers"


def test_a_reply_cannot_add_a_field_or_a_part() -> None:
    reply = "550 no\r\nBcc: all@example.com\r\n\r\n--=_01hzy3qf0g8zz_0--\r\n\u2028X: y\0"
    hostile = Fate(b"b@c.test", "5.0.0", "No.", host="mx\r\nEvil: 1", reply=reply)
    _, (_, one), _ = parts(composed(report(Action.FAILED, hostile)))
    assert "Bcc" not in one and "Evil" not in one
    assert one["Remote-MTA"] == "dns; mx Evil: 1"


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        (b"a@example.com", "a@example.com"),
        ("ü@example.com".encode(), "undisclosed-recipients:;"),
        (b'"a b"@example.com', "undisclosed-recipients:;"),
        (b"a@b>\r\nBcc: <c@d", "undisclosed-recipients:;"),
        (b"a..b@example.com", "undisclosed-recipients:;"),
    ],
)
def test_to_holds_an_address_only_where_it_is_a_plain_one(sender: bytes, to: str) -> None:
    message = read(composed(report(Action.FAILED, NOT_FOUND, sender=sender)))
    assert message["To"] == to
    assert message["Bcc"] is None


def test_an_address_that_is_not_ascii_is_written_in_ascii() -> None:
    assert typed_address("b\\+=öb@☎.example".encode()) == (
        "utf-8; b\\x{5C}\\x{2B}\\x{3D}\\x{F6}b@\\x{260E}.example"
    )


@pytest.mark.parametrize(
    ("orcpt", "written"),
    [
        ("utf-8;böb@ex.example", "utf-8; b\\x{F6}b@ex.example"),
        ("utf-8;b\\x{F6}☎@ex.example", "utf-8; b\\x{F6}\\x{260E}@ex.example"),
        ("utf-8;b\\x{F6}b@ex.example", "utf-8; b\\x{F6}b@ex.example"),
        ("rfc822;bob+2Bold@example.net", "rfc822; bob+old@example.net"),
    ],
)
def test_the_original_recipient_keeps_its_letters(orcpt: str, written: str) -> None:
    fate = replace(NOT_FOUND, orcpt=orcpt.encode())
    _, (_, one), _ = parts(composed(report(Action.FAILED, fate)))
    assert one["Original-Recipient"] == written


def test_a_text_of_many_recipients_counts_those_it_does_not_name() -> None:
    fates = [Fate(b"%d@c.test" % number, "5.1.1", "No.") for number in range(SHOWN_MAX + 7)]
    text, groups, _ = parts(composed(report(Action.FAILED, *fates)))
    assert "and 7 more" in text.get_content()
    assert len(groups) == 1 + len(fates)


@given(
    st.lists(FATES, min_size=1, max_size=3),
    ANYTHING,
    ANYTHING | ANYTHING.map(lambda raw: HEADER + b"\r\n" + raw),
    st.sampled_from((b"", b"FULL", b"HDRS")),
    ANYTHING,
    st.sampled_from(Action),
    st.floats(-1e18, 1e18),
)
@example(
    [NOT_FOUND],
    b"a@b",
    HEADER + b"\r\n--=_01hzy3qf0g8zz_0\r\n--=_01hzy3qf0g8zz_1--",
    b"FULL",
    b"",
    Action.FAILED,
    0.0,
)
@example([NOT_FOUND], b"a@b", b"\x01", b"FULL", b"", Action.FAILED, 0.0)
def test_whatever_is_reported_on_the_report_is_sound(
    fates: list[Fate], sender: bytes, head: bytes, ret: bytes, said: bytes, action: Action, until: float
) -> None:
    told = report(action, *fates, head=head, sender=sender, ret=ret, envid=said, message_id=said, until=until)
    mail = composed(told)
    assert mail.isascii() and b"\0" not in mail
    assert all(len(line) <= 998 and not re.search(rb"[\r\n]", line) for line in mail.split(b"\r\n"))
    message = email.message_from_bytes(mail, policy=email.policy.SMTP)
    assert all(part.defects == [] for part in (message, *parts(mail)[1]))
    assert not any(value.defects for value in message.values())
    text, groups, original = parts(mail)
    assert text.get_content_type() == "text/plain"
    assert len(groups) == 1 + len(fates)
    assert {name.lower() for group in groups for name in group} <= KEYWORDS
    assert all(set(group.keys()) >= {"Final-Recipient", "Action", "Status"} for group in groups[1:])
    assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
