"""Header canonicalisation and the choice of fields: native, oracle and dkimpy agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay._fastpath import FieldSelection, scan_header
from tests import dkimpy, oracle

NAMES = [b"from", b"to", b"subject", b"x-long-name", b"a"]
SPELLINGS = st.sampled_from(
    [b"From", b"FROM", b"to", b"To", b"Subject", b"SuBjEcT", b"X-Long-Name", b"a", b"Other", b"Fro", b"Froms"]
)
VALUES = st.lists(
    st.sampled_from(
        [
            b" ",
            b"\t",
            b"  ",
            b"\r\n ",
            b"\r\n\t",
            b"\r\n  \t",
            b"a",
            b"B",
            b"text",
            b":",
            b"\xc3\xa4",
            b"\r",
            b"x" * 70,
        ]
    ),
    max_size=12,
).map(b"".join)
FIELDS = st.lists(st.tuples(SPELLINGS, VALUES), max_size=12)


def select(header: bytes, names: list[bytes], oversigned: list[bytes], relaxed: bool) -> tuple[bytes, bytes]:
    return FieldSelection(names, oversigned).select(scan_header(header, 0), relaxed)


@given(FIELDS, st.lists(st.sampled_from(NAMES), unique=True), st.lists(st.sampled_from(NAMES), unique=True))
@settings(max_examples=500)
def test_native_agrees_with_the_oracle(
    fields: list[tuple[bytes, bytes]], names: list[bytes], oversigned: list[bytes]
) -> None:
    header = b"".join(b"%b:%b\r\n" % field for field in fields) + b"\r\n"
    listed, chosen = oracle.select(oracle.header(header).fields, names, oversigned)
    for relaxed, canonical in ((True, oracle.relaxed_field), (False, oracle.simple_field)):
        expected = b":".join(listed), b"".join(canonical(field) for field in chosen)
        assert select(header, names, oversigned, relaxed) == expected


@given(FIELDS)
@settings(max_examples=300)
def test_dkimpy_agrees(fields: list[tuple[bytes, bytes]]) -> None:
    # dkimpy strips a CR at the ends of a value too, which is no white space; none comes through the decoder.
    fields = [(name, value.replace(b"\r", b"").replace(b"\n", b"\r\n")) for name, value in fields]
    for name, value in fields:
        header = b"%b:%b\r\n\r\n" % (name, value)
        assert select(header, [name], [], True)[1] == dkimpy.relaxed_field(name, value)
        assert select(header, [name], [], False)[1] == b"%b:%b\r\n" % (name, value)


def test_space_before_the_colon_goes_in_relaxed_and_stays_in_simple() -> None:
    header = b"Subject \t:\tHello  \t\r\n  there \r\n\r\n"
    assert select(header, [b"subject"], [], True)[1] == b"subject:Hello there\r\n"
    assert select(header, [b"subject"], [], False)[1] == header[:-2]


def test_of_equal_names_the_last_comes_first() -> None:
    header = b"To: 1\r\nFrom: x\r\nTo: 2\r\nto: 3\r\n\r\n"
    listed, canonical = select(header, [b"To", b"From"], [b"to"], True)
    assert listed == b"to:to:to:to:from"
    assert canonical == b"to:3\r\nto:2\r\nto:1\r\nfrom:x\r\n"


def test_a_name_that_is_oversigned_is_listed_where_the_header_has_none() -> None:
    assert select(b"From: x\r\n\r\n", [b"Cc", b"From"], [b"Cc"], True) == (b"cc:from", b"from:x\r\n")


def test_names_outside_the_list_are_not_oversigned() -> None:
    assert select(b"From: x\r\n\r\n", [b"From"], [b"Cc"], True) == (b"from", b"from:x\r\n")


@pytest.mark.parametrize("relaxed", [True, False])
def test_a_thousand_fields_of_one_name_are_all_signed(relaxed: bool) -> None:
    header = b"".join(b"To: %d \r\n" % index for index in range(1000)) + b"\r\n"
    listed, canonical = select(header, [b"to"], [b"to"], relaxed)
    assert listed == b":".join([b"to"] * 1001)
    assert canonical.count(b"\r\n") == 1000
    assert canonical.startswith(b"to:999\r\nto:998" if relaxed else b"To: 999 \r\nTo: 998")


def test_a_header_without_fields_has_nothing_to_sign() -> None:
    assert select(b"\r\n", [b"from"], [], True) == (b"", b"")
    assert select(b"", [b"from"], [b"from"], True) == (b"from", b"")


def test_a_header_cut_after_a_field_of_the_last_line_counts_it() -> None:
    assert select(b"From: x", [b"from"], [], True) == (b"from", b"from:x\r\n")
    assert select(b"From:", [b"from"], [], True) == (b"from", b"from:\r\n")
