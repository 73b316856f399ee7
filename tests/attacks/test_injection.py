"""Commands in places where text belongs: CR, LF and NUL in every argument, raw and encoded.

A line ends with CRLF, so what follows one is a command of the client's own; what must not
be is that a part of a line becomes one, here or at the next hop.
"""

from base64 import b64encode

import pytest

from relay.smtp.command import MailCommand, RcptCommand, parse_mail, parse_rcpt
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import Login
from relay.smtp.xclient import XClient, parse_xclient
from tests.fuzz.talk import Talk

EVIL = b"RSET"
LINES = [
    b"EHLO a%b", b"HELO a%b", b"MAIL FROM:<a%b@example.com>", b"MAIL FROM:<a@example%b.com>",
    b'MAIL FROM:<"a%b"@example.com>', b"MAIL FROM:<a@b> SIZE=1%b", b"MAIL FROM:<a@b> BODY=7BIT%b", b"MAIL FROM:<a@b> RET=FULL%b",
    b"MAIL FROM:<a@b> ENVID=x%b", b"MAIL FROM:<a@b> AUTH=x%b", b"RCPT TO:<c%b@d>", b'RCPT TO:<"c%b"@d>', b"RCPT TO:<c@d> NOTIFY=NEVER%b",
    b"RCPT TO:<c@d> ORCPT=rfc822;x%b", b"BDAT 3%b", b"AUTH PLAIN AHUAcA==%b", b"AUTH LOGIN%b", b"XCLIENT ADDR=10.0.0.1%b",
    b"XCLIENT HELO=x%b", b"VRFY x%b", b"NOOP x%b", b"DATA%b", b"RSET%b", b"STARTTLS%b", b"QUIT%b", b"%b",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("injected", [b"\r" + EVIL, b"\0" + EVIL, b"\r\0" + EVIL, b"\r\r" + EVIL])
def test_a_cr_or_a_nul_within_a_command_makes_no_command(line: bytes, injected: bytes) -> None:
    talk = Talk()
    talk.feed(b"EHLO a\r\n")
    if line.startswith(b"RCPT"):
        talk.feed(b"MAIL FROM:<a@b>\r\n")
    events = len(talk.events)
    talk.out = b""
    talk.feed(line.replace(b"%b", injected) + b"\r\n")
    assert [reply.code for reply in talk.replies()] == [500]
    assert talk.events[events:] == []


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("rest", [b"\n" + EVIL, b"\n" + EVIL + b"\r"])
def test_a_bare_lf_within_a_command_ends_the_session_before_it_is_read(line: bytes, rest: bytes) -> None:
    talk = Talk()
    talk.feed(line.replace(b"%b", rest) + b"\r\nMAIL FROM:<a@b>\r\n")
    assert [reply.code for reply in talk.replies()] == [500]
    assert talk.events == []


@pytest.mark.parametrize("code", [b"+0D+0A", b"+0A", b"+0D", b"+00", b"+7F", b"+0d", b"+0"])
def test_xtext_hides_no_control(code: bytes) -> None:
    """Decoded, ENVID and ORCPT go into fields of a report (RFC 3464), and HELO into Received."""
    assert isinstance(parse_mail(b"FROM:<a@b> ENVID=x" + code + b"y"), Reply)
    assert isinstance(parse_rcpt(b"TO:<a@b> ORCPT=rfc822;x" + code + b"y"), Reply)
    assert isinstance(parse_rcpt(b"TO:<a@b> ORCPT=utf-8;x" + code + b"y", is_utf8=True), Reply)
    for name in (b"HELO", b"ADDR", b"PROTO"):
        assert isinstance(parse_xclient(name + b"=x" + code), Reply)


def test_xtext_that_is_harmless_passes() -> None:
    assert isinstance(parse_mail(b"FROM:<a@b> ENVID=x+2By"), MailCommand)
    assert isinstance(parse_rcpt(b"TO:<a@b> ORCPT=rfc822;x+2By+20z"), RcptCommand)
    assert isinstance(parse_xclient(b"HELO=x+2Ey"), XClient)


@pytest.mark.parametrize(
    "text", [b"\r\nRSET", b"\nRSET", b"\rRSET", b"\0RSET", b" RSET", b"> RSET", b"\tRSET"]
)
def test_no_address_that_we_take_holds_what_would_end_it_at_the_next_hop(text: bytes) -> None:
    for address in (b"a%b@b", b"a@b%b", b'"a%b"@b', b"a@[127.0.0.1%b]"):
        found = parse_mail(b"FROM:<" + address.replace(b"%b", text) + b">")
        if isinstance(found, MailCommand):
            # Only a quoted string may hold a space or a bracket, and it goes on quoted.
            assert found.sender.startswith(b'"') and not set(found.sender) & {0, 9, 10, 13}


@pytest.mark.parametrize("name", [b"u\r\nRSET", b"u\nRSET", b"u\0x"])
def test_a_user_name_with_a_line_end_is_a_name_and_no_line(name: bytes) -> None:
    talk = Talk()
    talk.feed(b"EHLO a\r\nAUTH LOGIN\r\n" + b64encode(name) + b"\r\n" + b64encode(b"p") + b"\r\n")
    (login,) = talk.events
    assert isinstance(login, Login) and login.username == name.decode()
    assert [reply.code for reply in talk.replies()] == [250, 334, 334, 250]
