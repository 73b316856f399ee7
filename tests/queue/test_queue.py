"""The queue: what is known, what is ready, what waits for its time."""

import sys

from relay.m365.preset import Kind
from relay.message.priority import Priority
from relay.message.queue_id import QueueIdSource
from relay.queue.job import Job
from relay.queue.queue import Queue
from relay.route.route import Credentials, MailboxRule, Route
from tests.fakes.clock import FakeClock
from tests.queue.taking import take


def queue() -> Queue:
    return Queue(lambda name: Route(name, ("h.test",), credentials=Credentials("user", "secret")))


def test_lanes_are_keyed_by_route_and_identity() -> None:
    tested = queue()
    assert tested.lane("one") is tested.lane("one")
    assert (tested.lane("one").key.route, tested.lane("one").key.identities) == ("one", ("user",))
    assert tested.lane("two") is not tested.lane("one")


def test_a_mail_is_known_until_it_is_forgotten() -> None:
    tested = queue()
    tested.add(7, "one")
    assert 7 in tested
    tested.forget(7)
    assert 7 not in tested


def test_a_held_mail_stays_known_and_is_counted() -> None:
    tested = queue()
    tested.hold(7)
    assert 7 in tested and tested.depth().held == 1 and tested.depth().ready == 0


def test_deferred_jobs_return_in_order_of_time() -> None:
    tested = queue()
    for id, at in ((1, 30.0), (2, 10.0), (3, 20.0), (4, 40.0)):
        tested.defer(tested.add(id, "one"), at)
    assert [job.id for job in tested.due(5.0, 10)] == []
    assert [job.id for job in tested.due(30.0, 10)] == [2, 3, 1]
    assert tested.depth().ready == 3 and tested.depth().deferred == 1
    assert [take(tested.lane("one"), Priority.NORMAL).id for _ in range(3)] == [1, 2, 3], (
        "the oldest mail first"
    )


def test_no_more_return_at_once_than_asked_for() -> None:
    tested = queue()
    for id in range(5):
        tested.defer(tested.add(id, "one"), 1.0)
    assert len(list(tested.due(2.0, 3))) == 3
    assert len(list(tested.due(2.0, 3))) == 2


def test_the_age_of_the_oldest_comes_from_its_id() -> None:
    tested, clock = queue(), FakeClock()
    ids = QueueIdSource(0, clock)
    assert tested.depth().oldest_at is None
    for name in ("one", "two"):
        job = tested.add(ids.next(), name)
        job.lane.push(job)
        clock.advance(10)
    oldest = tested.depth().oldest_at
    assert oldest is not None and abs(oldest - (clock.now() - 20)) < 0.01


def test_a_job_is_small() -> None:
    assert sys.getsizeof(Job(1, queue().lane("one"))) <= 96, "a million of them wait"


A, B = Credentials("a@contoso.test", "x"), Credentials("b@contoso.test", "x")
POOLED = Route(
    "pooled",
    ("h.test",),
    kind=Kind.SUBMISSION,
    mailboxes=(A, B),
    mailbox_rules=(MailboxRule(("a@contoso.test", "b@contoso.test"), ("news.test",)),),
)
BOTH = ("a@contoso.test", "b@contoso.test")


def pooled() -> Queue:
    return Queue(lambda name: POOLED)


def test_mail_waits_with_what_the_same_mailboxes_may_send() -> None:
    tested = pooled()
    news = tested.lane("pooled", b"x@news.test")
    assert news.key.identities == BOTH and news is tested.lane("pooled", b"y@NEWS.test")
    assert tested.lane("pooled", b"a@contoso.test").key.identities == ("a@contoso.test",)
    nobody = tested.lane("pooled", b"c@elsewhere.test")
    assert nobody.key.identities == () and "no mailbox of the route pooled" in nobody.reason


def test_a_mailbox_that_was_denied_a_sender_leaves_him_to_the_others() -> None:
    tested = pooled()
    tested.denials.deny("a@contoso.test", b"X@news.test")
    assert tested.lane("pooled", b"x@news.test").key.identities == ("b@contoso.test",)
    assert tested.lane("pooled", b"y@news.test").key.identities == BOTH
    tested.denials.deny("b@contoso.test", b"x@news.test")
    stopped = tested.lane("pooled", b"x@news.test").key
    assert (stopped.identities, stopped.stopped) == ((), "x@news.test")
    tested.denials.allow("a@contoso.test", b"x@news.test")
    assert tested.lane("pooled", b"x@news.test").key.identities == ("a@contoso.test",)


def test_a_domain_that_was_denied_goes_on_by_a_server_that_is_not_microsofts() -> None:
    tested = queue()
    tested.denials.deny_domain(b"news.test")
    assert tested.lane("one", b"x@news.test").key.identities == ("user",)


def test_a_domain_that_was_denied_waits_as_one() -> None:
    tested = pooled()
    tested.denials.deny_domain(b"news.test")
    assert tested.lane("pooled", b"x@news.test") is tested.lane("pooled", b"y@news.test")
    assert tested.lane("pooled", b"x@news.test").key.stopped == "@news.test"
    assert tested.lane("pooled", b"a@contoso.test").key.identities == ("a@contoso.test",)
    tested.denials.allow_domain(b"news.test")
    assert tested.lane("pooled", b"x@news.test").key.identities == BOTH
