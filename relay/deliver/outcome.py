"""What replies mean for the recipients of a mail, and for more than this mail.

Pure. A positive reply is delivery. A transient one is another try later, until the
mail is older than the route allows; then, and on a permanent one, the recipient is
held with the reply, never dropped; where that is a failure of the mail or of the
recipient, it is noted, for its sender to be told. The exceptions:

- a reply about our login or TLS (530, 534, 535, 538: RFC 4954 section 6) is a fault
  of configuration: it says nothing about the mail, which waits without an attempt;
- "too many recipients" (452, or 552 as RFC 5321 section 4.5.3.1.10 puts it) beside
  accepted ones only means: the rest in another transaction, at once;
- a reply of Microsoft's that the catalogue knows (relay.m365) means what its row says:
  one about the mailbox, the route, our address or the tenant is a trouble of that
  scope, and the mail waits until it is over; one that passes by itself is another try
  within the time of the row. Texts and numbers of permanent replies are nobody else's,
  so every route may ask; what is temporary is judged so on Microsoft's routes only,
  unless the text is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from relay.m365 import classify as m365
from relay.m365.row import (
    Action,
    Fail,
    Hold,
    Note,
    OpenBreaker,
    ReduceConnections,
    ReduceRate,
    Requeue,
    RetryLater,
    Row,
    Scope,
    Stage,
    UseIpv4,
)
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
    """Of more or of this mail alone: one reply cannot tell. The mail waits by itself."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that more mail than this one shares."""

    scope: Scope
    action: Action
    reply: Reply
    row: Row | None
    """None: a refused login that the catalogue does not know."""

    @property
    def key(self) -> tuple[object, ...]:
        """Which trouble it is, whatever the reply's numbers."""
        return self.scope, self.action, None if self.row is None else self.row.name


_FAULTS = frozenset({530, 534, 535, 538})
_WIDE = frozenset(
    {
        Scope.SENDER, Scope.SENDER_AS, Scope.SENDER_DOMAIN, Scope.ROUTE, Scope.SOURCE_ADDRESS, Scope.FOREST,
        Scope.TENANT, Scope.TENANT_EXTERNAL,
    }
)  # fmt: skip
"""What more mail than this one shares."""
UNKNOWN_FAULT = OpenBreaker(0)
"""How long it lasts is for the route's own back-off to say."""


def judge_reply(
    reply: Reply,
    *,
    stage: Stage | None = None,
    others_accepted: bool = False,
    is_microsoft: bool = True,
    is_ipv6: bool = False,
) -> tuple[Verdict, Trouble | None, Row | None]:
    """What it says of the recipient, what of more, and the row that says so.

    `others_accepted`: further recipients of the same transaction were taken; `is_ipv6`: the
    connection goes over IPv6.
    """
    if reply.is_positive:
        return Verdict.DELIVERED, None, None
    row = m365.classify(reply, stage)
    if row is None or not (is_microsoft or reply.is_permanent or row.texts):
        return (*_unknown(reply, others_accepted=others_accepted), None)
    trouble = Trouble(row.scope, row.action, reply, row)
    match row.action:
        case Requeue():
            return (Verdict.AGAIN if others_accepted else Verdict.DEFERRED), None, row
        case Fail() | Hold():
            return Verdict.HELD, None, row
        case UseIpv4() if is_ipv6:
            return Verdict.FAULT, trouble, row
        case Note() | UseIpv4():
            return (Verdict.HELD if reply.is_permanent else Verdict.DEFERRED), None, row
        case _ if row.scope not in _WIDE:
            # Of this connection: fewer of them may help; the mail itself takes another try.
            is_crowded = isinstance(row.action, ReduceConnections | ReduceRate)
            return Verdict.DEFERRED, trouble if is_crowded else None, row
    return (Verdict.FAULT if row.narrower is None else Verdict.SUSPECTED), trouble, row


