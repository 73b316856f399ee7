"""What X-Relay- fields say, and that they go without a trace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.edit import apply
from relay.message.header import Header
from relay.message.moment import Moment
from relay.message.own_field import (
    MAX_CAMPAIGN,
    MAX_KEY,
    NOTHING,
    Unreadable,
    Wishes,
    own_fields,
    read,
    removal,
)
from relay.message.priority import Priority
from relay.message.uncertain import Uncertain


def wishes(*fields: bytes) -> Wishes | Unreadable:
    scan = Header.of(b"".join(field + b"\r\n" for field in fields) + b"\r\nbody\r\n").scan
    return read(scan, own_fields(scan))


def without(content: bytes) -> bytes:
    scan = Header.of(content).scan
    changed = bytearray(content)
    apply(changed, removal(scan, own_fields(scan)))
    return bytes(changed)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"X-Relay-Priority: high", Wishes(Priority.HIGH)),
        (b"X-Relay-Priority: normal", Wishes(Priority.NORMAL)),
        (b"X-RELAY-PRIORITY :\tBulk ", Wishes(Priority.BULK)),
        (b"x-relay-priority:\r\n high", Wishes(Priority.HIGH)),
        (b"X-Relay-Campaign: Spring offer 2027", Wishes(campaign="Spring offer 2027")),
        (b"X-Relay-Campaign: a\r\n b", Wishes(campaign="a b")),
        (b"X-Relay-Campaign: " + b"~" * MAX_CAMPAIGN, Wishes(campaign="~" * MAX_CAMPAIGN)),
        (b"X-Relay-Uncertain: retry", Wishes(uncertain=Uncertain.RETRY)),
        (b"X-Relay-Uncertain: HOLD", Wishes(uncertain=Uncertain.HOLD)),
        (b"x-relay-idempotency-key: 8e03978e-40d5-43dd", Wishes(idempotency_key="8e03978e-40d5-43dd")),
        (b"X-Relay-Idempotency-Key: " + b"~" * MAX_KEY, Wishes(idempotency_key="~" * MAX_KEY)),
        (b"X-Relay-Not-Before: 2h", Wishes(not_before=Moment(7200.0, is_relative=True))),
        (b"X-Relay-Deadline: 2026-11-26T18:00:00Z", Wishes(deadline=Moment(1_795_716_000.0))),
        (b"X-Relay-Tomorrow: anything \xff", NOTHING),
        (b"X-Relay-: x", NOTHING),
        (b"X-Relay: x", NOTHING),
        (b"X-Priority: 1", NOTHING),
    ],
)
def test_a_field_is_understood(field: bytes, expected: Wishes) -> None:
    assert wishes(b"From: a@b", field, b"Subject: x") == expected


def test_all_of_them_together() -> None:
    got = wishes(b"X-Relay-Uncertain: hold", b"X-Relay-Campaign: may", b"To: x", b"X-Relay-Priority: bulk")
    assert got == Wishes(Priority.BULK, "may", Uncertain.HOLD)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (b"X-Relay-Priority: urgent", ("X-Relay-Priority", "high, normal or bulk", '"urgent"')),
        (b"X-Relay-Priority:", ("X-Relay-Priority", "high, normal or bulk")),
        (b"x-relay-priority: high (really)", ("X-Relay-Priority",)),
        (b"X-Relay-Idempotency-Key: ", ("X-Relay-Idempotency-Key", "128 visible")),
        (b"X-Relay-Idempotency-Key: two words", ("X-Relay-Idempotency-Key", '"two words"')),
        (b"X-Relay-Idempotency-Key: " + b"k" * (MAX_KEY + 1), ("X-Relay-Idempotency-Key",)),
        (b"X-Relay-Campaign: ", ("X-Relay-Campaign", "64 printable")),
        (b"X-Relay-Campaign: m\xc3\xa4rz", ("X-Relay-Campaign", "m??rz")),
        (b"X-Relay-Campaign: a\tb", ("X-Relay-Campaign", "a?b")),
        (b"X-Relay-Campaign: " + b"x" * (MAX_CAMPAIGN + 1), ("X-Relay-Campaign", "xxx...")),
        (b"X-Relay-Uncertain: maybe", ("X-Relay-Uncertain", "retry, hold or ask")),
        (b"X-Relay-Not-Before: tomorrow", ("X-Relay-Not-Before", '"2h"', '"tomorrow"')),
        (b"X-Relay-Deadline: 2026-11-26T18:00:00", ("X-Relay-Deadline", "offset")),
    ],
)
def test_a_value_that_means_nothing_is_told_with_what_is_allowed(
    field: bytes, words: tuple[str, ...]
) -> None:
    got = wishes(field)
    assert isinstance(got, Unreadable)
    assert [word for word in words if word not in got.text] == []
    assert got.text.isascii() and got.text.isprintable() and len(got.text) < 200


def test_a_field_that_stands_twice_is_refused_even_when_both_agree() -> None:
    got = wishes(b"X-Relay-Priority: high", b"x-relay-priority: high")
    assert got == Unreadable("X-Relay-Priority stands in the mail twice; write it once")
    assert wishes(b"X-Relay-Other: 1", b"X-Relay-Other: 2") == NOTHING


OWN = [
    b"X-Relay-Priority: high\r\n", b"x-relay-campaign :\r\n\tmay\r\n", b"X-RELAY-OTHER: a\r\n b\r\n  c\r\n", b"X-Relay-:\r\n",
]  # fmt: skip
OTHER = [
    b"From: a@b\r\n", b"Subject: x\r\n X-Relay-Priority: folded, not a field\r\n", b"X-Relay: y\r\n", b"X-Relaying: z\r\n",
    b"Comments:\r\n\t\r\n", b"8-bit: \xe4\r\n",
]  # fmt: skip
BODIES = [
    b"",
    b"\r\n",
    b"\r\nbody\r\nX-Relay-Priority: not in the header\r\n",
    b"no field\r\nX-Relay-Priority: body\r\n",
]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=12),
    st.sampled_from(BODIES),
)
def test_they_go_and_every_other_byte_stays(choices: list[tuple[bool, int]], body: bytes) -> None:
    fields = [(is_own, OWN[index % 4] if is_own else OTHER[index]) for is_own, index in choices]
    content = b"".join(field for _, field in fields) + body
    expected = b"".join(field for is_own, field in fields if not is_own) + body
    assert without(content) == expected
    assert without(expected) == expected


PIECES = [*OWN, *OTHER, b" folded\r\n", b"\r\n", b"no field\r\n", b"X-Relay-Cut", b"x", b":", b"\t", b"\xff"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_the_header_ends_where_it_did_and_none_of_them_is_left(content: bytes) -> None:
    left = without(content)
    before, after = Header.of(content), Header.of(left)
    assert own_fields(after.scan) == []
    assert after.is_complete is before.is_complete
    assert left[after.end :] == content[before.end :]
