"""Will a mail be aligned with its author's domain, as DMARC asks, when it leaves Microsoft?

It is when we sign for a domain of the same organization, or when the envelope sender is of
one: Microsoft sends it on with that sender, and the domain's SPF names Microsoft's servers
(that it does is not looked up: such a mail has the tenant's own sender). Only domains that
ask for quarantine or rejection are held to it; what they ask for is `relay.identity.dmarc`'s.
"""

from collections.abc import Callable

from relay.identity.dkim import KeyRing, NoActiveKey
from relay.identity.dmarc import Demands
from relay.message.dkim.author import author_domain
from relay.message.dmarc import Demand
from relay.message.header import Header
from relay.message.queue_id import format_id
from relay.receive.accept import Origin
from relay.receive.options import Action
from relay.receive.spoofing import suspected
from relay.smtp.reply import Reply
from relay.spool.change import Accept
from relay.trace.event import Record

NOT_ALIGNED = Reply(
    550,
    "5.7.1",
    "The domain in From wants its mail signed or sent by itself (DMARC); this mail would be neither",
)
Outcome = Accept | Reply
Done = Callable[[Outcome], None]


class Alignment:
    """One a receiver."""

    def __init__(self, action: Action, demands: Demands, keys: KeyRing | None, record: Record) -> None:
        """`action` is not OFF."""
        self._action = action
        self._demands = demands
        self._keys = keys
        self._record = record

    def judge(self, change: Accept, header: Header, origin: Origin, done: Done) -> Outcome | None:
        """The mail that may go on, or the reply; None: that takes a while, and `done` is called in the loop."""
        author = author_domain(header)
        if author is None:
            # Who has no author has no domain that asks; another rule speaks of that.
            return change
        domain, envelope = _name(author), change.envelope
        signing = self._signing(author, envelope.received_at)
        sender = _name(envelope.sender.rpartition(b"@")[2])
        event = suspected(format_id(envelope.id), origin, "alignment", author, NOT_ALIGNED)

        def verdict(demand: Demand) -> Outcome:
            if demand.is_met(domain, signing, sender):
                return change
            if self._action is Action.REFUSE:
                return NOT_ALIGNED
            self._record(event)
            return change

        demand = self._demands.get(domain, lambda demand: done(verdict(demand)))
        return None if demand is None else verdict(demand)

    def _signing(self, author: bytes, now: float) -> str:
        """The domain that we sign for; empty: for none."""
        if self._keys is None:
            return ""
        policy = self._keys.policy(author)
        try:
            return _name(policy.domain) if policy is not None and self._keys.signers(author, now) else ""
        except NoActiveKey:
            return ""


def _name(domain: bytes) -> str:
    """As names in the DNS are compared: A-labels, lower case, without the final dot."""
    text = domain.decode("utf-8", "replace").lower().removesuffix(".")
    try:
        return text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        return text
