"""Decisions as tables."""

import pytest

from relay.errors import SpoolError, SpoolFull
from relay.message.header import Header
from relay.receive import policy
from relay.receive.options import Limits
from relay.receive.policy import (
    judge_choice,
    judge_commit,
    judge_header,
    judge_mail,
    judge_pace,
    judge_recipient,
)
from relay.route.route import Route
from relay.route.rule import Rule
from relay.route.table import Possible, Refusal
from relay.smtp.reply import Reply


def test_mail_is_taken_while_the_spool_takes_it() -> None:
    limits = Limits(content_bytes=1000)
    assert judge_mail(None, 1000, limits) == policy.SENDER_OK
    assert judge_mail(None, 1001, limits) == policy.NO_ROOM
    assert judge_mail("the disk /var is full", 0, limits) == Reply(452, "4.3.1", policy.NO_ROOM.text)
    assert "/var" not in str(judge_mail("the disk /var is full", 0, limits)), (
        "a client learns nothing of our disks"
    )


ROUTE = Route("r-with-a-name", ("host.example",))
TO = b"bob@example.com"


@pytest.mark.parametrize(
    ("found", "declared", "code"),
    [
        (Possible(ROUTE, 0), 0, "250 2.1.5"),
        (Possible(ROUTE, 0), 10**9, "250 2.1.5"),
        (Possible(ROUTE, 1000), 0, "250 2.1.5"),
        (Possible(ROUTE, 1000), 1000, "250 2.1.5"),
        (Possible(ROUTE, 1000), 1001, "552 5.3.4"),
        (Refusal(TO), 0, "550 5.7.1"),
        (Refusal(TO, Rule.INTERNAL_ONLY), 0, "550 5.7.1"),
        (Refusal(TO, Rule.SENDER), 0, "550 5.7.1"),
    ],
)
def test_a_recipient_needs_a_route_that_takes_the_mail(
    found: Possible | Refusal, declared: int, code: str
) -> None:
    reply = judge_recipient(found, declared)
    assert f"{reply.code} {reply.enhanced}" == code
    assert "r-with-a-name" not in str(reply) and "host.example" not in str(reply)


@pytest.mark.parametrize("rule", [None, *Rule])
def test_a_mail_that_is_whole_is_told_for_whom_there_is_no_route(rule: Rule | None) -> None:
    reply = judge_choice(Refusal(TO, rule, 1000))
    assert reply.is_permanent and reply.enhanced == ("5.3.4" if rule is Rule.SIZE else "5.7.1")
    assert str(reply.text).startswith("<bob@example.com>: ")
    assert ("1000 bytes" in str(reply)) is (rule is Rule.SIZE)


def test_every_rule_has_words_of_its_own() -> None:
    texts = {judge_choice(Refusal(TO, rule)).text for rule in (None, *Rule)}
    assert len(texts) == len(Rule) + 1


LIMITS = Limits(header_bytes=100, header_fields=4, received_hops=2)


@pytest.mark.parametrize(
    "header, code",
    [
        (b"", ""),
        (b"A: b\r\n\r\nbody", ""),
        (b"A: " + b"x" * 93 + b"\r\n\r\nbody", ""),
        (b"A: " + b"x" * 94 + b"\r\n\r\nbody", "552 5.3.4"),
        (b"A: " + b"x" * 5000, "552 5.3.4"),
        (b"A: b\r\n" * 4 + b"\r\n", ""),
        (b"A: b\r\n" * 5 + b"\r\n", "552 5.3.4"),
        (b"Received: x\r\n" * 2 + b"\r\n", ""),
        (b"received: x\r\n" * 3 + b"\r\n", "554 5.4.6"),
        (b"\r\n" + b"Received: x\r\n" * 30, ""),
    ],
)
def test_a_header_has_limits(header: bytes, code: str) -> None:
    reply = judge_header(Header.of(header, LIMITS.header_bytes + 1), LIMITS)
    assert (f"{reply.code} {reply.enhanced}" if reply else "") == code


def test_a_failed_commit_is_never_for_good() -> None:
    assert judge_commit(SpoolFull("x")) == policy.NO_ROOM
    assert judge_commit(SpoolError("x")) == policy.DISK_TROUBLE
    assert policy.NO_ROOM.is_transient and policy.DISK_TROUBLE.is_transient


def test_a_line_that_has_begun_must_end() -> None:
    assert judge_pace(PACE, 1.0, 300.0, 300.0, 0.0, 0) is None
    assert judge_pace(PACE, 1.0, 300.1, 300.1, 0.0, 0) is policy.IDLE


PACE = Limits(idle_timeout_s=300, transaction_timeout_s=7200, minimum_rate_bytes_s=500, rate_grace_s=120)


@pytest.mark.parametrize(
    "idle, transaction, content, size, reply",
    [
        (0.0, 0.0, 0.0, 0, None),
        (300.0, 0.0, 0.0, 0, None),
        (300.1, 0.0, 0.0, 0, policy.IDLE),
        (1.0, 7200.1, 0.0, 0, policy.TRANSACTION_TOO_LONG),
        (1.0, 120.0, 120.0, 0, None),
        (1.0, 121.0, 121.0, 60_499, policy.TOO_SLOW),
        (1.0, 121.0, 121.0, 60_500, None),
    ],
)
def test_a_client_may_not_be_too_slow(
    idle: float, transaction: float, content: float, size: int, reply: Reply | None
) -> None:
    assert judge_pace(PACE, idle, 0.0, transaction, content, size) is reply
