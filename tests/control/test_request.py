"""Requests as lines: what is understood, and what is said of what is not. Whole, cut at random, and too long."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.control.request import (
    CancelMails,
    HoldMails,
    OnMails,
    PrioritizeMails,
    Problem,
    RebindMails,
    ReleaseMails,
    Request,
    Resume,
    RetryMails,
    SettleMails,
    Stopped,
    Suspend,
    Why,
    detail_of,
    name_of,
    order_of,
    parse,
    selection_of,
    suspension_of,
)
from relay.control.session import AHEAD_MAX, REQUEST_MAX_BYTES, Session
from relay.deliver.order import (
    Arrived,
    Cancel,
    Hold,
    NotArrived,
    Order,
    Prioritize,
    Rebind,
    Release,
    Retry,
    word,
)
from relay.message.priority import Priority
from relay.message.queue_id import format_id
from relay.queue.suspension import NAME_MAX, Suspension
from relay.spool.selection import Selection

ID = format_id(123456789)
MAY = Selection(campaign="May")
GOOD: list[tuple[dict[str, object], Request]] = [
    ({"do": "hold", "where": {"campaign": "May"}, "reason": "x"}, HoldMails(where=MAY, reason="x")),
    ({"do": "release", "where": {"all": True}}, ReleaseMails(where=Selection(all=True))),
    ({"do": "retry", "where": {"ids": [ID]}}, RetryMails(where=Selection(ids=(ID,)))),
    ({"do": "cancel", "where": {"recipient": "a.test"}}, CancelMails(where=Selection(recipient="a.test"))),
    ({"do": "rebind", "where": {"campaign": "May"}, "route": "b"}, RebindMails(where=MAY, route="b")),
    ({"do": "priority", "where": {"campaign": "May"}, "priority": "high"}, PrioritizeMails(where=MAY, priority="high")),
    ({"do": "suspend", "kind": "route", "name": "a", "seconds": 5}, Suspend(kind="route", name="a", seconds=5.0)),
    ({"do": "resume", "kind": "all"}, Resume(kind="all")),
    ({"do": "stopped", "version": 1}, Stopped()),
    ({"do": "why", "id": ID}, Why(id=ID)),
    (
        {"do": "cancel", "where": {"campaign": "May"}, "report": True}, CancelMails(where=MAY, report=True)
    ),
    ({"do": "settle", "where": {"ids": [ID]}, "arrived": True}, SettleMails(where=Selection(ids=(ID,)), arrived=True)),
]  # fmt: skip


@pytest.mark.parametrize(("given", "request_"), GOOD, ids=[str(given["do"]) for given, _ in GOOD])
def test_a_request_is_understood(given: dict[str, object], request_: Request) -> None:
    assert parse(json.dumps(given).encode()) == request_
    assert parse(msgspec.json.encode(request_)) == request_
    assert name_of(request_) == given["do"]
    assert "\n" not in detail_of(request_)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"hold everything", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "not understood"),
        (b'{"do": "explode"}', "not understood"),
        (b'{"where": {"all": true}}', "not understood"),
        (b'{"do": "hold"}', "where"),
        (b'{"do": "hold", "where": {"campain": "May"}}', "campain"),
        (b'{"do": "hold", "where": {"all": true}, "wher": 1}', "wher"),
        (b'{"do": "hold", "where": {}}', "nothing is selected"),
        (b'{"do": "hold", "where": {"all": true}, "reason": "a\\nb"}', "one line"),
        (b'{"do": "hold", "where": {"all": true}, "version": 2}', "version 2"),
        (b'{"do": "cancel", "where": {"ids": ["x"]}}', "not a queue id"),
        (b'{"do": "settle", "where": {"all": true}}', "arrived"),
        (b'{"do": "settle", "where": {}, "arrived": true}', "nothing is selected"),
        (b'{"do": "rebind", "where": {"all": true}, "route": ""}', "no route"),
        (b'{"do": "priority", "where": {"all": true}, "priority": "urgent"}', "urgent"),
        (b'{"do": "suspend", "kind": "planet", "name": "x"}', "cannot be suspended"),
        (b'{"do": "suspend", "kind": "route", "name": ""}', "no name"),
        (b'{"do": "suspend", "kind": "route", "name": "a\\u0000b"}', "no name"),
        (b'{"do": "suspend", "kind": "route", "name": "x", "until": 5, "seconds": 5}', "twice"),
        (b'{"do": "suspend", "kind": "route", "name": "x", "seconds": 0}', "at once"),
        (b'{"do": "resume", "kind": "planet"}', "no"),
        (b'{"do": "resume", "kind": "route"}', "no name"),
        (b'{"do": "why", "id": "ill"}', "not a queue id"),
        (b'{"do": "hold", "where": {"older_than": 1e999}}', ""),
        (b'{"do": "cancel", "where": {"route": "a", "campaign": ""}}', "campaign is empty"),
        (b'{"do": "cancel", "where": {"route": "a", "ids": [ ]}}', "ids is empty"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "do": "stopped"}', "no JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(line: bytes, says: str) -> None:
    problem = parse(line)
    assert isinstance(problem, Problem)
    assert says in problem.error and problem.hint


def test_a_name_is_bounded_in_bytes() -> None:
    assert isinstance(parse(msgspec.json.encode(Suspend(kind="campaign", name="ü" * NAME_MAX))), Problem)
    assert isinstance(parse(msgspec.json.encode(Suspend(kind="campaign", name="u" * NAME_MAX))), Suspend)


def test_every_action_has_its_order() -> None:
    where = Selection(all=True)
    orders: list[tuple[OnMails, Order]] = [
        (HoldMails(where=where, reason="r"), Hold(by="f", reason="r")),
        (ReleaseMails(where=where), Release(by="f")),
        (RetryMails(where=where), Retry(by="f")),
        (CancelMails(where=where), Cancel(by="f")),
        (RebindMails(where=where, route="b"), Rebind(by="f", route="b")),
        (PrioritizeMails(where=where, priority="bulk"), Prioritize(by="f", priority=Priority.BULK)),
    ]
    for request, order in orders:
        assert order_of(request, "f") == order
        assert word(order) == name_of(request)


@pytest.mark.parametrize(("arrived", "order"), [(True, Arrived(by="f")), (False, NotArrived(by="f"))])
def test_what_is_settled_is_settled_one_way_or_the_other(arrived: bool, order: Order) -> None:
    request = SettleMails(where=MAY, arrived=arrived)
    assert order_of(request, "f") == order
    assert detail_of(request) == f"campaign May; {word(order)}"


def test_a_report_is_part_of_the_order_to_cancel() -> None:
    request = CancelMails(where=MAY, reason="r", report=True)
    assert order_of(request, "f") == Cancel(by="f", reason="r", is_told=True)
    assert "with a report" in detail_of(request)


def test_settling_means_only_who_is_uncertain_unless_it_says_otherwise() -> None:
    everything = SettleMails(where=Selection(all=True), arrived=True)
    assert selection_of(everything).status == "uncertain"
    held = Selection(status="held")
    assert selection_of(SettleMails(where=held, arrived=True)) == held
    assert selection_of(HoldMails(where=MAY)) == MAY


def test_a_suspension_ends_when_it_was_said_to() -> None:
    def of(until: float | None = None, seconds: float | None = None) -> Suspension | Problem:
        request = Suspend(kind="sender-domain", name="@News.Test", until=until, seconds=seconds)
        return suspension_of(request, "f", 1000.0)

    assert of() == Suspension("sender-domain", "news.test", "", "f", 1000.0, None)
    assert of(seconds=60.0) == Suspension("sender-domain", "news.test", "", "f", 1000.0, 1060.0)
    assert of(until=1001.0) == Suspension("sender-domain", "news.test", "", "f", 1000.0, 1001.0)
    for end in ({"until": 999.0}, {"until": 1e12}, {"seconds": float("inf")}, {"until": float("nan")}):
        assert isinstance(of(**end), Problem)


# As a stream.

LINES = [json.dumps(given).encode() + b"\n" for given, _ in GOOD]


@given(st.lists(st.sampled_from(range(len(LINES))), max_size=10), st.lists(st.integers(0, 2000), max_size=8))
def test_requests_are_the_same_however_they_are_cut(numbers: list[int], cuts: list[int]) -> None:
    data = b"".join(LINES[number] for number in numbers)
    session, found, last = Session(), [], 0
    for cut in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        found += session.feed(data[last:cut])
        last = cut
    assert found == [GOOD[number][1] for number in numbers]


def test_requests_are_the_same_byte_by_byte_and_without_their_tail() -> None:
    session, found = Session(), []
    for byte in b"".join(LINES) + b'{"do": "sto':
        found += session.feed(bytes([byte]))
    assert found == [request for _, request in GOOD]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_session(data: bytes) -> None:
    for each in Session().feed(data + b"\n"):
        assert isinstance(each, Problem) or parse(msgspec.json.encode(each)) == each


def test_a_line_without_an_end_ends_the_session() -> None:
    session = Session()
    found: list[Request | Problem] = []
    for _ in range(REQUEST_MAX_BYTES // 65_536 + 1):
        found += session.feed(b"x" * 65_536)
    [problem] = found
    assert isinstance(problem, Problem) and session.is_over
    assert session.feed(LINES[0]) == [] and not session._buffer


def test_too_many_requests_at_once_end_the_session() -> None:
    session = Session()
    found = session.feed(LINES[8] * (AHEAD_MAX + 1))
    assert found[:AHEAD_MAX] == [Stopped()] * AHEAD_MAX
    assert isinstance(found[-1], Problem) and session.is_over
