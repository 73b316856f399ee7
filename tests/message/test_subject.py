"""A subject as a person sees it."""

import pytest

from relay.message.header import Header
from relay.message.subject import SUBJECT_MAX, subject_of


@pytest.mark.parametrize(
    ("field", "subject"),
    [
        (b"Subject: Your order 17\r\n", "Your order 17"),
        (b"SUBJECT:\r\n a\r\n\tb\r\n", "a b"),
        ("Subject: Grüße\r\n".encode(), "Grüße"),
        (b"Subject: Gr\xfc\xdfe\r\n", "Gr\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e"),
        (b"Subject: =?utf-8?q?Gr=C3=BC?= =?utf-8?b?w59l?= =?x?q?odd?=\r\n", "Grüße=?x?q?odd?="),
        (b"Subject: =?utf-8?q?=1B[31m=0D=0ABcc:_x?=\r\n", "[31m Bcc: x"),
        (b"Subject:\r\n", ""),
        (b"To: a@b.test\r\n", ""),
        (b"Subject: " + b"x" * 900 + b"\r\n", "x" * SUBJECT_MAX),
    ],
)
def test_it_is_decoded_on_one_line_and_cut(field: bytes, subject: str) -> None:
    assert subject_of(Header.of(field + b"\r\nbody\r\n")) == subject
