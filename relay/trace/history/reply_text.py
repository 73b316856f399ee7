"""A reply's text, cut into what many replies share and what only this one says.

    250 2.0.0 OK <a@example.com> [Hostname=SYBP282MB2635.PROD.OUTLOOK.COM]
    250 2.0.0 OK ␀ ␀      and      <a@example.com>, [Hostname=SYBP282MB2635.PROD.OUTLOOK.COM]

So ten million replies are a few hundred texts, which are searched in a moment, and an
address that a server repeats never stands in a text that is kept for ever. Nothing is
lost: `joined` makes the reply again.
"""

import re
from zlib import crc32

GAP = "\x1e"
"""In a text, for a part. No NUL: SQLite's LIKE ends there."""
SEPARATOR = "\x1f"
"""Between parts."""
TEXT_MAX = 2_000
"""Characters; RFC 5321 section 4.5.3.1.5 knows lines of 512 octets, Microsoft's longest have 700."""

# In brackets of both kinds; a word of four characters and more with an @ or a digit in it, unless it is an
# enhanced code (5.7.139) or a name such as AADSTS53003, ATTR36 or IPv6.
_VARIABLE = re.compile(
    r"(<[^<>]*>|\[[^\[\]]*\]"
    r"|(?<![^\s();,=\"':<>\[\]])(?!\d\.\d{1,3}\.\d{1,3}(?:$|[\s;:,]))(?!(?:[A-Z]{1,8}|IPv)\d{1,8}(?:$|[\s();:,.]))"
    r"(?=[^\s<>\[\]();,=\"']*(?:@|\d))[^\s<>\[\]();,=\"']{4,})"
)
_UNPRINTABLE = {number: "?" for number in [*range(0x20), 0x7F]}


def split(text: str) -> tuple[str, str]:
    """The text with its gaps, and the parts that go there; empty when it has none."""
    if not text.isprintable():
        # Bytes that are no UTF-8 came as surrogates (relay.smtp.reply); no file takes those.
        text = text.translate(_UNPRINTABLE).encode("utf-8", "replace").decode()
    pieces = _VARIABLE.split(text[:TEXT_MAX])
    if len(pieces) == 1:
        return pieces[0], ""
    return GAP.join(pieces[::2]), SEPARATOR.join(pieces[1::2])


def joined(text: str, parts: str) -> str:
    """What `split` was given."""
    if not parts:
        return text
    pieces = text.split(GAP)
    fills = parts.split(SEPARATOR)
    return "".join(piece + fill for piece, fill in zip(pieces, [*fills, ""], strict=False))


def mark(parts: str) -> int | None:
    """A number for the last part: the next hop's own id of the mail stands there, and is asked for."""
    if not parts:
        return None
    return crc32(parts.rpartition(SEPARATOR)[2].strip("<>[]").encode())


def shown(text: str) -> str:
    """A text with gaps, for people."""
    return text.replace(GAP, "…")
