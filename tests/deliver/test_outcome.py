"""What replies mean."""

import pytest

from relay.deliver.outcome import Verdict, judge, judge_reply
from relay.m365.catalogue import ROWS
from relay.m365.row import Row, Scope
from relay.smtp.reply import Reply, ReplyReader
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
        # Permanent by the code, and yet they pass by themselves.
        (Reply(550, "5.2.121", "Recipient's per hour message receive limit exceeded."), Verdict.DEFERRED),
        (
            Reply(554, "5.2.2", "mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException"),
            Verdict.DEFERRED,
        ),
        # A trouble of everything on this route and login.
        (
            Reply(554, "5.2.0", "STOREDRV.Submission.Exception:SubmissionQuotaExceededException"),
            Verdict.FAULT,
        ),
        (Reply(550, "5.2.252", "Sender throttled due to continuous send as denied errors."), Verdict.FAULT),
        (Reply(550, "5.7.711", "Access denied, bad inbound connector. AS(2204)"), Verdict.FAULT),
        (Reply(550, "5.7.705", "Access denied, tenant has exceeded threshold"), Verdict.FAULT),
        (Reply(550, "5.7.606", "Access denied, banned sending IP [203.0.113.9]"), Verdict.FAULT),
        (Reply(550, "5.7.233", "your tenant exceeded its daily limit"), Verdict.FAULT),
        (Reply(550, "5.1.8", "Access denied, bad outbound sender AS(42004)"), Verdict.FAULT),
        (Reply(550, "5.7.30", "Basic authentication is not supported for Client Submission."), Verdict.FAULT),
        # Perhaps only of this mail's sender.
        (Reply(550, "5.7.64", "TenantAttribution; Relay Access Denied SMTP"), Verdict.SUSPECTED),
        (Reply(550, "5.7.68", "TenantInboundAttribution; Direct Send not allowed"), Verdict.SUSPECTED),
        # Going on would get the mailbox blocked.
        (Reply(554, "5.2.252", "SendAsDenied; a@x.com not allowed to send as b@x.com"), Verdict.FAULT),
        (
            Reply(550, "5.7.60", "SMTP; Client does not have permissions to send as this sender"),
            Verdict.FAULT,
        ),
        # Other servers say these too, and mean something else.
        (Reply(550, "5.1.8", "<a@b.c>: Sender address rejected: Domain not found"), Verdict.HELD),
        (Reply(550, "5.7.1", "Unable to relay for user@example.com"), Verdict.HELD),
        (Reply(550, "5.7.1", "Relaying denied"), Verdict.HELD),
        (Reply(550, "5.2.2", "mailbox full"), Verdict.HELD),
        (Reply(554, "5.7.1", "spam"), Verdict.HELD),
    ],
)
def test_a_reply_has_a_meaning(reply: Reply, verdict: Verdict) -> None:
    assert judge_reply(reply)[0] is verdict


@pytest.mark.parametrize("reply", [Reply(452, "4.5.3", "too many"), Reply(552, "5.5.3", "too many")])
def test_too_many_recipients_beside_accepted_ones_means_again(reply: Reply) -> None:
    assert judge_reply(reply, others_accepted=True)[0] is Verdict.AGAIN


def entered(reply: Reply, *, is_expired: bool = False) -> RecipientState:
    states = [RecipientState(), RecipientState(Status.DELIVERED, 1, 0.0, "250 before")]
    judge(states, [0], [reply], attempts=3, again_at=lambda row: 99.0, is_expired=lambda index: is_expired)
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
    outcome = judge(
        states, [0], [reply], attempts=1, again_at=lambda row: 9.0, is_expired=lambda index: False
    )
    assert (
        states == [RecipientState()]
        and [trouble.reply for trouble in outcome.troubles] == [reply]
        and not outcome.says_something
    )


def test_a_suspicion_is_told_and_the_mail_waits_by_itself() -> None:
    reply = Reply(550, "5.7.64", "TenantAttribution; Relay Access Denied SMTP")
    assert entered(reply) == RecipientState(Status.QUEUED, 3, 99.0, str(reply))
    assert entered(reply, is_expired=True) == RecipientState(Status.HELD, 3, 0.0, str(reply))
    outcome = judge(
        [RecipientState()], [0], [reply], attempts=1, again_at=lambda row: 9.0, is_expired=lambda index: False
    )
    assert (
        outcome.suspicion is not None
        and outcome.suspicion.reply == reply
        and not outcome.troubles
        and outcome.deferred == [0]
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_known_reply_is_taken_for_delivered(row: Row) -> None:
    (reply,) = ReplyReader().feed(row.sample.encode() + b"\r\n")
    verdict, _, _ = judge_reply(reply)
    assert verdict in {Verdict.DEFERRED, Verdict.HELD, Verdict.FAULT, Verdict.SUSPECTED}
    if row.scope in {Scope.RECIPIENT, Scope.MESSAGE}:
        assert verdict in {Verdict.DEFERRED, Verdict.HELD}, "it must not stop others"
