"""The one address in a mail's From field, and where it stands.

For a rewriting that changes the address and not one byte beside it: display name, comments,
encoded words (RFC 2047), 8-bit text and folds stay the sender's. It reads what programs
write and guesses nothing: several From fields, several addresses, a group (RFC 6854) and
what is no address are told as such, for a reader's program may take another of them for the
author than we would.
"""

import re
from itertools import pairwise
from typing import NamedTuple

from relay.message.header import Header, unfold
from relay.smtp.address import MAX_ADDRESS_BYTES

MAX_VALUE_BYTES = 4_096
"""Of a From that is looked at: room for an address and a long name. One of 120 KB made of `@` took 115 ms."""

NO_FIELD = "the mail has no From field"
MANY_FIELDS = "the mail has more than one From field"
MANY_ADDRESSES = "From names several addresses or a group"
TOO_LONG = f"From is longer than {MAX_VALUE_BYTES} bytes"
NO_ADDRESS = "From holds no address that can be read"


class Author(NamedTuple):
    """The address without its folds, and its offsets in the content."""

    address: bytes
    start: int
    end: int


class _Token(NamedTuple):
    kind: int
    """An octet: the special character itself, `a` an atom with its dots, `q` quoted, `l` a domain literal."""
    start: int
    end: int


def author_of(header: Header) -> Author | str:
    """The author, or the reason why there is not just one."""
    count = header.count(b"From")
    if count != 1:
        return MANY_FIELDS if count else NO_FIELD
    scan = header.scan
    _, _, start, end = scan.field(scan.find(b"From"))
    found = address_in(scan.text[start:end])
    return found if isinstance(found, str) else Author(found.address, start + found.start, start + found.end)


def author_address(content: bytes | bytearray) -> bytes | None:
    """The author's address in a mail, or in its beginning with the whole header; None when there is not just one."""
    author = author_of(Header.of(content))
    return None if isinstance(author, str) else author.address


def address_in(value: bytes) -> Author | str:
    """The same for a From field's value, folded as it came; offsets are the value's."""
    if len(value) > MAX_VALUE_BYTES:
        return TOO_LONG
    if (plain := _PLAIN.fullmatch(value)) is not None and len(value) <= MAX_ADDRESS_BYTES:
        # Nearly every mail: 1 µs instead of 10.
        group = plain.lastindex or 0
        return Author(plain[group], plain.start(group), plain.end(group))
    tokens = _tokens(value)
    if tokens is None:
        return NO_ADDRESS
    if any(token.kind in b",;:" for token in tokens):
        return MANY_ADDRESSES
    kinds = bytes([token.kind for token in tokens])
    if b"<" in kinds or b">" in kinds:
        # Whatever stands before the bracket is a name, also one that looks like an address.
        if kinds.count(b"<") != 1 or not kinds.endswith(b">") or kinds.count(b">") != 1:
            return NO_ADDRESS
        opening = kinds.index(b"<")
        tokens, kinds = tokens[opening + 1 : -1], kinds[opening + 1 : -1]
    # CFWS within an address is obsolete (RFC 5322 section 4.4), and nobody writes it.
    together = all(one.end == two.start for one, two in pairwise(tokens))
    if not together or kinds not in _SHAPES:
        return NO_ADDRESS
    start, end = tokens[0].start, tokens[-1].end
    address = unfold(value[start:end])
    # It is written into a field of ours and into the log, so no control may stand in it, quoted or not.
    if len(address) > MAX_ADDRESS_BYTES or len(address.translate(None, _CONTROLS)) != len(address):
        return NO_ADDRESS
    return Author(address, start, end)


def _tokens(value: bytes) -> list[_Token] | None:
    """All but white space and comments; None when a quote, comment or literal does not end."""
    tokens = []
    at = 0
    while at < len(value):
        octet = value[at]
        if octet == ord("("):
            end = _comment_end(value, at)
            if end is None:
                return None
        elif (match := _TOKEN.match(value, at)) is None:
            return None
        else:
            end = match.end()
            # The group that matched says what it is: 1 is white space.
            kind = match.lastindex
            if kind != 1:
                tokens.append(_Token(_KINDS.get(kind or 0, octet), at, end))
        at = end
    return tokens


def _comment_end(value: bytes, start: int) -> int | None:
    """Comments nest (RFC 5322 section 3.2.2)."""
    depth = 0
    for match in _IN_COMMENT.finditer(value, start):
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return None


_TOKEN = re.compile(
    rb"([ \t\r\n]+)"
    rb'|("[^"\\]*(?:\\.[^"\\]*)*")'
    rb"|(\[[^\[\]\\]*\])"
    rb'|([^\x00-\x20\x7f"(),:;<>@\[\]\\]+)'
    rb"|[,:;<>@]",
    re.DOTALL,
)
_ATOM = rb'[^\x00-\x20\x7f"(),:;<>@\[\]\\]+'
_PLAIN = re.compile(
    rb'[ \t]*(?:(%b@%b)|[^\x00-\x08\x0a-\x1f\x7f"(),:;<>@\[\]\\]*<(%b@%b)>)[ \t]*'
    % (_ATOM, _ATOM, _ATOM, _ATOM)
)
"""An address, or a name of plain words and the address in brackets; what the tokens would say of it is the same."""
_KINDS = {2: ord("q"), 3: ord("l"), 4: ord("a")}
_IN_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_CONTROLS = bytes(octet for octet in (*range(32), 127) if octet != 9)
_SHAPES = frozenset((b"a@a", b"q@a", b"a@l", b"q@l"))
