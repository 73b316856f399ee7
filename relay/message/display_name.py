"""What a reader's program shows beside the address in From: its name, as a person sees it.

Encoded words are decoded (RFC 2047), also where one address was spread over several, and
letters in wide forms count as the plain ones. So a name that shows another address than
the mail's own is found, however it was written, and so are characters that hide or turn
round what stands beside them.
"""

import re
import unicodedata
from collections.abc import Iterator

from relay.message.encoded_word import decoded
from relay.message.from_field import MAX_VALUE_BYTES, address_in
from relay.message.header import unfold

# What a person takes for an address. Each part begins only where no part goes on: linear in the text.
_ADDRESS = re.compile(r"(?<![\w.+'-])[\w.+'-]+@([\w-]+(?:\.[\w-]+)+)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
"""Embeddings, overrides and isolates show letters in another order; line and paragraph separators start anew."""
_INVISIBLE = str.maketrans("", "", "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")


def display_name(value: bytes) -> str:
    """All of a From field's value but the address and its brackets, decoded."""
    value = value[:MAX_VALUE_BYTES]
    found = address_in(value)
    if not isinstance(found, str):
        value = value[: found.start] + b" " + value[found.end :]
    text = unfold(value).decode("utf-8", "replace").replace("\\", "")
    return decoded(text).strip(' \t<>"')


def is_plain(value: bytes) -> bool:
    """Is there nothing to decode in it, and no other address than the mail's own? Then it is nearly every mail's."""
    return value.isascii() and b"=?" not in value and value.count(b"@") == 1 and not _CONTROL.search(value)


def domains_shown(name: str) -> Iterator[str]:
    """The domain of each address that a person would read in it, lower case."""
    plain = unicodedata.normalize("NFKC", name).translate(_INVISIBLE)
    return (match[1].lower() for match in _ADDRESS.finditer(plain))


def has_tricks(name: str) -> bool:
    """Does it hold controls, or characters that turn the order of others?"""
    return any(each in _TURNING or (unicodedata.category(each) == "Cc" and each != "\t") for each in name)
