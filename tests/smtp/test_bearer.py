"""The one message of OAUTHBEARER and of XOAUTH2: what is one, and whose token is in it."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp import bearer
from relay.smtp.bearer import OAUTHBEARER, XOAUTH2

TOKEN = b"eyJ0.eyJh-_~.c2ln+/=="


@pytest.mark.parametrize(
    ("message", "found"),
    [
        # RFC 7628 section 4.1, with the host and port that it shows.
        (b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer " + TOKEN + b"\x01\x01", (b"user@example.com", TOKEN)),
        (b"n,,\x01auth=Bearer " + TOKEN + b"\x01\x01", (b"", TOKEN)),
        (b"y,,\x01auth=bearer  " + TOKEN + b"\x01\x01", (b"", TOKEN)),
        (b"n,a=b=2Cc=3Dd,\x01AUTH=Bearer x\x01\x01", (b"b,c=d", b"x")),
        (b"n,a=\xc3\xbc,\x01auth=Bearer x\x01\x01", (b"\xc3\xbc", b"x")),
        # Section 4.3: without a token the client asks what there is; it is told that this one is wrong.
        (b"n,,\x01auth=\x01\x01", (b"", b"")),
        (b"n,,\x01auth=Basic dXNlcg==\x01\x01", (b"", b"")),
        (b"n,,\x01auth=Bearer a b\x01\x01", (b"", b"")),
        # No message: a lone separator, no `auth` or two, no end, a bare equals sign, channel binding, NUL.
        (b"\x01", None),
        (b"", None),
        (b"n,,\x01\x01", None),
        (b"n,,\x01host=a\x01\x01", None),
        (b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", None),
        (b"n,,\x01auth=Bearer x\x01", None),
        (b"n,,\x01auth=Bearer x\x01\x01\x01", None),
        (b"n,a=b=c,\x01auth=Bearer x\x01\x01", None),
        (b"n,a=,\x01auth=Bearer x\x01\x01", None),
        (b"p=tls-unique,,\x01auth=Bearer x\x01\x01", None),
        (b"n,a=a\x00b,\x01auth=Bearer x\x01\x01", None),
        (b"n,,\x01auth=Bearer x\x00\x01\x01", None),
        (b"n,,\x01auth=Bearer x\x80\x01\x01", None),
        (b"user=a\x01auth=Bearer x\x01\x01", None),
    ],
)  # fmt: skip
def test_a_message_of_oauthbearer(message: bytes, found: tuple[bytes, bytes] | None) -> None:
    assert bearer.read(OAUTHBEARER, message) == found


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (b"user=someuser@example.com\x01auth=Bearer " + TOKEN + b"\x01\x01", (b"someuser@example.com", TOKEN)),
        (b"user=\x01auth=bearer x\x01\x01", (b"", b"x")),
        (b"user=a=b\x01auth=Bearer x\x01\x01", (b"a=b", b"x")),
        (b"user=a\x01auth=\x01\x01", (b"a", b"")),
        (b"", None),
        (b"\x01", None),
        (b"user=a\x01auth=Bearer x\x01", None),
        (b"user=a\x01auth=Bearer x\x01\x01\x01", None),
        (b"user=a\x01\x01", None),
        (b"auth=Bearer x\x01user=a\x01\x01", None),
        (b"user=a\x00\x01auth=Bearer x\x01\x01", None),
        (b"user=a\x01auth=Bearer x\r\ny\x01\x01", None),
        (b"n,,\x01auth=Bearer x\x01\x01", None),
    ],
)  # fmt: skip
def test_a_message_of_xoauth2(message: bytes, found: tuple[bytes, bytes] | None) -> None:
    assert bearer.read(XOAUTH2, message) == found


@given(st.sampled_from((OAUTHBEARER, XOAUTH2)), st.binary(max_size=200))
def test_whatever_is_said_a_token_is_one_word_of_ascii(mechanism: str, message: bytes) -> None:
    found = bearer.read(mechanism, b"n,,\x01auth=Bearer " + message) or bearer.read(mechanism, message)
    if found is not None:
        assert found[1].isascii() and not set(found[1]) & {*range(0x21), 0x7F}


def test_a_complaint_fits_a_line_and_names_nobody() -> None:
    for text in bearer.COMPLAINTS.values():
        assert len(b64encode(text)) < 500 and b"://" not in text
