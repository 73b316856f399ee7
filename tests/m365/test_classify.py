"""Replies find their rows."""

import random
import re
from dataclasses import replace
from datetime import date
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.m365.catalogue import ROWS
from relay.m365.classify import PATTERNS, Pattern, classify, explain, most_specific, pattern_of
from relay.m365.row import (
    Action,
    Fail,
    Note,
    OpenBreaker,
    ReduceConnections,
    ReduceRate,
    Requeue,
    RetryLater,
    Row,
    Scope,
    Stage,
    Stop,
)
from relay.smtp.reply import Reply, ReplyReader

NAMED = {row.name: row for row in ROWS}


def reply_of(line: str) -> Reply:
    (reply,) = ReplyReader().feed(line.encode() + b"\r\n")
    return reply


def found(line: str, stage: Stage | None = Stage.CONTENT) -> str | None:
    row = classify(reply_of(line), stage)
    return None if row is None else row.name


def ids(row: Row) -> str:
    return row.name


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_sample_finds_its_row(row: Row) -> None:
    stage = row.stages[0] if row.stages else Stage.CONTENT
    assert classify(reply_of(row.sample), stage) is row
    assert classify(reply_of(row.sample.swapcase()), stage) is row


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_every_code_and_every_text_of_a_row_finds_it(row: Row) -> None:
    """A text of one row alone may be part of a longer one of another row; that one wins elsewhere."""
    stage = row.stages[0] if row.stages else Stage.CONTENT
    for code in row.codes or (550,):
        for enhanced in row.enhanced or ("",):
            first = enhanced.partition("-")[0]
            for text in row.texts or ("",):
                if text or not _has_more_exact(row, code, first):
                    assert classify(reply_of(f"{code} {first} {text}".rstrip()), stage) is row


def _has_more_exact(row: Row, code: int, enhanced: str) -> bool:
    own = pattern_of(row)
    return any(
        other.rank[1:] > own.rank[1:]
        for other in PATTERNS
        if other.row is not row
        and not other.texts
        and (not other.row.codes or code in other.row.codes)
        and enhanced in other.row.enhanced
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        # The same number, two meanings.
        ("554 5.2.252 SendAsDenied; a@x.com not allowed to send as b@x.com", "send-as-denied"),
        ("550 5.2.252 Sender throttled due to continuous send as denied errors.", "blocked-send-as"),
        ("432 4.3.2 Concurrent connections limit exceeded.", "concurrent-connections"),
        ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "concurrent-connections"),
        ("432 4.3.2 STOREDRV.ClientSubmit; exceeded the message limit per account", "message-rate"),
        ("432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", "recipient-busy"),
        ("432 4.3.2 STOREDRV.Deliver; dynamic mailbox database throttling limit exceeded", "recipient-busy"),
        ("432 4.3.2 something new", None),
        ("421 4.3.2 something new", None),
        # One exception's name is the end of another's.
        ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; x", "daily-recipients"),
        ("554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException; x", "sender-mailbox-full"),
        ("554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException; x", "recipient-full-later"),
        ("550 5.2.2 Submission quota exceeded", "daily-recipients"),
        ("550 5.1.90 You have sent too much today", "daily-recipients-number"),
        (
            "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
            "daily-recipients",
        ),
        ("550 5.2.2 Mailbox full", "recipient-full"),
        ("552 5.2.2 Mailbox full", None),
        (
            "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to "
            "process message due to a permanent exception with message Cannot submit message.",
            "send-as-denied",
        ),
        ("554 5.2.0 STOREDRV.Submission.Exception:SomethingElseException", None),
        # The number says recipients, the text says reputation.
        ("452 4.5.3 Too many recipients", "too-many-recipients"),
        ("452 4.5.3 Too many recipients (AS780090) [TO1CAN01FT005.eop-CAN01.prod.protection.outlook.com]",
         "address-reputation"),
        ("452 4.5.3 Recipient limit reached (AS780090)", "address-reputation"),
        # Exact before the range it stands in.
        ("451 4.7.500 Server busy. Please try again later from [203.0.113.9]. (AS761)", "address-throttled"),
        ("451 4.7.651 The mail server [203.0.113.9] has been temporarily rate limited", "address-throttled"),
        ("451 4.7.650 The mail server [203.0.113.9] has been temporarily rate limited", "consumer-throttled"),
        ("451 4.7.499 x", None),
        ("451 4.7.699 x", "address-throttled"),
        ("451 4.7.700 PFA agent busy", "consumer-busy"),
        ("450 4.7.849 x", None),
        ("450 4.7.899 x", "address-suspicious"),
        ("550 5.7.605 x", None),
        ("550 5.7.649 Access denied, banned sending IP [203.0.113.9]", "address-banned"),
        # One code, many texts.
        ("535 5.7.139 Authentication unsuccessful, something new", "login-refused-by-policy"),
        ("535 5.7.13 Authentication unsuccessful", None),
        ("451 4.7.0 Temporary server error. Please try again later. PRX2", "temporary-server-error"),
        ("451 4.7.0 Temporary server error. Please try again later. PRX4", "login-without-mailbox"),
        ("451 4.4.3 Temporary server error. Please try again later. ATTR18", "temporary-server-error"),
        ("421 4.3.2 System not accepting network messages", "service-unavailable"),
        (
            "421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing "
            "transmission channel",
            "too-many-connections",
        ),
        ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [X.prod.outlook.com]", "recipient-rejected"),
        ("550 5.4.1 Relay Access Denied", "domain-not-served"),
        ("550 5.4.1 something new", None),
        ("550 5.7.64 Relay Access Denied ATTR36", "relay-denied"),
        ("550 5.7.1 Unable to Relay. ATTR13", "unable-to-relay"),
        ("550 5.7.1 Unable to relay for user@example.com", "recipient-not-relayed"),
        # Postfix and RFC 8689 use these numbers for something else.
        ("550 5.1.8 <a@b.c>: Sender address rejected: Domain not found", None),
        ("550 5.7.30 REQUIRETLS support required", None),
        ("550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized", "delivery-not-authorized"),
        ("550 5.5.0 something new", None),
        ("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", "not-logged-in"),
        ("535 5.7.30 Basic authentication is not supported for Client Submission.", "basic-retired"),
        ("503 5.5.2 Auth command already specified", "already-logged-in"),
        ("503 5.5.2 Send hello first", "bad-sequence"),
        # The class of the enhanced code is not the reply's.
        ("554 4.3.2 mailbox busy", "recipient-folder-full"),
        ("550 4.4.7 QUEUE.Expired; message expired", "expired"),
        ("452 4.3.1 Insufficient system resources", "back-pressure"),
        ("451 4.4.0 Message failed to be made redundant", "not-redundant"),
        ("451 4.4.0 something new", None),
        ("451 4.7.1 Greylisted", None),
        ("450 4.2.0 Greylisted", None),
        ("550 no such user", None),
        ("421 closing", None),
    ],
)  # fmt: skip
def test_what_is_near_is_told_apart(line: str, name: str | None) -> None:
    assert found(line) == name


