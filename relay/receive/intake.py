"""What a mail that has come in says to us, and the mail as it goes on from there.

The first thing done when a mail is whole, and the only place where bytes of the client's
are changed: the fields that are meant for us are read and taken out, an address in From is
replaced where a rule says so. Then everything that comes later, the fields that we add and
the signature among them, sees the mail as it will be sent.
"""

from msgspec import Struct

from relay.identity.client import ANYTHING, Policy
from relay.message.edit import Edit, apply
from relay.message.from_field import author_of
from relay.message.header import Header
from relay.message.own_field import NOTHING, Unreadable, Wishes, own_fields, read, removal
from relay.receive.options import Limits
from relay.receive.policy import HEADER_CUT, judge_header
from relay.receive.rewrite import Rule
from relay.receive.sender_rule import judge_author
from relay.smtp.reply import Reply


class Intake(Struct, frozen=True):
    """The mail's header, and what was found in it."""

    header: Header
    """As the content has it now."""
    wishes: Wishes = NOTHING
    original_from: bytes = b""
    """From's address before it was rewritten; empty: it was not."""
    from_left: str = ""
    """Why From could not be rewritten although a rule speaks of the sender; empty when it was, or need not be."""


def take(
    content: bytearray, is_whole: bool, rule: Rule | None, limits: Limits, policy: Policy = ANYTHING
) -> Intake | Reply:
    """Judge and change the beginning of a mail, in place; or the reply that refuses it.

    `is_whole`: it is all of the mail. `rule` speaks of the envelope's sender, `policy` of From
    as the client wrote it.
    """
    # One byte beyond the limit tells a header that is too long from one that just fits.
    limit = limits.header_bytes + 1
    header = Header.of(content, limit)
    refusal = judge_header(header, limits) or judge_author(policy, header)
    if refusal is not None:
        return refusal
    own = own_fields(header.scan)
    if not own and rule is None:
        return Intake(header)
    if not (is_whole or header.is_complete):
        # Its last field may end in another record. The configuration sees to it that this cannot be.
        return HEADER_CUT
    wishes = read(header.scan, own)
    if isinstance(wishes, Unreadable):
        return Reply(550, "5.6.0", wishes.text)
    edits = removal(header.scan, own)
    original_from, from_left = b"", ""
    if rule is not None and rule.rewrites_from:
        author = author_of(header)
        if isinstance(author, str):
            from_left = author
        elif rule.changes(author.address):
            edits.append(Edit(author.start, author.end, rule.to))
            original_from = author.address
    if edits:
        apply(content, edits)
        header = Header.of(content, limit)
    return Intake(header, wishes, original_from, from_left)
