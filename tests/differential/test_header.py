"""The native header scan agrees with the oracle, on content whole, cut short and under a limit."""

from hypothesis import given
from hypothesis import strategies as st

from relay._fastpath import HeaderScan, scan_header
from tests import oracle

PARTS = [
    b"Subject: x\r\n", b"received: by y\r\n", b"RECEIVED :z\r\n", b" folded\r\n", b"\t\r\n", b"\r\n", b"\n", b"Empty:\r\n",
    b": no name\r\n", b"no colon\r\n", b"n\xe4me: x\r\n", b"d\x7fl: x\r\n", b"a b: c\r\n", b"lf: only\n", b"x", b":", b"\r", b" ", b"-", b"..",
]  # fmt: skip
headers = st.lists(st.sampled_from(PARTS), max_size=20).map(b"".join)


def check(scan: HeaderScan, content: bytes) -> None:
    truth = oracle.header(content)
    assert (scan.end, scan.complete, len(scan)) == (truth.end, truth.complete, len(truth.fields))
    assert scan.text == content[: truth.end]
    for index, field in enumerate(truth.fields):
        name_start, name_end, value_start, value_end = scan.field(index)
        assert scan.name(index) == field.name == content[name_start:name_end]
        assert scan.value(index) == field.value == content[value_start:value_end]
    for name in (b"Received", b"subject", b"X", b"absent", b""):
        indexes = [index for index, field in enumerate(truth.fields) if field.name.lower() == name.lower()]
        assert scan.count(name) == len(indexes)
        assert scan.find(name) == (indexes[0] if indexes else -1)
        assert scan.find(name, 2) == next((index for index in indexes if index >= 2), -1)
    for prefix in (b"", b"Re", b"SUBJECT", b"lf", b"subject-"):
        indexes = [i for i, field in enumerate(truth.fields) if field.name.lower().startswith(prefix.lower())]
        assert scan.find_prefix(prefix) == (indexes[0] if indexes else -1)
        assert scan.find_prefix(prefix, 2) == next((index for index in indexes if index >= 2), -1)


@given(headers)
def test_whole_content(content: bytes) -> None:
    check(scan_header(content, 0), content)


@given(headers, st.integers(1, 60))
def test_a_limit_is_as_if_the_content_ended_there(content: bytes, limit: int) -> None:
    check(scan_header(content, limit), content[:limit])


@given(headers)
def test_what_is_known_of_a_beginning_stays_true(content: bytes) -> None:
    truth = oracle.header(content)
    for length in range(len(content)):
        check(scan := scan_header(bytearray(content[:length]), 0), content[:length])
        if scan.complete:
            assert (truth.end, truth.complete, len(truth.fields)) == (scan.end, True, len(scan))


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(scan_header(content, 0), content)


@given(headers)
def test_fields_and_what_lies_between_make_up_the_header(content: bytes) -> None:
    scan = scan_header(content, 0)
    starts = [scan.field(index)[0] for index in range(len(scan))]
    ends = [scan.field(index)[3] for index in range(len(scan))]
    assert starts == sorted(starts)
    for end, start in zip(ends, [*starts[1:], scan.fields_end], strict=False):
        assert content[end:start] in (b"\r\n", b"\n", b"")