def test_a_reply_of_several_lines_is_one_text() -> None:
    reply = Reply(432, "4.3.2", ("Concurrent connections", "limit exceeded."))
    assert classify(reply) is NAMED["concurrent-connections"]


def test_a_row_of_certain_stages_wants_one_of_them() -> None:
    line = "550 5.7.1 Delivery not authorized, message refused"
    assert found(line, Stage.RCPT) == found(line, Stage.REPORT) == "delivery-not-authorized"
    assert found(line, Stage.GREETING) is None and found(line, None) is None


@pytest.mark.parametrize("code", [200, 220, 250, 334, 354])
def test_positive_replies_are_in_no_catalogue(code: int) -> None:
    assert all(classify(Reply(code, "", row.sample)) is None for row in ROWS)


def _overlap(one: Pattern, other: Pattern) -> bool:
    """Can one reply have the codes and the stage of both?"""
    codes = not one.row.codes or not other.row.codes or set(one.row.codes) & set(other.row.codes)
    stages = not one.row.stages or not other.row.stages or set(one.row.stages) & set(other.row.stages)
    ranges = not one.ranges or not other.ranges or any(
        a == b and first <= last_b and first_b <= last
        for a, first, last in one.ranges
        for b, first_b, last_b in other.ranges
    )  # fmt: skip
    return bool(codes and stages and ranges)


def test_no_two_rows_are_equally_specific_for_one_reply() -> None:
    """Two different texts of the same length at the same place cannot both be there."""
    clashes = [
        (one.row.name, other.row.name)
        for one, other in combinations(PATTERNS, 2)
        if one.rank == other.rank and _overlap(one, other) and (not one.texts or set(one.texts) & set(other.texts))
    ]  # fmt: skip
    assert clashes == []


