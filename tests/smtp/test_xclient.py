"""What a proxy says with XCLIENT (Postfix's XCLIENT_README)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.reply import Reply
from relay.smtp.xclient import XClient, parse_xclient


@pytest.mark.parametrize(
    ("text", "client"),
    [
        (b"NAME=spike.example.com ADDR=168.100.189.2", XClient("168.100.189.2")),
        (b"addr=IPV6:2001:db8::1", XClient("2001:db8::1")),
        (b"ADDR=192.0.2.1 PROTO=ESMTP HELO=app.example", XClient("192.0.2.1", b"app.example", True)),
        (b"ADDR=192.0.2.1 PROTO=SMTP HELO=app.example", XClient("192.0.2.1", b"app.example", False)),
        (b"PROTO=ESMTP HELO=[UNAVAILABLE]", XClient("")),
        (b"ADDR=192.0.2.1 LOGIN=root NAME=[TEMPUNAVAIL]", XClient("192.0.2.1")),
        (b"HELO=a+2Bb", XClient("", b"a+b")),
    ],
)
def test_a_client_is_read(text: bytes, client: XClient) -> None:
    assert parse_xclient(text) == client


@pytest.mark.parametrize(
    "text",
    [b"", b"ADDR", b"ADDR=", b"PORT=25", b"ADDR=192.0.2.1 ADDR=192.0.2.2", b"ADDR=[UNAVAILABLE]", b"ADDR=[TEMPUNAVAIL]",
     b"ADDR=IPV6:192.0.2.1", b"ADDR=2001:db8::1", b"ADDR=999.1.1.1", b"PROTO=LMTP", b"HELO=a+0D+0Ab", b"HELO=" + b"x" * 256,
     b"ADDR=IPV6:fe80::1%eth0", b"ADDR=\xff", b"ADDR=1+GG"],
)  # fmt: skip
def test_what_names_no_client_is_refused(text: bytes) -> None:
    reply = parse_xclient(text)
    assert isinstance(reply, Reply) and (reply.code, reply.enhanced) == (501, "5.5.4")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_client_or_a_refusal(text: bytes) -> None:
    assert isinstance(parse_xclient(b"ADDR=" + text), XClient | Reply)
