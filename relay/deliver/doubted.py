"""What of a mail is in doubt: its recipients by the transaction that lost its reply."""

from collections.abc import Iterator
from dataclasses import dataclass

from relay.message.envelope import Recipient
from relay.spool.change import RecipientState, Status
from relay.spool.entry import Mail


@dataclass(frozen=True, slots=True)
class Doubted:
    """Recipients of one transaction."""

    id: int
    route: str
    """That the recipients have."""
    sent_at: float
    sent_by: str
    """The route whose next hop has it, or has it not."""


def groups(mail: Mail) -> list[Doubted]:
    """Each once, in order."""
    id = mail.envelope.id
    found = (_of(id, recipient, state) for recipient, state in _pairs(mail) if _is_in_doubt(state))
    return list(dict.fromkeys(found))


def sides(mail: Mail, doubted: Doubted) -> tuple[list[bytes], list[bytes]]:
    """Addresses of the transaction, and of the rest of the mail."""
    ours: list[bytes] = []
    others: list[bytes] = []
    for recipient, state in _pairs(mail):
        is_ours = _is_in_doubt(state) and _of(doubted.id, recipient, state) == doubted
        (ours if is_ours else others).append(recipient.address)
    return ours, others


def _pairs(mail: Mail) -> Iterator[tuple[Recipient, RecipientState]]:
    return zip(mail.envelope.recipients, mail.states, strict=True)


def _is_in_doubt(state: RecipientState) -> bool:
    return state.status is Status.UNCERTAIN


def _of(id: int, recipient: Recipient, state: RecipientState) -> Doubted:
    return Doubted(id, recipient.route, state.sent_at, state.sent_by)
