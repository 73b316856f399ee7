"""A selection: which mails are meant, and which of their recipients.

What speaks of recipients (recipient, route, status, reply) selects recipients: of a mail
to fifty domains the one to `gone.example` is cancelled, and the others are not. All else
selects mails whole. What is given must all be true; what is left out is not asked.
"""

from collections.abc import Callable

from msgspec import Struct

from relay.message.envelope import Envelope
from relay.message.priority import PRIORITIES
from relay.message.queue_id import parse_id
from relay.spool.change import RecipientState, Status

STATUSES = ("queued", "deferred", "held", "uncertain")
"""What a recipient may be selected by; who is done with, is not."""


class Selection(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """As it is given; `problem` says what of it means nothing."""

    ids: tuple[str, ...] = ()
    sender: str = ""
    """An address, a domain, or `<>` for the null sender."""
    recipient: str = ""
    """An address or a domain."""
    route: str = ""
    campaign: str = ""
    priority: str = ""
    older_than: float = 0.0
    """Seconds since the mail came."""
    reply: str = ""
    """Part of the last reply or reason, in any case."""
    status: str = ""
    all: bool = False
    """Every mail: nothing else is given, and that is meant so."""

    def __str__(self) -> str:
        """One line for people and the log."""
        words = [f"{name} {value}" for name, value in self._given().items() if name not in ("ids", "all")]
        if self.ids:
            few = " ".join(self.ids[:3])
            words.insert(0, f"ids {few}" + (f" and {len(self.ids) - 3} more" if len(self.ids) > 3 else ""))
        return ", ".join(words) or ("all mails" if self.all else "nothing")

    def _given(self) -> dict[str, object]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value}

    @property
    def problem(self) -> str:
        """Why it selects nothing that makes sense; empty: it does."""
        given = self._given()
        if not given:
            return "nothing is selected; name ids or what the mails have in common, or say that all are meant"
        if self.all and len(given) > 1:
            return "all mails and something else are selected at once; leave one of them out"
        if self.priority and self.priority not in PRIORITIES:
            return f'there is no priority "{self.priority}"; high, normal and bulk are'
        if self.status and self.status not in STATUSES:
            return (
                f'there is no status "{self.status}" to select by; queued, deferred, held and uncertain are'
            )
        if self.older_than < 0:
            return "an age is not negative"
        for id in self.ids:
            try:
                parse_id(id)
            except ValueError as error:
                return str(error)
        return ""

    def numbers(self) -> list[int]:
        """The ids as numbers, in order, each once."""
        return sorted({parse_id(id) for id in self.ids})


class Picker:
    """A selection at work; `now` is what ages are measured by."""

    def __init__(self, selection: Selection, now: float) -> None:
        self._ids = frozenset(selection.numbers())
        self._sender = _address(selection.sender)
        self._recipient = _address(selection.recipient)
        self._route = selection.route
        self._campaign = selection.campaign
        self._priority = PRIORITIES.get(selection.priority)
        self._before = now - selection.older_than if selection.older_than else None
        self._reply = selection.reply.lower()
        self._status = selection.status
        self._asks_for_recipients = bool(
            selection.recipient or selection.route or selection.reply or selection.status
        )

    @property
    def sieve(self) -> bytes:
        """What the envelope of each mail that is meant has somewhere in its record; empty: nothing is known."""
        return max(self._campaign.encode(), self._route.encode(), key=len)

    def pick(self, envelope: Envelope, states: tuple[RecipientState, ...]) -> list[int]:
        """Indices of the recipients that are meant and not done with; none when the mail is not."""
        if not self._takes(envelope):
            return []
        left = [index for index, state in enumerate(states) if state.status.is_left]
        if not self._asks_for_recipients:
            return left
        return [index for index in left if self._takes_recipient(envelope, states, index)]

    def _takes(self, mail: Envelope) -> bool:
        return (
            (not self._ids or mail.id in self._ids)
            and (self._sender is None or self._sender(mail.sender))
            and (not self._campaign or mail.campaign == self._campaign)
            and (self._priority is None or mail.priority is self._priority)
            and (self._before is None or mail.received_at <= self._before)
        )

    def _takes_recipient(self, mail: Envelope, states: tuple[RecipientState, ...], index: int) -> bool:
        recipient, state = mail.recipients[index], states[index]
        return (
            (self._recipient is None or self._recipient(recipient.address))
            and (not self._route or recipient.route == self._route)
            and (not self._reply or self._reply in state.reply.lower())
            and (not self._status or status_word(state) == self._status)
        )


def status_word(state: RecipientState) -> str:
    """Where a recipient stands, as people say it."""
    if state.status is Status.QUEUED:
        return "deferred" if state.attempts else "queued"
    return state.status.name.lower()


def _address(text: str) -> Callable[[bytes], bool] | None:
    """What the text of an address or a domain matches, in any case; None: nothing is asked."""
    if not text:
        return None
    wanted = b"" if text == "<>" else text.lower().encode("utf-8", "surrogateescape")
    if wanted and (b"@" not in wanted or wanted.startswith(b"@")):
        end = b"@" + wanted.removeprefix(b"@")
        return lambda address: address.lower().endswith(end)
    return lambda address: address.lower() == wanted