_PLAIN = replace(NAMED["too-large"], codes=(), enhanced=(), texts=(), stages=())


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (replace(_PLAIN, texts=("small",)), replace(_PLAIN, codes=(550,), enhanced=("5.1.2",))),
        (replace(_PLAIN, enhanced=("5.1.2",)), replace(_PLAIN, enhanced=("5.1.0-9",), codes=(550,))),
        (replace(_PLAIN, enhanced=("5.1.0-9",)), replace(_PLAIN, codes=(550,), stages=(Stage.RCPT,))),
        (replace(_PLAIN, codes=(550,)), replace(_PLAIN, codes=(550, 554), stages=(Stage.RCPT,))),
        (replace(_PLAIN, codes=(550, 554)), replace(_PLAIN, stages=(Stage.RCPT,))),
        (replace(_PLAIN, stages=(Stage.RCPT,)), _PLAIN),
        (replace(_PLAIN, texts=("larger",)), replace(_PLAIN, texts=("small",))),
        (replace(_PLAIN, texts=("small",)), replace(_PLAIN, texts=("large",))),
    ],
)  # fmt: skip
def test_text_counts_more_than_number_and_number_more_than_code(better: Row, worse: Row) -> None:
    reply = Reply(550, "5.1.2", "small and larger")
    for rows in ((better, worse), (worse, better)):
        assert most_specific(map(pattern_of, rows), reply, Stage.RCPT) is better


_LINES = [row.sample for row in ROWS]
_PARTS = sorted({text for row in ROWS for text in row.texts})


@given(
    st.sampled_from(_LINES),
    st.lists(st.sampled_from(_PARTS), max_size=3),
    st.sampled_from([None, *Stage]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_rows_decides_nothing(
    line: str, parts: list[str], stage: Stage | None, chance: random.Random
) -> None:
    reply = reply_of(" ".join([line, *parts]))
    shuffled = list(PATTERNS)
    chance.shuffle(shuffled)
    assert most_specific(shuffled, reply, stage) is classify(reply, stage)


@given(st.integers(200, 599), st.text(max_size=12), st.text(max_size=80), st.sampled_from([None, *Stage]))
def test_any_reply_is_classified_without_complaint(
    code: int, enhanced: str, text: str, stage: Stage | None
) -> None:
    reply = reply_of(f"{code} {enhanced} {text}".replace("\r", " ").replace("\n", " "))
    row = classify(reply, stage)
    assert row is None or not row.codes or code in row.codes


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_row_is_whole(row: Row) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.name)
    assert row.codes or row.enhanced or row.texts
    assert all(400 <= code < 600 for code in row.codes)
    assert all(re.fullmatch(r"[45]\.\d{1,3}\.\d{1,3}(-\d{1,3})?", pattern) for pattern in row.enhanced)
    assert row.source and date.fromisoformat(row.date)
    for sentence in (row.meaning, row.advice):
        assert sentence.endswith(".") and (sentence[0].isupper() or sentence.startswith("outlook.com")), (
            sentence
        )
        assert "|" not in sentence and "\n" not in sentence


def test_names_are_unique() -> None:
    assert len(NAMED) == len(ROWS)


_FITTING: dict[type[Action], set[Scope]] = {
    Fail: {Scope.RECIPIENT, Scope.MESSAGE, Scope.SENDER_DOMAIN},
    Requeue: {Scope.MESSAGE},
    Note: {Scope.RECIPIENT},
    Stop: {Scope.SENDER, Scope.SENDER_AS},
    OpenBreaker: {Scope.SENDER, Scope.ROUTE, Scope.SOURCE_ADDRESS, Scope.TENANT},
}


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_the_action_fits_the_scope(row: Row) -> None:
    fitting = _FITTING.get(type(row.action))
    assert fitting is None or row.scope in fitting


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_times_are_sane(row: Row) -> None:
    match row.action:
        case OpenBreaker(every):
            assert 600 <= every <= 86_400
        case RetryLater(first, last) | ReduceConnections(first, last) | ReduceRate(first, last):
            assert 0 < first <= last <= 86_400


def test_errors_that_microsoft_punishes_stop_at_once() -> None:
    for name in ("send-as-denied", "send-as-not-permitted", "account-locked", "basic-retired"):
        assert isinstance(NAMED[name].action, Stop)
    for number in range(251, 256):
        row = classify(Reply(550, f"5.2.{number}", "Sender throttled"))
        assert row is not None and row.scope is Scope.SENDER and row.action == OpenBreaker(3600)


def test_the_limit_to_the_outside_stops_nothing_inside() -> None:
    for number in (232, 233):
        row = classify(Reply(550, f"5.7.{number}", ""))
        assert row is not None and row.scope is Scope.TENANT_EXTERNAL


def test_an_explanation_ends_with_the_next_step() -> None:
    text = explain(Reply(550, "5.7.711", "Access denied, bad inbound connector. AS(2204)"))
    assert text.startswith("550 5.7.711 Access denied") and "Remove-BlockedConnector" in text
    assert explain(Reply(450, "4.2.0", "Greylisted")) == "450 4.2.0 Greylisted"
