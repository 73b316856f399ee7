"""What a client makes of a reply to EHLO."""

import pytest

from relay.smtp.offer import Offer, read_offer
from relay.smtp.reply import Reply


def offered(*lines: str) -> Offer:
    return read_offer(Reply(250, "", ("host greets you", *lines)))


def test_keywords_are_read_in_either_case() -> None:
    offer = offered("pipelining", "Size 1000", "8bitmime", "SmtpUtf8", "dsn", "Chunking", "STARTTLS")
    assert offer == Offer(True, True, True, True, True, True, True, 1000)


def test_the_greeting_is_no_keyword() -> None:
    assert read_offer(Reply(250, "", ("PIPELINING", "SIZE"))) == Offer(size=True)
    assert read_offer(Reply(250, "", "PIPELINING")) == Offer()


@pytest.mark.parametrize(
    ("line", "mechanisms"),
    [
        ("AUTH PLAIN login", {"PLAIN", "LOGIN"}),
        ("AUTH=LOGIN PLAIN", {"PLAIN", "LOGIN"}),
        ("AUTH", set()),
    ],
)
def test_mechanisms_are_read_in_both_spellings(line: str, mechanisms: set[str]) -> None:
    assert offered(line).mechanisms == mechanisms


def test_both_spellings_together_add_up() -> None:
    assert offered("AUTH LOGIN", "AUTH=PLAIN").mechanisms == {"PLAIN", "LOGIN"}


@pytest.mark.parametrize("line", ["SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE " + "9" * 21])
def test_a_size_without_sense_is_no_limit(line: str) -> None:
    offer = offered(line)
    assert offer.size and offer.size_max == 0


def test_limits_are_read() -> None:
    offer = offered("LIMITS MAILMAX=20 rcptmax=50 RCPTDOMAINMAX=1")
    assert (offer.mails_max, offer.recipients_max) == (20, 50)


def test_empty_lines_do_no_harm() -> None:
    assert offered("", " ", "DSN") == Offer(dsn=True)