def _unknown(reply: Reply, *, others_accepted: bool) -> tuple[Verdict, Trouble | None]:
    if reply.code in _FAULTS:
        return Verdict.FAULT, Trouble(Scope.SENDER, UNKNOWN_FAULT, reply, None)
    if reply.code in (452, 552) and reply.enhanced[1:] == ".5.3":
        return (Verdict.AGAIN if others_accepted else Verdict.DEFERRED), None
    # 4yz, and whatever else came where only a verdict may: errors are temporary unless known otherwise.
    return (Verdict.HELD if reply.is_permanent else Verdict.DEFERRED), None


def delay_within(row: Row | None, delay_s: float) -> float:
    """The route's own back-off, kept within the time that the row says."""
    if row is None or not isinstance(row.action, RetryLater | ReduceConnections | ReduceRate):
        return delay_s
    return min(max(delay_s, row.action.after_min_s), max(row.action.after_max_s, row.action.after_min_s))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a recipient will not get the mail."""

    reply: Reply
    row: Row | None
    is_expired: bool
    """It may still pass, but the mail is too old."""


def is_failure(row: Row | None) -> bool:
    """Whether a sender is to be told, or the administrator must look: at what a row says to hold, and at a refusal
    of more than one mail, which is a fault of configuration."""
    if row is None:
        return True
    return not isinstance(row.action, Hold) and not (isinstance(row.action, Fail) and row.scope in _WIDE)


@dataclass(slots=True)
class Outcome:
    """Recipients by what became of them, as indices into the envelope's list."""

    delivered: list[int] = field(default_factory=list)
    deferred: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    """Done with: whoever wants to know has been told."""
    failures: dict[int, Failure] = field(default_factory=dict)
    """Of the held, those whose sender may be told."""
    again: list[int] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    suspicion: Trouble | None = None

    @property
    def says_something(self) -> bool:
        """Something is to be recorded."""
        return bool(self.delivered or self.deferred or self.held or self.failed)

    @property
    def is_clean(self) -> bool:
        """Everybody has it."""
        return not (self.deferred or self.held or self.failed or self.again or self.troubles)

    def _add(self, trouble: Trouble) -> None:
        if all(trouble.key != known.key for known in self.troubles):
            self.troubles.append(trouble)


def judge(
    states: list[RecipientState],
    indices: Sequence[int],
    replies: Sequence[Reply],
    *,
    attempts: int,
    again_at: Callable[[Row | None], float],
    is_expired: Callable[[int], bool],
    stages: Sequence[Stage | None] = (),
    is_microsoft: bool = True,
    is_ipv6: bool = False,
) -> Outcome:
    """Enter into `states` what `replies` say of the recipients at `indices`.

    `attempts` counts this one; `again_at` is when the deferred are tried again, unless the
    recipient `is_expired`: then it is held.
    """
    outcome = Outcome()
    others_accepted = len(replies) > 1 and any(reply.is_positive for reply in replies)
    for index, reply, stage in zip(indices, replies, stages or (None,) * len(replies), strict=True):
        verdict, trouble, row = judge_reply(
            reply,
            stage=stage,
            others_accepted=others_accepted,
            is_microsoft=is_microsoft,
            is_ipv6=is_ipv6,
        )
        if trouble is not None:
            if verdict is Verdict.SUSPECTED:
                outcome.suspicion = trouble
            else:
                outcome._add(trouble)
        match verdict:
            case Verdict.DELIVERED:
                outcome.delivered.append(index)
                states[index] = RecipientState(Status.DELIVERED, attempts, 0.0, str(reply))
            case Verdict.DEFERRED | Verdict.SUSPECTED if not is_expired(index):
                outcome.deferred.append(index)
                states[index] = RecipientState(Status.QUEUED, attempts, again_at(row), str(reply))
            case Verdict.DEFERRED | Verdict.SUSPECTED | Verdict.HELD:
                outcome.held.append(index)
                if is_failure(row):
                    outcome.failures[index] = Failure(reply, row, verdict is not Verdict.HELD)
                states[index] = RecipientState(Status.HELD, attempts, 0.0, str(reply))
            case Verdict.AGAIN | Verdict.FAULT:
                outcome.again.append(index)
    return outcome
