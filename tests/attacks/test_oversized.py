"""Oversized everything: what a client may make long has a bound, in reply and in memory, and the session stays in step."""

from base64 import b64encode

import pytest

from relay.errors import ProtocolError
from relay.smtp.proxy import SIGNATURE, V1_MAX_BYTES, V2_MAX_BYTES, Needs, parse_proxy
from relay.smtp.reply import MAX_REPLY_BYTES, ReplyReader
from tests.fuzz.talk import OPTIONS, Talk

HELLO = b"EHLO a\r\n"
MAIL = HELLO + b"MAIL FROM:<a@b>\r\n"
RCPT = MAIL + b"RCPT TO:<c@d>\r\n"
LONG = 100_000
LINES = {
    "a command": (HELLO, b"X" * LONG, b"500 5.5.2"),
    "an argument": (HELLO, b"NOOP " + b"x" * LONG, b"500 5.5.2"),
    "a greeting": (b"", b"EHLO " + b"x" * 300, b"501 5.5.4"),
    "a sender": (HELLO, b"MAIL FROM:<" + b"x" * 330 + b"@b>", b"501 5.1.7"),
    "a sender's domain": (HELLO, b"MAIL FROM:<a@" + b"x" * 260 + b">", b"501 5.1.7"),
    "a recipient": (MAIL, b"RCPT TO:<" + b"x" * 330 + b"@b>", b"501 5.1.3"),
    "many parameters": (HELLO, b"MAIL FROM:<a@b>" + b" X=y" * 100, b"501 5.5.4"),
    "a size": (HELLO, b"MAIL FROM:<a@b> SIZE=" + b"9" * 21, b"501 5.5.4"),
    "the largest size": (HELLO, b"MAIL FROM:<a@b> SIZE=" + b"9" * 20, b"552 5.3.4"),
    "an ENVID": (HELLO, b"MAIL FROM:<a@b> ENVID=" + b"x" * 101, b"501 5.5.4"),
    "an ORCPT": (MAIL, b"RCPT TO:<c@d> ORCPT=rfc822;" + b"x" * 495, b"500 5.5.2"),
    "an initial response": (HELLO, b"AUTH PLAIN " + b"A" * LONG, b"500 5.5.2"),
    "a name": (HELLO, b"AUTH PLAIN " + b64encode(b"\0" + b"x" * 256 + b"\0p"), b"501 5.5.2"),
    "a password": (HELLO, b"AUTH PLAIN " + b64encode(b"\0u\0" + b"x" * 256), b"501 5.5.2"),
    "an answer to a challenge": (HELLO + b"AUTH LOGIN\r\n", b"A" * LONG, b"500 5.5.6"),
    "an attribute of XCLIENT": (HELLO, b"XCLIENT HELO=" + b"x" * 256, b"501 5.5.4"),
    "an XCLIENT": (HELLO, b"XCLIENT " + b"HELO=x " * LONG, b"500 5.5.2"),
    "a chunk's size in digits": (RCPT, b"BDAT " + b"9" * 21, b"501 5.5.4"),
}


@pytest.mark.parametrize("step", [7, 4_096])
@pytest.mark.parametrize("what", LINES)
def test_a_long_line_is_refused_and_kept_nowhere(what: str, step: int) -> None:
    opening, line, reply = LINES[what]
    talk = Talk()
    talk.feed(opening)
    talk.out = b""
    for start in range(0, len(line), step):
        talk.feed(line[start : start + step])
        assert len(talk._buffer) <= OPTIONS.command_line_bytes + step + 2
    talk.feed(b"\r\n")
    assert talk.out.startswith(reply), talk.out
    if what != "a chunk's size in digits":
        talk.out = b""
        talk.feed(b"NOOP\r\n")
        assert talk.out.startswith(b"250 2.0.0"), "out of step"


@pytest.mark.parametrize(
    ("opening", "end"), [(b"DATA\r\n", b"\r\n.\r\n"), (b"BDAT %d LAST\r\n" % LONG, b"")], ids=["DATA", "BDAT"]
)
@pytest.mark.parametrize("piece", [b"x", b"x\r\n", b"X: y\r\n", b"\n", b"\r\n.x"])
def test_content_beyond_the_size_is_read_to_its_end_and_kept_nowhere(
    opening: bytes, end: bytes, piece: bytes
) -> None:
    talk = Talk()
    talk.feed(RCPT + opening)
    talk.out = b""
    content = (piece * LONG)[:LONG]
    for start in range(0, LONG, 4_096):
        talk.feed(content[start : start + 4_096])
        assert len(talk.server.content) <= OPTIONS.message_bytes
    talk.feed(end)
    assert talk.out[:9] in (b"552 5.3.4", b"554 5.6.0") and talk.mails == []
    talk.out = b""
    talk.feed(b"NOOP\r\n")
    assert talk.out.startswith(b"250 2.0.0"), "out of step"


def test_chunks_that_add_up_to_too_much_are_refused() -> None:
    talk = Talk()
    talk.feed(RCPT)
    for _ in range(OPTIONS.message_bytes // 100 + 1):
        talk.feed(b"BDAT 100\r\n" + (b"x" * 48 + b"\r\n") * 2)
    talk.feed(b"BDAT 0 LAST\r\n")
    codes = [reply.code for reply in talk.replies()]
    assert codes[-2:] == [552, 503] and talk.mails == []


def test_a_chunk_of_exabytes_is_refused_at_once_and_its_bytes_are_no_commands() -> None:
    talk = Talk()
    talk.feed(RCPT + b"BDAT " + b"9" * 20 + b"\r\nQUIT\r\n" * 100)
    assert not talk.server.said_quit and len(talk.server.content) == 0


def test_many_recipients_are_put_off() -> None:
    talk = Talk()
    talk.feed(MAIL + b"RCPT TO:<c@d>\r\n" * 50)
    assert [reply.code for reply in talk.replies()[2:]] == [250] * 10 + [452] * 40


@pytest.mark.parametrize(
    "header", [b"PROXY TCP4 " + b"1" * LONG, b"PROXY UNKNOWN " + b"x" * LONG, SIGNATURE + b"\x21\x11\xff\xff" + b"x" * LONG]
)  # fmt: skip
def test_a_proxy_header_is_read_no_further_than_its_bound(header: bytes) -> None:
    taken = 0
    with pytest.raises(ProtocolError):
        while isinstance(needs := parse_proxy(header[:taken]), Needs):
            taken += needs.count
            assert taken <= V2_MAX_BYTES
    assert taken <= V1_MAX_BYTES


@pytest.mark.parametrize("piece", [b"250-" + b"x" * 100 + b"\r\n", b"250 " + b"x" * 1_000])
def test_a_next_hop_s_reply_without_end_is_refused(piece: bytes) -> None:
    reader = ReplyReader()
    with pytest.raises(ProtocolError):
        for _ in range(2 * MAX_REPLY_BYTES // 100):
            reader.feed(piece)
