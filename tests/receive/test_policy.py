"""Decisions as tables."""

import pytest

from relay.errors import SpoolError, SpoolFull
from relay.message.header import Header
from relay.receive import policy
from relay.receive.options import LOOPBACK, Limits
from relay.receive.policy import Networks, judge_commit, judge_header, judge_mail, judge_pace, judge_recipient
from relay.route.route import Route
from relay.smtp.reply import Reply


@pytest.mark.parametrize(
    "networks, client, allowed",
    [
        (LOOPBACK, "127.0.0.1", True),
        (LOOPBACK, "127.9.9.9", True),
        (LOOPBACK, "::1", True),
        (LOOPBACK, "::ffff:127.0.0.1", True),
        (LOOPBACK, "10.0.0.1", False),
        (LOOPBACK, "::ffff:10.0.0.1", False),
        (LOOPBACK, "fe80::1%eth0", False),
        (LOOPBACK, "", False),
        (LOOPBACK, "no address", False),
        (("10.0.0.0/8", "fe80::/10"), "10.1.2.3", True),
        (("10.0.0.0/8", "fe80::/10"), "fe80::1%eth0", True),
        (("10.0.0.0/8", "fe80::/10"), "127.0.0.1", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7/24",), "192.0.2.200", True),
        ((), "127.0.0.1", False),
        (("0.0.0.0/0", "::/0"), "2001:db8::1", True),
    ],
)
def test_a_listener_serves_its_networks_only(networks: tuple[str, ...], client: str, allowed: bool) -> None:
    rules = Networks(networks)
    assert rules.allow(client) is allowed
    assert rules.allow(client) is allowed, "and remembers it"


def test_a_network_that_is_none_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ValueError):
        Networks(["10.0.0.0/64"])


def test_mail_is_taken_while_the_spool_takes_it() -> None:
    limits = Limits(content_bytes=1000)
    assert judge_mail(None, 1000, limits) == policy.SENDER_OK
    assert judge_mail(None, 1001, limits) == policy.NO_ROOM
    assert judge_mail("the disk /var is full", 0, limits) == Reply(452, "4.3.1", policy.NO_ROOM.text)
    assert "/var" not in str(judge_mail("the disk /var is full", 0, limits)), (
        "a client learns nothing of our disks"
    )


def test_a_recipient_needs_a_route() -> None:
    assert judge_recipient(Route("r", ("h",))).is_positive
    assert judge_recipient(None).is_permanent


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
    assert judge_pace(PACE, idle, transaction, content, size) is reply
