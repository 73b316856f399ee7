"""The header of a mail, as a check or a person reads it.

`Header` answers what `scan_header` found: which fields there are, how often, and
what they say. It changes nothing and repairs nothing; what is sent on is the
content itself. Names are compared without case (RFC 5322 section 1.2.2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from relay._fastpath import HeaderScan, scan_header


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it stands in the content."""

    name: bytes
    """As written; its case is the sender's."""
    value: bytes
    """Between the colon and the final CRLF, folds and white space included."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields at the beginning of a mail. Offsets count from the content's first byte."""

    scan: HeaderScan

    @classmethod
    def of(cls, content: bytes | bytearray | memoryview, limit: int = 0) -> Self:
        """Read the header of `content`, looking at no more than `limit` bytes (0: at all).

        `content` may be a mail's first part; see `is_complete`.
        """
        return cls(scan_header(content, limit))

    def __len__(self) -> int:
        return len(self.scan)

    @property
    def is_complete(self) -> bool:
        """Its end was seen. When not, the content or the limit ended within it; a whole mail may have no body."""
        return self.scan.complete

    @property
    def end(self) -> int:
        """Offset of the body, behind the blank line; when not complete, how far was looked."""
        return self.scan.end

    @property
    def needs_blank_line(self) -> bool:
        """The content begins with its body, without a blank line before it.

        Fields put before such content need one after them: else a first line that
        begins with white space would fold into the last of them (Postfix does so too).
        """
        return self.scan.complete and self.scan.end == 0

    @property
    def received_hops(self) -> int:
        """Received fields: the loop count (RFC 5321 section 6.3)."""
        return self.scan.count(b"Received")

    @property
    def fields(self) -> Iterator[Field]:
        """All fields, from top to bottom."""
        scan = self.scan
        return (Field(scan.name(index), scan.value(index)) for index in range(len(scan)))

    def has(self, name: bytes) -> bool:
        """Whether there is such a field, be it empty."""
        return self.scan.find(name) >= 0

    def count(self, name: bytes) -> int:
        """How many fields are called so."""
        return self.scan.count(name)

    def get(self, name: bytes) -> bytes | None:
        """The first such field's value, unfolded and stripped; None when there is none."""
        index = self.scan.find(name)
        return None if index < 0 else unfold(self.scan.value(index)).strip(b" \t")


def unfold(value: bytes) -> bytes:
    """The value on one line (RFC 5322 section 2.2.3): CRLF goes, the white space after it stays."""
    # No CR or LF stands in a value but at its folds: the decoder sees to it.
    return value.replace(b"\r\n", b"") if b"\r" in value else value
