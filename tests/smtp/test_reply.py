"""Replies: written by the server, read by the client in whatever pieces they come."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ProtocolError
from relay.smtp.reply import MAX_REPLY_BYTES, Reply, ReplyReader

WIRE = b"220 mx.example.com ESMTP\r\n250-2.1.0 one\r\n250 2.1.0 two\r\n550 5.1.1 nobody\r\n354\r\n"
REPLIES = [
    Reply(220, "", "mx.example.com ESMTP"),
    Reply(250, "2.1.0", ("one", "two")),
    Reply(550, "5.1.1", "nobody"),
    Reply(354, "", ""),
]


@pytest.mark.parametrize(
    "reply, wire",
    [
        (Reply(250, "2.0.0", "ok"), b"250 2.0.0 ok\r\n"),
        (Reply(354, "", "go on"), b"354 go on\r\n"),
        (Reply(214, "2.0.0", ("a", "b")), b"214-2.0.0 a\r\n214 2.0.0 b\r\n"),
        (Reply(250, "", ("host", "SIZE 1", "HELP")), b"250-host\r\n250-SIZE 1\r\n250 HELP\r\n"),
    ],
)
def test_a_reply_is_written_with_both_codes_on_every_line(reply: Reply, wire: bytes) -> None:
    assert reply.encode() == wire


def test_replies_are_read_whole() -> None:
    assert ReplyReader().feed(WIRE) == REPLIES


def test_replies_are_read_byte_by_byte() -> None:
    reader = ReplyReader()
    assert [reply for byte in WIRE for reply in reader.feed(bytes([byte]))] == REPLIES
    assert reader.is_empty


@given(st.lists(st.integers(0, len(WIRE)), max_size=8))
def test_replies_are_read_however_they_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WIRE)]
    reader = ReplyReader()
    replies = [reply for start, end in pairwise(edges) for reply in reader.feed(WIRE[start:end])]
    assert replies == REPLIES


texts = st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=40).map(lambda t: "x" + t)


@given(st.integers(200, 559), st.lists(texts, min_size=1, max_size=4))
def test_what_is_written_is_read_back(code: int, lines: list[str]) -> None:
    text = lines[0] if len(lines) == 1 else tuple(lines)
    enhanced = "" if 300 <= code < 400 else f"{code // 100}.7.12"
    reply = Reply(code, enhanced, text)
    assert ReplyReader().feed(reply.encode()) == [reply]


@pytest.mark.parametrize(
    "wire, reply",
    [
        (b"250 ok\n", Reply(250, "", "ok")),
        (b"250\r\n", Reply(250, "", "")),
        (b"250-\r\n250 \r\n", Reply(250, "", ("", ""))),
        (b"550 2.1.1 class of another code\r\n", Reply(550, "", "2.1.1 class of another code")),
        (b"550 5.1 half a code\r\n", Reply(550, "", "5.1 half a code")),
        (b"550 5.1.1000 too long\r\n", Reply(550, "", "5.1.1000 too long")),
        (b"550 5.1.1\r\n", Reply(550, "5.1.1", "")),
        (b"550-5.7.1 a\r\n550-b\r\n550 5.7.1 c\r\n", Reply(550, "5.7.1", ("a", "b", "c"))),
        (b"550 5.4.1 caf\xe9\r\n", Reply(550, "5.4.1", "caf\\xe9")),
        (b"550 5.4.1 caf\xc3\xa9\r\n", Reply(550, "5.4.1", "café")),
        (b"550 5.4.1\tno\xc2\xa0one\r\n", Reply(550, "5.4.1", "no one")),
        (b"550 5.1.1 \x1b[31m\xc2\x9b2J\0\x7f\xe2\x80\xae\r\n", Reply(550, "5.1.1", "�[31m�2J���")),
    ],
)
def test_replies_of_the_field_are_understood(wire: bytes, reply: Reply) -> None:
    assert ReplyReader().feed(wire) == [reply]


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 x\r\n",
        b"1000 x\r\n",
        b"150 x\r\n",
        b"650 x\r\n",
        b"250x\r\n",
        b"250-a\r\n550 b\r\n",
    ],
)
def test_garbage_is_no_reply(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        ReplyReader().feed(wire)


@given(st.binary(max_size=40))
def test_whatever_a_server_says_can_be_written_and_shown(said: bytes) -> None:
    for reply in ReplyReader().feed(b"550 x" + said.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n"):
        assert str(reply).isprintable() and str(reply).encode()


def test_a_reply_without_end_is_refused() -> None:
    reader = ReplyReader()
    with pytest.raises(ProtocolError):
        for _ in range(MAX_REPLY_BYTES // 50):
            reader.feed(b"250-" + b"x" * 60 + b"\r\n")


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(ProtocolError):
        ReplyReader().feed(b"250 " + b"x" * MAX_REPLY_BYTES)


def test_many_replies_in_one_read_are_not_too_long() -> None:
    wire = b"250 2.0.0 " + b"x" * 100 + b"\r\n"
    assert len(ReplyReader().feed(wire * 2000)) == 2000


@pytest.mark.parametrize(
    "code, kind", [(250, "positive"), (354, "intermediate"), (451, "transient"), (550, "permanent")]
)
def test_the_first_digit_is_the_kind(code: int, kind: str) -> None:
    reply = Reply(code, "", "x")
    kinds = {
        "positive": reply.is_positive,
        "intermediate": reply.is_intermediate,
        "transient": reply.is_transient,
        "permanent": reply.is_permanent,
    }
    assert [name for name, holds in kinds.items() if holds] == [kind]


def test_a_reply_reads_as_one_line_for_people() -> None:
    assert str(Reply(550, "5.1.1", ("no", "such user"))) == "550 5.1.1 no such user"
    assert str(Reply(354, "", "go")) == "354 go"


def test_a_line_that_was_read_before_is_read_alike_and_only_alone() -> None:
    reader = ReplyReader()
    assert reader.feed(b"250 2.1.0 Ok\r\n" * 2) == [Reply(250, "2.1.0", "Ok")] * 2
    assert reader.feed(b"250-first\r\n250 2.1.0 Ok\r\n") == [Reply(250, "2.1.0", ("first", "Ok"))]
