"""Who wants to be told: NOTIFY, ORCPT and ENVID as RFC 3461 means them, and mail nobody may answer.

A report is owed on failure unless NOTIFY says otherwise (section 4.1: "If the NOTIFY
parameter is absent, the default is FAILURE, and may include DELAY"). It is never owed to
the null sender (RFC 5321 section 6.1), nor for what is an answer itself: its Auto-Submitted
says auto-replied (RFC 3834 section 5). Mail that a program began, auto-generated, has a
sender who wants to know.
"""

import re
from enum import Enum

from relay.message.header import Header

_AUTO_REPLIED = re.compile(rb"\s*auto-replied\b", re.IGNORECASE)
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")


class Action(Enum):
    """What a report says of a recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    """Passed on to a server that will not tell more."""


_WORDS = {Action.FAILED: b"FAILURE", Action.DELAYED: b"DELAY", Action.RELAYED: b"SUCCESS"}


def is_wanted(notify: bytes, action: Action) -> bool:
    """Whether NOTIFY of a recipient, upper case as in the envelope, asks for such a report."""
    if not notify:
        return action is not Action.RELAYED
    return _WORDS[action] in notify.split(b",")


def is_answer(head: bytes) -> bool:
    """Whether the mail that begins so is itself an answer or a report."""
    said = Header.of(head).get(b"Auto-Submitted")
    return said is not None and _AUTO_REPLIED.match(said) is not None


def from_xtext(text: bytes) -> bytes:
    """What ENVID or ORCPT stand for (RFC 3461 section 4); as it is where it is no xtext."""
    plain = _HEXCHAR.sub(lambda found: bytes([int(found[1], 16)]), text)
    return plain if plain.isascii() and all(32 <= octet < 127 for octet in plain) else text
