"""A bundle: mails of a slice that an order changes, in one change of the spool.

They stand still, each is in our hands, and what becomes of one becomes of all: a commit
takes them or none. One change for each of a million mails took as long as all that was
decided about it.
"""

from dataclasses import dataclass, field

from relay.deliver.settlement import Told
from relay.spool.change import Amend, Record, Remove, Several
from relay.spool.entry import Mail


@dataclass(slots=True)
class Changed:
    """One mail: as it was, as it is to be, and for which recipients it is another one."""

    before: Mail
    after: Mail
    recipients: list[int]
    is_left: bool
    """Something is still to become of it."""
    told: Told | None = None
    """Who is told of it."""


@dataclass(slots=True)
class Bundle:
    """Those of a slice."""

    mails: list[Changed] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.mails)

    def change(self) -> Several:
        """What the disk is to make of them."""
        return Several([change_of(each) for each in self.mails])


def kept(before: Mail, after: Mail) -> Record | Amend:
    """The mail stays, whatever is left of it: its content may be read just now."""
    if after.envelope is not before.envelope:
        return Amend(after.envelope, after.states if after.has_state else None)
    return Record(before.id, after.states)


def change_of(mail: Changed) -> Record | Amend | Remove:
    """What the disk is to make of it."""
    if not mail.is_left:
        return Remove(mail.before.envelope.id, mail.before.envelope.chunks)
    return kept(mail.before, mail.after)
