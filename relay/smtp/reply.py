"""A reply: its code, its enhanced code, its text (RFC 5321 section 4.2, RFC 2034).

Server and client share the value: the server encodes it, the client reads it with
`ReplyReader`, bytes in and whole replies out, in whatever pieces they come. The
reader takes what servers send in the field: bare LF as line end, no enhanced
code, no text, letters of another encoding. It refuses what cannot be a reply and
what does not end. A text that it has read can be written anywhere: into a file, a
record, a terminal.
"""

from dataclasses import dataclass

from relay.errors import ProtocolError

MAX_REPLY_BYTES = 65_536
"""One reply with all its lines. RFC 5321 section 4.5.3.1.5 asks for 512 a line; Exchange's longest has some 2,000."""

KNOWN_MAX = 256
"""Single lines remembered with their reply: three of a mail's four are the same each time, and reading
one costs 3 µs. Those with a queue id in them push the rest out, but rarely."""
KNOWN_MAX_BYTES = 512
"""Longer lines are not remembered: 256 of these bound the memory to 128 KiB."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`enhanced` is like `5.1.1`, empty where there is none; several lines of text are a tuple."""

    code: int
    enhanced: str
    text: str | tuple[str, ...]

    def encode(self) -> bytes:
        """The reply as it goes over the wire; every line carries both codes (RFC 2034 section 4)."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if isinstance(self.text, str):
            return f"{self.code} {prefix}{self.text}\r\n".encode("utf-8", "surrogateescape")
        *first, last = self.text
        lines = [f"{self.code}-{prefix}{line}\r\n" for line in first]
        lines.append(f"{self.code} {prefix}{last}\r\n")
        return "".join(lines).encode("utf-8", "surrogateescape")

    @property
    def lines(self) -> tuple[str, ...]:
        """The text, a line each."""
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def is_positive(self) -> bool:
        """2yz: done."""
        return 200 <= self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """3yz: go on."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: not now."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: never so."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        """One line for people."""
        prefix = f"{self.code} {self.enhanced}" if self.enhanced else str(self.code)
        return f"{prefix} {' '.join(self.lines)}".rstrip()


_known: dict[bytes, Reply] = {}


class ReplyReader:
    """Bytes in, replies out; keeps what is not yet whole, at most `max_bytes` of it."""

    def __init__(self, max_bytes: int = MAX_REPLY_BYTES) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._size = 0
        self._max_bytes = max_bytes

    @property
    def is_empty(self) -> bool:
        """Nothing stands between two replies: what must hold before TLS starts (RFC 3207 section 4.2)."""
        return not self._buffer and not self._lines

    def feed(self, data: bytes | bytearray | memoryview) -> list[Reply]:
        """Replies completed by `data`; ProtocolError for what is not a reply or does not end."""
        buffer = self._buffer
        buffer += data
        replies: list[Reply] = []
        start = 0
        while (end := buffer.find(b"\n", start)) != -1:
            line = bytes(buffer[start : end + 1])
            start = end + 1
            reply = self._take_line(line.rstrip(b"\r\n"), len(line))
            if reply is not None:
                replies.append(reply)
        del buffer[:start]
        if self._size + len(buffer) > self._max_bytes:
            raise ProtocolError(f"a reply exceeds {self._max_bytes} bytes")
        return replies

    def _take_line(self, line: bytes, size: int) -> Reply | None:
        """The reply that this line ends, or None when further lines follow."""
        if not self._lines and (known := _known.get(line)) is not None:
            return known
        self._size += size
        if self._size > self._max_bytes:
            raise ProtocolError(f"a reply exceeds {self._max_bytes} bytes")
        # RFC 5321 section 4.2: Reply-code = %x32-35 %x30-35 %x30-39; a second digit of 6 to 9 is seen in the field.
        if not (line[:3].isdigit() and line[0] in b"2345" and line[3:4] in (b" ", b"-", b"")):
            raise ProtocolError(f"not a reply: {line[:80]!r}")
        if self._lines and line[:3] != self._lines[0][:3]:
            # RFC 5321 section 4.2.1: "the same reply code on every line".
            raise ProtocolError(f"a reply changes its code: {self._lines[0][:80]!r}, {line[:80]!r}")
        self._lines.append(line)
        if line[3:4] == b"-":
            return None
        lines, self._lines, self._size = self._lines, [], 0
        reply = _reply_of(lines)
        if len(lines) == 1 and size <= KNOWN_MAX_BYTES:
            if len(_known) >= KNOWN_MAX:
                _known.clear()
            _known[line] = reply
        return reply


def _reply_of(lines: list[bytes]) -> Reply:
    """A reply of whole lines; the enhanced code is cut from each line that repeats it."""
    code = int(lines[0][:3])
    texts = [_readable(line[4:]) for line in lines]
    enhanced = _enhanced_of(texts[-1], code)
    if enhanced:
        texts = [text[len(enhanced) :].lstrip(" ") if _starts(text, enhanced) else text for text in texts]
    return Reply(code, enhanced, texts[0] if len(texts) == 1 else tuple(texts))


def _readable(text: bytes) -> str:
    """As people may see it, in a log or on a terminal: nothing that moves a cursor, turns a line round or is no character.

    Old servers speak Latin-1: such an octet stands as `\\xe9`. As a surrogate it could be kept in no record.
    """
    found = text.decode("utf-8", "backslashreplace")
    if found.isprintable():
        return found
    return "".join(
        each if each.isprintable() else " " if each.isspace() else "\N{REPLACEMENT CHARACTER}"
        for each in found
    )


def _starts(text: str, enhanced: str) -> bool:
    return text.startswith(enhanced) and text[len(enhanced) :][:1] in ("", " ")


def _enhanced_of(text: str, code: int) -> str:
    """The enhanced code at the start of a text, or nothing: class.subject.detail (RFC 3463 section 2)."""
    word = text.partition(" ")[0]
    if len(word) < 5 or word[0] not in "245" or word[1] != "." or len(word) > 9:
        return ""
    # RFC 2034 section 4: the class is that of the reply code; else it is only text that looks like one.
    if int(word[0]) != code // 100:
        return ""
    numbers = word[2:].split(".")
    valid = len(numbers) == 2 and all(n.isascii() and n.isdigit() and len(n) <= 3 for n in numbers)
    return word if valid else ""
