"""What replies mean."""

import pytest

from relay.deliver.outcome import Verdict, classify, judge
from relay.smtp.reply import Reply
from relay.spool.change import RecipientState, Status


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (Reply(250, "2.0.0", "queued"), Verdict.DELIVERED),
        (Reply(251, "", "will forward"), Verdict.DELIVERED),
        (Reply(421, "4.3.2", "shutting down"), Verdict.DEFERRED),
        (Reply(450, "4.2.1", "later"), Verdict.DEFERRED),
        (Reply(452, "4.3.1", "full"), Verdict.DEFERRED),
        (Reply(452, "4.5.3", "too many"), Verdict.DEFERRED),
        (Reply(354, "", "out of place"), Verdict.DEFERRED),
        (Reply(550, "5.1.1", "no such user"), Verdict.HELD),
        (Reply(552, "5.2.2", "mailbox full"), Verdict.HELD),
        (Reply(503, "5.5.1", "what?"), Verdict.HELD),
        (Reply(530, "5.7.57", "client not authenticated"), Verdict.FAULT),
        (Reply(535, "5.7.3", "authentication unsuccessful"), Verdict.FAULT),
    ],
)
def test_a_reply_has_a_meaning(reply: Reply, verdict: Verdict) -> None:
    assert classify(reply) is verdict


@pytest.mark.parametrize("reply", [Reply(452, "4.5.3", "too many"), Reply(552, "5.5.3", "too many")])
def test_too_many_recipients_beside_accepted_ones_means_again(reply: Reply) -> None:
    assert classify(reply, others_accepted=True) is Verdict.AGAIN


def entered(reply: Reply, *, is_expired: bool = False) -> RecipientState:
    states = [RecipientState(), RecipientState(Status.DELIVERED, 1, 0.0, "250 before")]
    judge(states, [0], [reply], attempts=3, next_attempt=99.0, is_expired=is_expired)
    assert states[1].reply == "250 before", "not meant this time"
    return states[0]


def test_what_a_reply_means_is_entered_into_the_states() -> None:
    assert entered(Reply(250, "2.0.0", "ok")) == RecipientState(Status.DELIVERED, 3, 0.0, "250 2.0.0 ok")
    assert entered(Reply(450, "", "later")) == RecipientState(Status.QUEUED, 3, 99.0, "450 later")
    assert entered(Reply(450, "", "later"), is_expired=True) == RecipientState(
        Status.HELD, 3, 0.0, "450 later"
    )
    assert entered(Reply(550, "", "no")) == RecipientState(Status.HELD, 3, 0.0, "550 no")


def test_a_fault_leaves_the_state_alone() -> None:
    states = [RecipientState()]
    reply = Reply(530, "5.7.0", "log in first")
    outcome = judge(states, [0], [reply], attempts=1, next_attempt=9.0, is_expired=False)
    assert states == [RecipientState()] and outcome.fault == reply and not outcome.says_something
