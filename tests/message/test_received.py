"""The fields a relay adds."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.message.header import Header
from relay.message.received import (
    MAX_HELO_BYTES,
    address_literal,
    date_field,
    date_time,
    message_id_field,
    protocol_name,
    received_field,
)

NOW = 1_795_486_061.75


def field(
    helo: bytes = b"app.example.com",
    client: str = "192.0.2.1",
    protocol: bytes = b"ESMTP",
    recipient: bytes | None = None,
    tls: str = "",
) -> bytes:
    return received_field(
        helo=helo,
        client=client,
        hostname="relay.example.com",
        protocol=protocol,
        queue_id="01hzy3qf0g800",
        now=NOW,
        recipient=recipient,
        tls=tls,
    )


def test_a_received_field_says_from_whom_by_whom_how_and_when() -> None:
    assert field(recipient=b"bob@example.net", tls="TLSv1.3", protocol=b"ESMTPS") == (
        b"Received: from app.example.com ([192.0.2.1])\r\n"
        b"\tby relay.example.com with ESMTPS (TLSv1.3) id 01hzy3qf0g800\r\n"
        b"\tfor <bob@example.net>; Tue, 24 Nov 2026 02:07:41 +0000\r\n"
    )


def test_without_a_recipient_there_is_no_for() -> None:
    assert field().endswith(b" id 01hzy3qf0g800; Tue, 24 Nov 2026 02:07:41 +0000\r\n")


@pytest.mark.parametrize(
    ("esmtp", "tls", "auth", "utf8", "name"),
    [
        (False, False, False, False, b"SMTP"),
        (True, False, False, False, b"ESMTP"),
        (True, True, False, False, b"ESMTPS"),
        (True, False, True, False, b"ESMTPA"),
        (True, True, True, False, b"ESMTPSA"),
        (True, False, False, True, b"UTF8SMTP"),
        (True, True, False, True, b"UTF8SMTPS"),
        (True, True, True, True, b"UTF8SMTPSA"),
    ],
)
def test_the_protocol_has_its_registered_name(
    esmtp: bool, tls: bool, auth: bool, utf8: bool, name: bytes
) -> None:
    assert protocol_name(esmtp=esmtp, tls=tls, auth=auth, utf8=utf8) == name


@pytest.mark.parametrize(
    ("client", "literal"),
    [
        ("192.0.2.1", b"[192.0.2.1]"),
        ("2001:db8::1", b"[IPv6:2001:db8::1]"),
        ("fe80::1%eth0", b"[IPv6:fe80::1]"),
        ("::ffff:192.0.2.1", b"[192.0.2.1]"),
        ("", b""),
        ("local", b""),
    ],
)
def test_the_client_stands_as_address_literal(client: str, literal: bytes) -> None:
    assert address_literal(client) == literal


def test_a_client_without_address_gets_no_literal() -> None:
    assert field(client="").startswith(b"Received: from app.example.com\r\n\tby ")


@pytest.mark.parametrize(
    ("helo", "shown"),
    [
        (b"", b"unknown"),
        (b"[IPv6:2001:db8::1]", b"[IPv6:2001:db8::1]"),
        (b"a\r\nX: y", b"a??X:?y"),
        (b"a (b); c", b"a??b???c"),
        (b"\xc3\xa4.example", b"??.example"),
        (b"x" * 300, b"x" * MAX_HELO_BYTES),
    ],
)
def test_a_client_name_is_neutralised(helo: bytes, shown: bytes) -> None:
    assert field(helo=helo).startswith(b"Received: from " + shown + b" ([192.0.2.1])\r\n")


def test_internationalised_names_stand_in_internationalised_mail_only() -> None:
    utf8 = "ä.example".encode()
    received = field(helo=utf8, protocol=b"UTF8SMTP", recipient="ü@example.net".encode())
    assert b"from " + utf8 + b" (" in received
    assert "for <ü@example.net>".encode() in received
    assert field(helo=utf8, recipient="ü@example.net".encode()).isascii()
    assert field(helo=b"\xff.example", protocol=b"UTF8SMTP").isascii()


@pytest.mark.parametrize("recipient", [b"a>b@example.net", b'"a\r\nb"@example.net', b"a\0b@example.net"])
def test_a_recipient_that_would_break_the_field_is_left_out(recipient: bytes) -> None:
    assert b"for <" not in field(recipient=recipient)


@settings(deadline=None)  # the machine is shared
@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([b"ESMTP", b"UTF8SMTPS"]))
def test_no_client_can_make_more_than_one_field_of_ours(
    helo: bytes, recipient: bytes, protocol: bytes
) -> None:
    received = field(helo=helo, recipient=recipient, protocol=protocol)
    header = Header.of(received + b"\r\nbody")
    assert (len(header), header.received_hops, header.end) == (1, 1, len(received) + 2)
    assert received.count(b"\r\n\t") == received.count(b"\n") - 1 == received.count(b"\r") - 1
    assert max(len(line) for line in received.split(b"\r\n")) <= 998


def test_a_date_is_written_in_english_and_utc() -> None:
    assert date_field(0.9) == b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
    assert date_time(951_782_400) == b"Tue, 29 Feb 2000 00:00:00 +0000"


def test_a_message_id_is_made_of_queue_id_and_host() -> None:
    made = message_id_field("01hzy3qf0g800", "relay.example.com")
    assert re.fullmatch(rb"Message-ID: <[0-9a-z]{13}@relay\.example\.com>\r\n", made)
