"""As whom a client may send: its rules about the envelope sender and the header's From.

A rule is written as in routes (`relay.route.pattern`). A mail whose From is
missing, or names more than one address, has no author that a rule could allow.
"""

from collections.abc import Sequence

from relay.identity.client import Policy
from relay.message.from_field import author_of
from relay.message.header import Header
from relay.route.pattern import keys_of, rule_key
from relay.smtp.reply import Reply

SENDER_NOT_ALLOWED = Reply(550, "5.7.1", "You may not send with this envelope sender")
NULL_SENDER_NOT_ALLOWED = Reply(550, "5.7.1", "You may not send with the null sender")
AUTHOR_NOT_ALLOWED = Reply(550, "5.7.1", "You may not send with this From address")
NO_AUTHOR = Reply(550, "5.7.1", "The mail needs one From field with one address")


def judge_sender(policy: Policy, sender: bytes) -> Reply | None:
    """MAIL: None, or the reply that names the kind of rule."""
    if policy.senders is None or is_allowed(policy.senders, sender):
        return None
    return SENDER_NOT_ALLOWED if sender else NULL_SENDER_NOT_ALLOWED


def judge_author(policy: Policy, header: Header) -> Reply | None:
    """The end of a mail: the address in From must be allowed."""
    if policy.authors is None:
        return None
    author = author_of(header)
    if isinstance(author, str):
        return NO_AUTHOR
    return None if is_allowed(policy.authors, author.address) else AUTHOR_NOT_ALLOWED


def is_allowed(rules: Sequence[str], address: bytes) -> bool:
    """Is the address one that a rule names?"""
    # A client has a handful of rules: to look at each costs less than a table of them for each.
    keys = frozenset(keys_of(address))
    return any(rule_key(rule) in keys for rule in rules)
