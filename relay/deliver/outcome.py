"""What replies mean for the recipients of a mail: delivered, tried again, or held.

Pure. A positive reply is delivery. A transient one is another try later, until the
mail is older than the route allows; then, and on a permanent one, the recipient is
held with the reply, never dropped. The exceptions:

- a reply about our login or TLS (530, 534, 535, 538: RFC 4954 section 6) is a fault
  of configuration: it says nothing about the mail, which waits without an attempt;
- "too many recipients" (452, or 552 as RFC 5321 section 4.5.3.1.10 puts it) beside
  accepted ones only means: the rest in another transaction, at once;
- permanent replies of Microsoft's that are not (relay.m365): one about the mailbox,
  the route, our address or the tenant is a fault; one that passes by itself is
  another try later. Their texts and numbers are nobody else's, so every route may ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from relay.m365 import classify as m365
from relay.m365.row import Fail, Hold, Note, Scope, UseIpv4
from relay.smtp.reply import Reply
from relay.spool.change import RecipientState, Status


class Verdict(Enum):
    """What one reply says of one recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    HELD = "held"
    AGAIN = "again"
    FAULT = "fault"
    SUSPECTED = "suspected fault"
    """Of the route or of this mail alone: one reply cannot tell. The mail waits by itself."""


_FAULTS = frozenset({530, 534, 535, 538})
_OF_THE_LANE = frozenset({Scope.SENDER, Scope.ROUTE, Scope.SOURCE_ADDRESS, Scope.FOREST, Scope.TENANT})
"""What a whole lane shares. A trouble of less, or of external mail only, leaves the lane alone."""


def classify(reply: Reply, *, others_accepted: bool = False) -> Verdict:
    """`others_accepted`: further recipients of the same transaction were taken."""
    if reply.is_positive:
        return Verdict.DELIVERED
    if reply.code in _FAULTS:
        return Verdict.FAULT
    if reply.code in (452, 552) and reply.enhanced[1:] == ".5.3":
        return Verdict.AGAIN if others_accepted else Verdict.DEFERRED
    if reply.is_permanent:
        return _permanent(reply)
    # 4yz, and whatever else came where only a verdict may: errors are temporary unless known otherwise.
    return Verdict.DEFERRED


def _permanent(reply: Reply) -> Verdict:
    row = m365.classify(reply)
    if row is None or isinstance(row.action, Fail | Hold | Note | UseIpv4):
        return Verdict.HELD
    if row.scope in _OF_THE_LANE:
        return Verdict.FAULT if row.narrower is None else Verdict.SUSPECTED
    # A sender who may not use an address is blocked by Microsoft when it goes on: no further try.
    return Verdict.HELD if row.scope is Scope.SENDER_AS else Verdict.DEFERRED


@dataclass(slots=True)
class Outcome:
    """Recipients by what became of them, as indices into the envelope's list."""

    delivered: list[int] = field(default_factory=list)
    deferred: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    fault: Reply | None = None
    suspicion: Reply | None = None

    @property
    def says_something(self) -> bool:
        """Something is to be recorded."""
        return bool(self.delivered or self.deferred or self.held)


def judge(
    states: list[RecipientState],
    indices: Sequence[int],
    replies: Sequence[Reply],
    *,
    attempts: int,
    next_attempt: float,
    is_expired: bool,
) -> Outcome:
    """Enter into `states` what `replies` say of the recipients at `indices`.

    `attempts` counts this one; `next_attempt` is when the deferred are tried again,
    unless `is_expired`: then they are held.
    """
    outcome = Outcome()
    others_accepted = len(replies) > 1 and any(reply.is_positive for reply in replies)
    for index, reply in zip(indices, replies, strict=True):
        verdict = classify(reply, others_accepted=others_accepted)
        if verdict is Verdict.SUSPECTED:
            outcome.suspicion = reply
        match verdict:
            case Verdict.DELIVERED:
                outcome.delivered.append(index)
                states[index] = RecipientState(Status.DELIVERED, attempts, 0.0, str(reply))
            case Verdict.DEFERRED | Verdict.SUSPECTED if not is_expired:
                outcome.deferred.append(index)
                states[index] = RecipientState(Status.QUEUED, attempts, next_attempt, str(reply))
            case Verdict.DEFERRED | Verdict.SUSPECTED | Verdict.HELD:
                outcome.held.append(index)
                states[index] = RecipientState(Status.HELD, attempts, 0.0, str(reply))
            case Verdict.AGAIN:
                outcome.again.append(index)
            case Verdict.FAULT:
                outcome.fault = reply
    return outcome
