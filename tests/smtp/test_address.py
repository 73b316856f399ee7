"""The grammar of paths, as tables (RFC 5321 section 4.1.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.address import MAX_ADDRESS_BYTES, is_literal, parse_path


@pytest.mark.parametrize(
    "path, address",
    [
        (b"<>", b""),
        (b"<a@b>", b"a@b"),
        (b"<alice.b+c=d@mail.example.com>", b"alice.b+c=d@mail.example.com"),
        (b"<!#$%&'*+/=?^_`{|}~-@example.com>", b"!#$%&'*+/=?^_`{|}~-@example.com"),
        (b'<"two words"@example.com>', b'"two words"@example.com'),
        (b'<"a>b"@example.com>', b'"a>b"@example.com'),
        (b'<"a\\"b\\\\"@example.com>', b'"a\\"b\\\\"@example.com'),
        (b'<"@"@example.com>', b'"@"@example.com'),
        (b'<""@example.com>', b'""@example.com'),
        (b"<a@[192.0.2.1]>", b"a@[192.0.2.1]"),
        (b"<a@[IPv6:2001:db8::1]>", b"a@[IPv6:2001:db8::1]"),
        (b"<@relay.example:a@example.com>", b"a@example.com"),
        (b"<@one.example,@two.example:a@example.com>", b"a@example.com"),
        (b"<postmaster>", b"postmaster"),
        (b"<PostMaster>", b"PostMaster"),
        (b"<a@under_score.example>", b"a@under_score.example"),
        (b"<a@" + b"x" * 63 + b".example>", b"a@" + b"x" * 63 + b".example"),
        ("<jürgen@bücher.example>".encode(), "jürgen@bücher.example".encode()),
        ('<"jür gen"@example.com>'.encode(), '"jür gen"@example.com'.encode()),
    ],
)
def test_a_path_is_taken(path: bytes, address: bytes) -> None:
    parsed = parse_path(path + b" SIZE=1>")
    assert parsed is not None
    assert parsed.address == address
    assert parsed.end == len(path)


@pytest.mark.parametrize(
    "path",
    [
        b"", b"a@b", b"<a@b", b"a@b>", b"<a>", b"<@b>", b"<a@>", b"<@>", b"< a@b>", b"<a@b >", b"<<a@b>>", b"<a b@c>",
        b"<.a@b>", b"<a.@b>", b"<a..b@c>", b"<a@.b>", b"<a@b.>", b"<a@b..c>", b"<a@-b>", b"<a@b->", b"<a@b@c>",
        b'<"a@b>', b'<a"b"@c>', b'<"a"b@c>', b'<"a\\"@b>', b'<"a\tb"@c>', b"<a,b@c>", b"<a;b@c>", b"<a(b)@c>",
        b"<a\\b@c>", b"<a@b_>c", b"<a@[192.0.2]>", b"<a@[192.0.2.256]>", b"<a@[]>", b"<a@[IPv6:::g]>", b"<a@[x:y]>",
        b"<a@192.0.2.1]>", b"<@relay.example,a@b>", b"<@relay.example:>", b"<relay.example:a@b>", b"<postmaster@>",
        b"<a@" + b"x" * 64 + b".example>", b"<" + b"a" * MAX_ADDRESS_BYTES + b"@b>", b"<a@" + b"b." * 128 + b"c>",
        b"<\xff@example.com>", b"<a@\xc3>", b"<a\xc2\x85b@example.com>", b"<a\xe2\x80\xa8b@example.com>", b"<a\x7fb@c>",
    ],
)  # fmt: skip
def test_no_path_is_found(path: bytes) -> None:
    parsed = parse_path(path)
    assert parsed is None or parsed.end != len(path)


@pytest.mark.parametrize(
    "literal, valid", [(b"127.0.0.1", True), (b"ipv6:::1", True), (b"::1", False), (b"tag:x", False)]
)
def test_only_known_address_literals_count(literal: bytes, valid: bool) -> None:
    assert is_literal(literal) is valid


@given(st.binary(max_size=60))
def test_what_is_taken_holds_neither_controls_nor_unquoted_brackets(noise: bytes) -> None:
    parsed = parse_path(b"<" + noise + b">")
    if parsed is not None and parsed.address:
        assert not any(byte < 32 or byte == 127 for byte in parsed.address)
        assert b">" not in parsed.address or parsed.address.startswith(b'"')
        assert b"@" in parsed.address or parsed.address.lower() == b"postmaster"


@pytest.mark.parametrize("unit", [b"a", b"a.", b"-", b"@a,", b'"', b"\\\\", b"[", b"x-"])
def test_hostile_paths_take_linear_time(unit: bytes) -> None:
    # With an ambiguous pattern 2,000 bytes would take hours; pytest's time-out would tell.
    for prefix in (b"<", b'<"', b"<a@", b"<@"):
        assert parse_path(prefix + unit * (2000 // len(unit))) is None
