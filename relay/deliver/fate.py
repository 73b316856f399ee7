"""Fates: what a recipient's last reply means for the one who sent the mail. Pure.

A row of the catalogue has its words. Without one the enhanced code says roughly what the
trouble is (RFC 3463 section 3). A reply is quoted only when a server gave it: what we say
ourselves may name mailboxes, limits and hosts of the configuration.
"""

from collections.abc import Sequence

from relay.deliver.outcome import Failure
from relay.m365.row import Row, Scope
from relay.message.dsn_words import bounded_reply
from relay.message.envelope import Recipient
from relay.message.report import Fate
from relay.smtp.reply import Reply
from relay.spool.change import RecipientState

_SUBJECTS = {
    "1": ("The address was not accepted.", "Check the address."),
    "2": ("The mailbox cannot take the mail.", "Ask the recipient by another way, or try again later."),
    "3": ("The recipient's server could not take the mail.", "Try again later, or send a smaller mail."),
    "4": ("The recipient's server could not be reached.", "Try again later."),
    "5": ("The servers did not understand each other.", "Show this report to your administrator."),
    "6": ("The mail's content was not accepted.", "Send it in another form."),
    "7": ("The recipient's server does not allow the mail.", "Show this report to your administrator."),
}
"""By the subject of the enhanced code."""
_YET = {
    "1": "The address was not accepted yet.",
    "2": "The mailbox cannot take the mail now.",
    "3": "The recipient's server cannot take the mail now.",
    "7": "The recipient's server does not allow the mail yet.",
}
"""Of what may come to pass later: greylisting is no refusal."""
_UNKNOWN = ("The recipient's server refused the mail.", "Show this report to your administrator.")
_OWN = {
    "4.4.2": ("The connection to the next server was lost again and again.", "Try again later."),
    "4.4.7": ("It could not be delivered in the time there was for it.", "Try again later."),
    "5.4.7": (
        "It could not be delivered by the time that its sender had set for it.",
        "Send it again, if it still matters.",
    ),
    "5.3.4": ("The mail is too large for its way.", "Send a smaller one."),
    "5.6.3": ("The next server takes no mail of eight bits.", "Send it in another encoding."),
    "5.6.7": ("The next server takes no addresses beyond ASCII.", "Use an address in ASCII."),
}
"""What we find ourselves."""
_SENDERS_MATTER = (Scope.MESSAGE, Scope.RECIPIENT)
"""Rows with another scope speak to the administrator."""


def failed(recipient: Recipient, failure: Failure, host: str, is_remote: bool, now: float) -> Fate:
    """Of one who will not get the mail; `is_remote`: the server at `host` said so."""
    reply = failure.reply
    meaning, advice = _meaning(reply, failure.row, is_remote)
    if failure.is_expired and is_remote:
        meaning = f"It could not be delivered in the time there was for it. {meaning}"
    return Fate(
        recipient.address,
        _status(reply, failure.is_expired),
        meaning,
        advice,
        host if is_remote else "",
        bounded_reply(str(reply)) if is_remote else "",
        recipient.orcpt,
        now,
    )


def delayed(recipient: Recipient, state: RecipientState | None) -> Fate:
    """Of one who may get it later."""
    if state is None or not state.reply:
        return Fate(recipient.address, "4.4.7", "It still waits for its turn.", orcpt=recipient.orcpt)
    words = state.reply.split(" ", 2)
    status = (
        words[1] if len(words) > 1 and words[1].startswith("4.") and words[1].count(".") == 2 else "4.0.0"
    )
    subject = status.split(".")[1]
    meaning = _YET.get(subject) or _SUBJECTS.get(subject, _UNKNOWN)[0]
    text = f"It was tried without success. {meaning}"
    return Fate(recipient.address, status, text, reply=bounded_reply(state.reply), orcpt=recipient.orcpt)


def relayed(recipient: Recipient, host: str, now: float) -> Fate:
    """Of one whose server has it, and will not tell more."""
    text = "The next server has taken it."
    return Fate(recipient.address, "2.0.0", text, host=host, orcpt=recipient.orcpt, attempted_at=now)


def cancelled(recipient: Recipient, reason: str) -> Fate:
    """Of one whose mail somebody has taken back."""
    text = "An administrator has taken the mail back before it was sent."
    if reason:
        text += f" The reason given: {reason}"
    return Fate(recipient.address, "5.0.0", text, orcpt=recipient.orcpt)


def unknown(recipient: Recipient, now: float) -> Fate:
    """Of one who may have the mail, and nobody knows."""
    return Fate(
        recipient.address,
        "5.4.2",
        "The mail was sent, and the connection was lost before the next server confirmed it. It may have arrived "
        "and it may not; it is not sent again.",
        "Ask the recipient whether it is there.",
        orcpt=recipient.orcpt,
        attempted_at=now,
    )


def is_from_server(reply: Reply, given: Sequence[Reply | None]) -> bool:
    """Whether it is one of those that came over the connection."""
    return any(reply is each for each in given)


def _status(reply: Reply, is_expired: bool) -> str:
    """RFC 3463 section 3.5 on X.4.7: the code of the actual problem should be given rather than this one."""
    if reply.enhanced:
        return reply.enhanced
    return "4.4.7" if is_expired else f"{5 if reply.is_permanent else 4}.0.0"


def _meaning(reply: Reply, row: Row | None, is_remote: bool) -> tuple[str, str]:
    if not is_remote:
        return _OWN.get(reply.enhanced, _OWN["4.4.7"])
    if row is not None and row.scope in _SENDERS_MATTER:
        return row.meaning, row.advice
    subject = reply.enhanced.split(".")[1] if reply.enhanced else ""
    return _SUBJECTS.get(subject, _UNKNOWN)
