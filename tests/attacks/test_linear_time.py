"""Quadratic parsing: eight times the input takes some eight times the time, whatever the input is made of.

Time is measured, so the ratio is generous and the best of several tries counts: a
quadratic reader needs 64 times as long, an exponential one never ends.
"""

import time
from collections.abc import Callable

import pytest

from relay._fastpath import scan_header
from relay.message import own_field
from relay.message.edit import apply
from relay.message.from_field import address_in, author_of
from relay.message.header import Header
from relay.smtp.address import parse_path
from relay.smtp.command import parse_mail, parse_rcpt
from relay.smtp.reply import ReplyReader
from relay.smtp.sasl_server import begin
from relay.smtp.xclient import parse_xclient
from tests.fuzz.talk import Doors, Talk

FACTOR = 8
RATIO_MAX = 32.0
"""Between linear (8) and quadratic (64), nearer to the former on a logarithmic scale than noise comes."""
TRIES = 7
FLOOR_S = 50e-6
"""What is faster is lost in the clock's own noise."""
RCPT = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"


def _own_fields(text: bytes) -> None:
    scan = scan_header(text, 0)
    found = own_field.own_fields(scan)
    own_field.read(scan, found)
    apply(bytearray(text), own_field.removal(scan, found))


def _talk(text: bytes, step: int) -> None:
    talk = Talk()
    talk.feed(RCPT)
    for start in range(0, len(text), step):
        talk.feed(text[start : start + step])


CASES: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes], int]] = {
    # What reads, what it is given for a size, and the smaller of the two sizes.
    "a path of dots": (parse_path, lambda n: b"<" + b"a." * n, 250),
    "a path of routes": (parse_path, lambda n: b"<" + b"@a," * n, 250),
    "a path of quotes": (parse_path, lambda n: b'<"' + b'\\"' * n, 250),
    "a path of dashes": (parse_path, lambda n: b"<a@" + b"a-" * n, 250),
    "parameters": (parse_mail, lambda n: b"FROM:<a@b>" + b" A=b" * n, 250),
    "different parameters": (parse_mail, lambda n: b"FROM:<a@b>" + b"".join(b" A%d=b" % i for i in range(n)), 250),
    "an ORCPT": (parse_rcpt, lambda n: b"TO:<a@b> ORCPT=rfc822;" + b"+41" * n, 20),
    "an XCLIENT": (parse_xclient, lambda n: b"HELO=" + b"+41" * n, 250),
    "a login": (lambda text: begin(text, Doors()), lambda n: b"PLAIN " + b"AAAA" * n, 500),
    "comments in From": (address_in, lambda n: b"(" * n, 500),
    "ended comments in From": (address_in, lambda n: b"()" * n, 250),
    "quotes in From": (address_in, lambda n: b'""' * n, 250),
    "backslashes in From": (address_in, lambda n: b'"' + b"\\" * n, 500),
    "at signs in From": (address_in, lambda n: b"@" * n, 500),
    "folds in From": (address_in, lambda n: b"\r\n " * n, 170),
    "many From fields": (lambda text: author_of(Header.of(text)), lambda n: b"From: a@b\r\n" * n, 1_000),
    "many fields": (Header.of, lambda n: b"X: y\r\n" * n, 5_000),
    "one long fold": (Header.of, lambda n: b"X: y\r\n" + b" \r\n" * n, 5_000),
    "many fields of ours": (_own_fields, lambda n: b"X-Relay-Other: y\r\n" * n, 500),
    "a reply of many lines": (ReplyReader().feed, lambda n: b"250-x\r\n" * n + b"250 x\r\n", 500),
    "commands in one piece": (lambda text: _talk(text, len(text)), lambda n: b"NOOP\r\n" * n, 10),
    "data byte by byte": (lambda text: _talk(text, 1), lambda n: b"DATA\r\n" + b".\r\n." * n, 100),
    "dots in one piece": (lambda text: _talk(text, len(text)), lambda n: b"DATA\r\n" + b"\r\n.." * n, 50),
    "small chunks": (lambda text: _talk(text, len(text)), lambda n: b"BDAT 1\r\nx" * n, 10),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_eight_times_the_input_takes_no_more_than_its_share_of_time(what: str) -> None:
    read, make, size = CASES[what]
    small, large = make(size), make(size * FACTOR)
    assert min(_ratio(read, small, large) for _ in range(3)) < RATIO_MAX


def _ratio(read: Callable[[bytes], object], small: bytes, large: bytes) -> float:
    return _best_s(read, large) / max(_best_s(read, small), FLOOR_S)


def _best_s(read: Callable[[bytes], object], text: bytes) -> float:
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        read(text)
        best = min(best, time.perf_counter() - began)
    return best


def test_a_quadratic_reader_would_be_found() -> None:
    def quadratic(text: bytes) -> int:
        return sum(text.count(b"y", index) for index in range(0, len(text), 8))

    assert _ratio(quadratic, b"x" * 8_000, b"x" * 64_000) > RATIO_MAX
