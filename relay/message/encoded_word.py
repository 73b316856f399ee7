"""Encoded words: text of a header as a reader's program shows it (RFC 2047)."""

import binascii
import re

_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN = re.compile(r"(\?=)[ \t]+(?==\?[^?\s]{1,64}\?[bBqQ]\?)")


def decoded(text: str) -> str:
    """The text with its encoded words read."""
    # White space between two encoded words is none (RFC 2047 section 6.2).
    return _WORD.sub(_decoded, _BETWEEN.sub(r"\1", text))


def _decoded(match: re.Match[str]) -> str:
    charset, kind, text = match[1].partition("*")[0], match[2], match[3]
    try:
        if kind in "bB":
            data = binascii.a2b_base64(text + "=" * (-len(text) % 4))
        else:
            data = binascii.a2b_qp(text.encode("latin-1", "replace"), header=True)
        return data.decode(charset, "replace")
    except (ValueError, LookupError, UnicodeError):
        # A reader's program shows it as it stands, or as bytes: so do we.
        return match[0]
