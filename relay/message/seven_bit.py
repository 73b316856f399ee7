"""Text as every server takes it: seven bits, lines of at most 998 bytes, nothing that ends a field.

What stands in our own mails was said by others: replies of servers, addresses, headers of
a mail. Here it is made harmless: controls become spaces, a field is one field however long
its value is, and a body that is not plain goes as quoted-printable (RFC 2045 section 6.7).
"""

from binascii import b2a_qp

LINE_BYTES = 76
"""Where a field is folded (RFC 5322 section 2.1.1: SHOULD be no more than 78)."""
MAX_LINE_BYTES = 998
"""Of any line, without its CRLF (RFC 5322 section 2.1.1: MUST)."""
WORD_BYTES = 900
"""A word is cut at this length: it and its field's name fit one line."""

_CONTROLS = {code: " " for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
"""C0, DEL, C1 and the two that some programs take for line ends."""


def one_line(text: str) -> str:
    """The text without controls and without what is no character; runs of white space become one space."""
    sane = text.encode("utf-8", "replace").decode()
    return " ".join(sane.translate(_CONTROLS).split())


def shown(raw: bytes) -> str:
    """Bytes of others, an address as a rule, for people to read."""
    return one_line(raw.decode("utf-8", "replace"))


def field(name: str, value: str) -> bytes:
    """A whole field with its CRLF, folded between words; what is not ASCII becomes a question mark."""
    words = one_line(value).encode("ascii", "replace").split(b" ")
    lines = [name.encode() + b":"]
    for word in words:
        for start in range(0, max(len(word), 1), WORD_BYTES):
            piece = word[start : start + WORD_BYTES]
            # The first word stays beside the name: a line of white space alone is an obsolete fold.
            if (len(lines) == 1 and b" " not in lines[0]) or len(lines[-1]) + 1 + len(piece) <= LINE_BYTES:
                lines[-1] += b" " + piece
            else:
                lines.append(b" " + piece)
    return b"\r\n".join(lines).rstrip() + b"\r\n"


def part(content_type: str, body: bytes) -> bytes:
    """Header and body of a part: as it is when it is plain, else encoded; it ends with CRLF."""
    body = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    encoding = b"7bit"
    if not is_plain(body):
        encoding, body = b"quoted-printable", quoted(body)
    return b"%bContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        field("Content-Type", content_type),
        encoding,
        body,
    )


def is_plain(body: bytes) -> bool:
    """Whether it may go as 7bit (RFC 2045 section 2.7): no NUL, no stray CR or LF, no long line."""
    if not body.isascii() or b"\0" in body:
        return False
    lines = body.split(b"\r\n")
    return all(len(line) <= MAX_LINE_BYTES and b"\r" not in line and b"\n" not in line for line in lines)


def quoted(body: bytes) -> bytes:
    """As quoted-printable, lines ended by CRLF."""
    lines = body.split(b"\r\n")
    # Line by line: a CR or LF that ends no line is content, and must be encoded.
    encoded = (b2a_qp(line, quotetabs=False, istext=False, header=False) for line in lines)
    return b"\r\n".join(line.replace(b"=\n", b"=\r\n") for line in encoded)
