"""A recipient's fate in words: the catalogue's, those of the code, or our own."""

import pytest

from relay.deliver import fate
from relay.deliver.outcome import Failure, is_failure
from relay.m365.catalogue import ROWS
from relay.m365.classify import classify
from relay.m365.row import Fail, Hold, Row, Scope
from relay.message.dsn_words import REPLY_MAX
from relay.message.envelope import Recipient
from relay.message.report import Fate
from relay.smtp.reply import Reply
from relay.spool.change import RecipientState, Status

BOB = Recipient(b"bob@example.net", "out", orcpt=b"rfc822;bob@example.net")


def failed(reply: Reply, *, is_expired: bool = False, is_remote: bool = True) -> Fate:
    return fate.failed(BOB, Failure(reply, classify(reply), is_expired), "mx.example.net", is_remote, 9.0)


def test_a_known_reply_has_the_words_of_its_row() -> None:
    told = failed(Reply(550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; not found"))
    assert told.meaning == "There is no such recipient."
    assert told.advice == "Correct the address, or take it off the list."
    assert (told.host, told.reply) == (
        "mx.example.net",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
    )


@pytest.mark.parametrize(
    ("reply", "status", "meaning"),
    [
        (Reply(550, "5.2.9", "no room"), "5.2.9", "The mailbox cannot take the mail."),
        (Reply(554, "5.7.1", "spam"), "5.7.1", "The recipient's server does not allow the mail."),
        (Reply(550, "", "no"), "5.0.0", "The recipient's server refused the mail."),
        (Reply(550, "5.9.9", "no"), "5.9.9", "The recipient's server refused the mail."),
    ],
)
def test_an_unknown_reply_has_the_words_of_its_code(reply: Reply, status: str, meaning: str) -> None:
    told = failed(reply)
    assert (told.status, told.meaning) == (status, meaning)


def test_words_for_administrators_are_not_for_senders() -> None:
    told = failed(Reply(550, "5.7.705", "Access denied, tenant has exceeded threshold"), is_expired=True)
    assert "tenant" not in told.meaning + told.advice


def test_what_expired_keeps_the_code_of_the_real_problem() -> None:
    told = failed(Reply(450, "4.2.1", "busy"), is_expired=True)
    assert told.status == "4.2.1" and told.meaning.startswith("It could not be delivered in the time")
    assert failed(Reply(450, "", "busy"), is_expired=True).status == "4.4.7"


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (Reply(451, "4.4.7", "too old, and the route is stuck: secret"), "It could not be delivered"),
        (Reply(552, "5.3.4", "not sent: more than the limit of secret"), "The mail is too large"),
        (Reply(553, "5.6.7", "not sent: secret"), "The next server takes no addresses beyond ASCII"),
        (Reply(451, "4.4.2", "no reply: secret"), "The connection to the next server was lost"),
    ],
)
def test_what_we_say_ourselves_is_not_quoted(reply: Reply, meaning: str) -> None:
    told = failed(reply, is_remote=False)
    assert told.meaning.startswith(meaning)
    assert told.host == told.reply == "" and "secret" not in str(told)


def test_a_long_reply_is_cut() -> None:
    assert len(failed(Reply(550, "5.1.1", "x" * 60_000)).reply) < REPLY_MAX + 10


@pytest.mark.parametrize(
    ("state", "status", "reply"),
    [
        (None, "4.4.7", ""),
        (RecipientState(), "4.4.7", ""),
        (RecipientState(Status.QUEUED, 2, 9.0, "450 4.2.1 busy"), "4.2.1", "450 4.2.1 busy"),
        (RecipientState(Status.QUEUED, 2, 9.0, "450 busy"), "4.0.0", "450 busy"),
        (RecipientState(Status.QUEUED, 2, 9.0, "550 5.2.121 too many"), "4.0.0", "550 5.2.121 too many"),
        (RecipientState(Status.QUEUED, 2, 9.0, "450"), "4.0.0", "450"),
    ],
)
def test_a_delay_says_what_was_said_last(state: RecipientState | None, status: str, reply: str) -> None:
    told = fate.delayed(BOB, state)
    assert (told.status, told.reply, told.orcpt) == (status, reply, BOB.orcpt)


def test_greylisting_is_told_as_something_that_passes() -> None:
    state = RecipientState(Status.QUEUED, 1, 0.0, "451 4.7.1 Greylisted")
    assert "does not allow the mail yet" in fate.delayed(BOB, state).meaning


@pytest.mark.parametrize(
    "row", [row for row in ROWS if isinstance(row.action, Fail | Hold)], ids=lambda r: r.name
)
def test_rows_about_one_mail_are_told_and_others_are_for_the_administrator(row: Row) -> None:
    is_of_one_mail = row.scope in (Scope.MESSAGE, Scope.RECIPIENT)
    assert is_failure(row) == (isinstance(row.action, Fail) and is_of_one_mail)
