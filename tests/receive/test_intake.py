"""What is read of a mail and changed in it before anything is added: nothing else may change."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.from_field import MANY_ADDRESSES, MANY_FIELDS, NO_ADDRESS, NO_FIELD
from relay.message.own_field import NOTHING, Wishes
from relay.message.priority import Priority
from relay.receive.intake import Intake, take
from relay.receive.options import Limits, Rewrite
from relay.receive.policy import HEADER_CUT
from relay.receive.rewrite import Rule
from relay.smtp.reply import Reply

RULE = Rule(Rewrite(("local", "*.local"), "scanner@contoso.com"))
ENVELOPE_ONLY = Rule(Rewrite(("local",), "scanner@contoso.com", from_field=False))


class Taken(NamedTuple):
    intake: Intake
    content: bytes


def taken(content: bytes, rule: Rule | None = None, *, is_whole: bool = True) -> Taken:
    changed = bytearray(content)
    intake = take(changed, is_whole, rule, Limits())
    assert isinstance(intake, Intake), intake
    return Taken(intake, bytes(changed))


def refusal(content: bytes, rule: Rule | None = None, *, is_whole: bool = True) -> Reply:
    reply = take(bytearray(content), is_whole, rule, Limits())
    assert isinstance(reply, Reply)
    return reply


def test_a_mail_that_says_nothing_stays_as_it_is() -> None:
    content = b"From: p@local\r\nSubject: x\r\n\r\nX-Relay-Priority: high\r\n"
    intake, after = taken(content)
    assert after == content
    assert (intake.wishes, intake.original_from, intake.from_left) == (NOTHING, b"", "")
    assert intake.header.get(b"Subject") == b"x"


def test_own_fields_go_and_from_gets_its_new_address() -> None:
    intake, after = taken(
        b"X-Relay-Priority: high\r\nFrom: =?utf-8?q?D=C3=A9sk?=\r\n <p@a.local> (x)\r\nX-Relay-Else: 1\r\n 2\r\nTo: b@c\r\n\r\nHi\r\n",
        RULE,
    )
    assert after == b"From: =?utf-8?q?D=C3=A9sk?=\r\n <scanner@contoso.com> (x)\r\nTo: b@c\r\n\r\nHi\r\n"
    assert intake == Intake(intake.header, Wishes(Priority.HIGH), b"p@a.local", "")
    assert intake.header.get(b"From") == b"=?utf-8?q?D=C3=A9sk?= <scanner@contoso.com> (x)"
    assert intake.header.end == after.index(b"Hi")


@pytest.mark.parametrize(
    "content", [b"X-Relay-Priority: high\r\nno field\r\n", b"X-Relay-Priority: high\r\n", b"X-Relay-A: b\r\n\r\nbody\r\n"]
)  # fmt: skip
def test_a_header_of_own_fields_only_leaves_the_body(content: bytes) -> None:
    intake, after = taken(content)
    assert after == content[content.index(b"\r\n") + 2 :]
    assert len(intake.header) == 0
    assert intake.header.needs_blank_line is (after == b"no field\r\n")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b"To: b@c\r\n", NO_FIELD),
        (b"From: p@local\r\nFrom: p@local\r\n", MANY_FIELDS),
        (b"From: p@local, q@local\r\n", MANY_ADDRESSES),
        (b"From: Devices: p@local;\r\n", MANY_ADDRESSES),
        (b"From: Front desk\r\n", NO_ADDRESS),
        (b'From: "Front desk <p@local>\r\n', NO_ADDRESS),
    ],
)
def test_a_doubtful_from_is_left_and_it_is_said_why(fields: bytes, reason: str) -> None:
    content = fields + b"\r\nHi\r\n"
    intake, after = taken(content, RULE)
    assert (after, intake.original_from, intake.from_left) == (content, b"", reason)


@pytest.mark.parametrize(
    ("rule", "author"),
    [(RULE, b"boss@example.com"), (RULE, b"Scanner@contoso.com"), (ENVELOPE_ONLY, b"p@local")],
)
def test_a_from_that_no_rule_speaks_of_stays(rule: Rule, author: bytes) -> None:
    content = b"From: A <%b>\r\n\r\nHi\r\n" % author
    intake, after = taken(content, rule)
    assert (after, intake.original_from, intake.from_left) == (content, b"", "")


def test_a_value_that_cannot_be_read_is_refused_with_what_is_allowed() -> None:
    reply = refusal(b"X-Relay-Priority: urgent\r\n\r\n")
    assert str(reply) == '550 5.6.0 X-Relay-Priority may be high, normal or bulk; found "urgent"'
    reply = refusal(b"X-Relay-Campaign: a\r\nX-Relay-Campaign: b\r\n\r\n")
    assert str(reply).startswith("550 5.6.0 X-Relay-Campaign stands in the mail twice")


def test_limits_are_judged_before_anything_is_read() -> None:
    assert refusal(b"X-Relay-Priority: urgent\r\n" + b"Received: x\r\n" * 51).enhanced == "5.4.6"


def test_a_thousand_own_fields_are_cut_at_once() -> None:
    intake, after = taken(b"X-Relay-A: b\r\nSubject: x\r\n" * 500 + b"\r\nbody\r\n")
    assert after == b"Subject: x\r\n" * 500 + b"\r\nbody\r\n"
    assert len(intake.header) == 500


FIELDS = [
    b"X-Relay-Priority: bulk\r\n", b"x-relay-new:\r\n\tx\r\n", b"To: b@c\r\n d@e\r\n", b"X-Relay: z\r\n", b"Sender: p@local\r\n",
    b"From: A\r\n <p@local>\r\n",
]  # fmt: skip
HEADERS = st.lists(st.sampled_from(FIELDS), max_size=9, unique=True).map(b"".join)
BODIES = st.sampled_from([b"\r\n", b"\r\nFrom: q@local\r\nX-Relay-Priority: high\r\n\r\n", b"no field\r\n"])


def expected(header: bytes, *, rewritten: bool) -> bytes:
    for own in FIELDS[:2]:
        header = header.replace(own, b"")
    return header.replace(FIELDS[5], b"From: A\r\n <scanner@contoso.com>\r\n") if rewritten else header


@given(HEADERS, BODIES, st.booleans())
def test_every_other_byte_stays_and_a_second_time_nothing_changes(
    header: bytes, body: bytes, is_rewritten: bool
) -> None:
    rule = RULE if is_rewritten else None
    intake, after = taken(header + body, rule)
    assert after == expected(header, rewritten=is_rewritten) + body
    again, same = taken(after, rule)
    assert same == after
    assert again.original_from == b"" and again.wishes == NOTHING
    assert again.from_left == intake.from_left


@given(HEADERS, st.integers(0, 200), st.booleans())
def test_a_mail_cut_behind_its_header_is_taken_as_if_it_were_whole(
    header: bytes, cut: int, is_rewritten: bool
) -> None:
    rule = RULE if is_rewritten else None
    content = header + b"\r\n" + b"line\r\n" * 40
    end = len(header) + 2
    whole = taken(content, rule).content
    beginning = taken(content[: end + cut], rule, is_whole=False).content
    assert beginning + content[end + cut :] == whole


@pytest.mark.parametrize("rule", [None, RULE])
def test_a_header_that_is_cut_is_never_changed(rule: Rule | None) -> None:
    header = b"From: p@local\r\nX-Relay-Campaign: one\r\n two\r\n"
    for cut in range(20, len(header) + 1):
        content = bytearray(header[:cut])
        reply = take(content, False, rule, Limits())
        assert content == header[:cut]
        if rule is not None or cut > len(b"From: p@local\r\nX-Relay-Campaign"):
            assert reply is HEADER_CUT
