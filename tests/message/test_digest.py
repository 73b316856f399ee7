"""A digest lists what it can, counts the rest, and is as sound as a report."""

import email.policy

from hypothesis import given
from hypothesis import strategies as st

from relay.message.digest import Failure, compose_digest
from tests.message.reports import AUTHOR, KINDS, NAME, NOW

TEXTS = st.text(max_size=200)
FAILURES = st.builds(
    Failure,
    at=st.floats(0, 4e9),
    name=st.just(NAME),
    message_id=TEXTS,
    recipients=st.lists(TEXTS, max_size=3).map(tuple),
    count=st.integers(0, 1000),
    reply=TEXTS,
)


def test_a_digest_counts_all_and_names_those_it_lists() -> None:
    mail = email.message_from_bytes(KINDS["digest"], policy=email.policy.SMTP)
    text = mail.get_content()
    assert mail["Subject"] == "99980 more mails could not be delivered"
    assert "<y@example.net>, <ü@example.net> and 10 more" in text
    assert "and 99978 more, which are not listed" in text


@given(st.lists(FAILURES, max_size=4), st.integers(0, 10), st.binary(max_size=60))
def test_whatever_failed_the_digest_is_sound(failures: list[Failure], beyond: int, sender: bytes) -> None:
    raw = compose_digest(sender, failures, beyond, AUTHOR, NAME, NOW)
    assert raw.isascii() and all(len(line) <= 998 for line in raw.split(b"\r\n"))
    mail = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert mail.defects == []
    assert mail.get_content().count(f"number {NAME}") >= len(failures)
