"""What is recorded of the trace, and what is not."""

import pytest
from msgspec import Struct

from relay.audit.row import ITEMS_MAX, TEXT_MAX, cut, is_policy, row_of, sender_of
from relay.trace import event as trace
from relay.trace.event import Event


@pytest.mark.parametrize(
    "event",
    [
        trace.LoginSucceeded("10.0.0.7", "l", "erp", "PLAIN"),
        trace.LoginFailed("10.0.0.7", "l", "erp", "PLAIN", "wrong password"),
        trace.SessionRefused("10.0.0.7", "l", "554 5.7.1 no"),
        trace.CommandRefused("10.0.0.7", "l", "MAIL", "550 5.7.1 Not as this sender"),
        trace.ConfigurationRefused("relay.toml", ("wrong",)),
        trace.Ready(("127.0.0.1:25",)),
        trace.Draining("supervisor"),
        trace.ProcessEnded("receiver-0", -9, 0.1),
        trace.CertificateReloaded("l", "tls.pem", "new", "old"),
        trace.ClientBraked("10.0.0.7", "l", "logins", 600.0),
    ],
)
def test_it_is_recorded(event: Event) -> None:
    row = row_of(event)
    assert row is not None
    assert row["event"] == event.__struct_config__.tag and "level" not in row


@pytest.mark.parametrize(
    "event",
    [
        trace.LoginSucceeded("10.0.0.7", "l", "erp", "PLAIN", level="debug"),
        trace.CommandRefused("10.0.0.7", "l", "RCPT", "452 4.3.1 No room"),
        trace.CommandRefused("10.0.0.7", "l", "XYZ", "500 5.5.2 What"),
        trace.Accepted("i", "<m>", "a@x", 1, 10, "10.0.0.7", "h", 0.1),
        trace.Draining("receiver-0"),
        trace.Committed(1, 1, 0.1),
    ],
)
def test_it_is_not_recorded(event: Event) -> None:
    assert row_of(event) is None


def test_whatever_somebody_did_is_recorded() -> None:
    class MailReleased(Struct, frozen=True, tag_field="event", tag="mail_released"):
        by: str
        level: str = "info"

    # An event of a package that is not here yet.
    assert row_of(MailReleased("alice")) == {"event": "mail_released", "by": "alice"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "is_so"),
    [
        ("550 5.7.1 No", True),
        ("530 5.7.0 Log in first", True),
        ("454 4.7.0 Later", True),
        ("550 5.1.7 No", False),
        ("550 No", False),
        ("550", False),
        ("250 2.7.0 Fine", False),
    ],
)
def test_a_rule_is_known_by_its_enhanced_code(reply: str, is_so: bool) -> None:
    assert is_policy(reply) is is_so


def test_who_sent_is_told_with_the_protection() -> None:
    ended = trace.SessionEnded("10.0.0.7", "l", "client quit", 3, 1.0, "TLSv1.3 X", "erp")
    assert sender_of(ended) == {
        "event": "sender_seen",
        "client": "10.0.0.7",
        "listener": "l",
        "account": "erp",
        "tls": "TLSv1.3 X",
    }
    assert sender_of(trace.SessionEnded("10.0.0.7", "l", "client quit", 0, 1.0)) is None


def test_values_have_a_bound() -> None:
    assert len(str(cut("x" * 10 * TEXT_MAX))) < TEXT_MAX + 30
    many = cut(["x"] * 10 * ITEMS_MAX)
    assert isinstance(many, list) and len(many) == ITEMS_MAX + 1
    assert cut({"a": ["x" * 2 * TEXT_MAX]}) != {"a": ["x" * 2 * TEXT_MAX]}
    assert cut(7) == 7


def test_an_order_is_recorded_and_not_each_of_its_mails() -> None:
    commanded = trace.Commanded("cancel", "fritz", 1000, 4711, "campaign May")
    ended = trace.CommandEnded("cancel", "fritz", 1000, 4711, "campaign May", 9, 9, 0, 0, "", 0.1)
    suspended = trace.Suspended("route", "sink", "fritz", "they move", 0.0)
    for event in (commanded, ended, suspended):
        row = row_of(event)
        assert row is not None and row["by"] == "fritz"
    assert row_of(trace.Steered("01hzy3qf0g800", "cancel", ("b@c.test",), "fritz")) is None
