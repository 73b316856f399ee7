"""Whatever comes over the wire, nothing but an answer comes of it."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from relay.simulator import assertion, certificate
from relay.simulator.http import parse_head
from relay.simulator.login import parse_xoauth2
from relay.simulator.session import Want
from relay.simulator.token import encode
from tests.simulator.office import INSIDE, KEY, ORDERS, Office, base64, xoauth2

KNOWN = [
    assertion.Certificate(
        certificate.self_signed("a", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    )
]
Part = st.one_of(st.binary(max_size=60).map(encode), st.text(max_size=20))
Jwt = st.lists(Part, min_size=1, max_size=4).map(".".join)


@given(Jwt)
def test_noise_is_no_token(token: str) -> None:
    assert KEY.read(token) is None


@given(Jwt)
def test_noise_is_no_assertion(text: str) -> None:
    assert assertion.trouble(text, "c", ["a"], KNOWN, 0.0).startswith("AADSTS")


@given(st.binary(max_size=80))
def test_noise_is_no_xoauth2(blob: bytes) -> None:
    assert parse_xoauth2(blob) is None


@given(st.binary(max_size=80))
def test_noise_is_no_request(text: bytes) -> None:
    head = parse_head(b"GET / HTTP/1.1\r\n" + text + b"\r\n\r\n")
    assert head is None or head.length >= 0


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_noise_within_auth_is_refused(lines: list[bytes]) -> None:
    office = Office()
    talk = office.session(office.submission)
    talk.secure()
    noise = b"".join(line.replace(b"\n", b"") + b"\r\n" for line in lines)
    said = talk.feed(b"AUTH LOGIN\r\n" + noise)
    assert talk.session.visit.account is None and "235" not in said


def conversation(office: Office) -> bytes:
    """Everything that the submission service understands, after STARTTLS."""
    content = f"From: {ORDERS}\r\nMessage-ID: <2@x>\r\n\r\n.x\r\n".encode()
    head = (
        f"EHLO c\r\nAUTH LOGIN\r\n{base64(ORDERS)}\r\n{base64('wrong')}\r\n"
        f"AUTH XOAUTH2\r\n{xoauth2(ORDERS, office.token())}\r\n"
        f"MAIL FROM:<{ORDERS}> BODY=8BITMIME\r\nRCPT TO:<{INSIDE}>\r\nDATA\r\n"
        f"From: {ORDERS}\r\nMessage-ID: <1@x>\r\n\r\n..x\r\n.\r\n"
        f"MAIL FROM:<{ORDERS}> BODY=BINARYMIME\r\nRCPT TO:<{INSIDE}>\r\n"
    )
    return head.encode() + b"BDAT %d LAST\r\n" % len(content) + content + b"RSET\r\nQUIT\r\n"


def spoken(office: Office, pieces: list[bytes]) -> str:
    talk = office.session(office.submission)
    talk.secure()
    buffer, said = bytearray(), ""
    for piece in pieces:
        buffer += piece
        del buffer[: talk.session.receive(buffer, 0, len(buffer), office.now)]
        said += talk.session.take_output().decode()
    assert talk.session.want is Want.CLOSE and not buffer
    return said


@pytest.fixture(scope="module")
def whole() -> tuple[bytes, str]:
    office = Office()
    text = conversation(office)
    said = spoken(office, [text])
    codes = [line[:3] for line in said.split("\r\n") if line[3:4] == " "]
    assert codes == ["250", "334", "334", "535", "334", "235", *["250"] * 2, "354", *["250"] * 5, "221"]
    assert [mail.size for mail in office.ledger.mails] == [55, 55]
    return text, said


def test_byte_by_byte_it_is_the_same(whole: tuple[bytes, str]) -> None:
    text, said = whole
    assert spoken(Office(), [bytes((byte,)) for byte in text]) == said


@given(st.data())
def test_cut_anywhere_it_is_the_same(whole: tuple[bytes, str], data: st.DataObject) -> None:
    text, said = whole
    ends = [*sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=40))), len(text)]
    pieces = [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    assert spoken(Office(), pieces) == said
