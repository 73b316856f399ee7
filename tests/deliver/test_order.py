"""What an order makes of a mail: tables, and what holds for all orders and all mails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.deliver.age import counted_s
from relay.deliver.order import (
    Cancel,
    Hold,
    Order,
    Prioritize,
    Rebind,
    Release,
    Retry,
    amended,
    carry_out,
    concerned,
    word,
)
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.spool.change import RecipientState, Status

QUEUED = RecipientState()
DEFERRED = RecipientState(Status.QUEUED, 3, 99.0, "451 later")
HELD = RecipientState(Status.HELD, 2, 0.0, "550 no")
DELIVERED = RecipientState(Status.DELIVERED, 1, 0.0, "250 ok")
CANCELLED = RecipientState(Status.CANCELLED, 0, 0.0, "cancelled by x")
BY = "fritz"


@pytest.mark.parametrize(
    ("order", "before", "after"),
    [
        (Hold(by=BY, reason="r"), QUEUED, RecipientState(Status.HELD, 0, 0.0, "held by fritz: r")),
        (Hold(by=BY), DEFERRED, RecipientState(Status.HELD, 3, 0.0, "held by fritz; before: 451 later")),
        (Hold(by=BY), HELD, HELD),
        (Hold(by=BY), DELIVERED, DELIVERED),
        (Release(by=BY), HELD, RecipientState(Status.QUEUED, 0, 0.0, "550 no")),
        (Release(by=BY), DEFERRED, DEFERRED),
        (Release(by=BY), CANCELLED, CANCELLED),
        (Retry(by=BY), DEFERRED, RecipientState(Status.QUEUED, 3, 0.0, "451 later")),
        (Retry(by=BY), HELD, HELD),
        (
            Cancel(by=BY, reason="r"),
            QUEUED,
            RecipientState(Status.CANCELLED, 0, 0.0, "cancelled by fritz: r"),
        ),
        (Cancel(by=BY), HELD, RecipientState(Status.CANCELLED, 2, 0.0, "cancelled by fritz")),
        (Cancel(by=BY), DELIVERED, DELIVERED),
        (Rebind(by=BY, route="b"), DEFERRED, RecipientState(Status.QUEUED, 3, 0.0, "451 later")),
        (Rebind(by=BY, route="b"), HELD, HELD),
        (Prioritize(by=BY, priority=Priority.HIGH), DEFERRED, DEFERRED),
    ],
)
def test_an_order_makes_of_a_recipient(order: Order, before: RecipientState, after: RecipientState) -> None:
    states = [before, before]
    assert carry_out(order, states, [0]) == (before != after)
    assert states == [after, before]


def mail(routes: list[str]) -> Envelope:
    recipients = tuple(Recipient(b"%d@c.test" % n, route) for n, route in enumerate(routes))
    return Envelope(7, b"a@b.test", recipients, 1.0, 5, 1, "::1")


ORDERS = st.one_of(
    st.sampled_from([Hold(by=BY), Release(by=BY), Retry(by=BY), Cancel(by=BY)]),
    st.builds(Rebind, by=st.just(BY), route=st.sampled_from("ab")),
    st.builds(Prioritize, by=st.just(BY), priority=st.sampled_from(Priority)),
)
STATES = st.builds(
    RecipientState,
    st.sampled_from(Status),
    st.integers(0, 9),
    st.floats(0, 1e9),
    st.text(max_size=9),
)
MAILS = st.lists(st.tuples(st.sampled_from("ab"), STATES, st.booleans()), min_size=1, max_size=8)


@given(ORDERS, MAILS)
def test_an_order_touches_nobody_else_and_nothing_the_second_time(
    order: Order, recipients: list[tuple[str, RecipientState, bool]]
) -> None:
    envelope = mail([route for route, _, _ in recipients])
    states = [state for _, state, _ in recipients]
    left = [n for n, (_, state, is_meant) in enumerate(recipients) if is_meant and state.status.is_left]
    indices = concerned(order, envelope, left)
    before = list(states)
    carry_out(order, states, indices)
    after = amended(order, envelope, indices)
    for n, (was, now) in enumerate(zip(before, states, strict=True)):
        if n not in left:
            assert was == now and after.recipients[n] == envelope.recipients[n]
        assert was.status.is_left or now == was, "who is done with stays so"
        assert after.recipients[n].address == envelope.recipients[n].address
    again = [n for n in left if states[n].status.is_left]
    indices = concerned(order, after, again)
    assert amended(order, after, indices) == after
    assert carry_out(order, list(states), indices) == 0


def test_orders_have_the_words_of_their_commands() -> None:
    assert [word(order) for order in (Hold(by=BY), Rebind(by=BY, route="b"))] == ["hold", "rebind"]
    assert word(Prioritize(by=BY, priority=Priority.HIGH)) == "priority"


def test_a_pause_that_an_order_cuts_short_has_counted_until_then() -> None:
    put_off = RecipientState(Status.QUEUED, 2, 1_000.0, "450 later", 50.0, 400.0)
    base, now = 100.0, 700.0
    for order in (
        Retry(by="fritz", at=now),
        Rebind(by="fritz", route="other", at=now),
        Hold(by="fritz", at=now),
    ):
        states = [put_off]
        assert carry_out(order, states, [0]) == 1
        assert counted_s(states[0], base, now, lambda since, until: 0.0) == 350.0
        # It is ready, or held, from then on.
        assert counted_s(states[0], base, now + 9_000, lambda since, until: 0.0) == 350.0
    released = [put_off]
    carry_out(Hold(by="fritz", at=now), released, [0])
    carry_out(Release(by="fritz", at=now + 500), released, [0])
    assert (released[0].attempts, released[0].next_attempt) == (0, 0.0)
    assert counted_s(released[0], base, now + 9_000, lambda since, until: 0.0) == 350.0


def test_a_retry_of_what_is_due_already_changes_nothing() -> None:
    states = [RecipientState(Status.QUEUED, 2, 600.0, "450 later", 50.0, 400.0)]
    assert carry_out(Retry(by="fritz", at=700.0), states, [0]) == 0
