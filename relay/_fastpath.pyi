"""The bytes of a mail: decoding DATA and BDAT, dot stuffing, the header's fields, DKIM's canonical forms.

The plan stands in `_fastpath.pyx`; tests/test_stub.py holds this file to the compiled module.
"""

from collections.abc import Callable, Iterable
from typing import Final

from typing_extensions import Buffer

ERROR_NONE: Final = 0
ERROR_BARE_CR: Final = 1
ERROR_BARE_LF: Final = 2
ERROR_NUL: Final = 3
ERROR_LINE_LENGTH: Final = 4
ERROR_SIZE: Final = 5

class DataDecoder:
    """Decodes the content of DATA or BDAT; one a session, `reset` between mails.

    Only CRLF "." CRLF ends data. A dot after CRLF is taken away (RFC 5321 section 4.5.2).
    A bare LF becomes CRLF in the content, but for the protocol it ends no line: a dot
    after it is content and stays, so that "\\n.\\n" or "\\n.\\r\\n" neither ends data nor
    loses a byte, and dot stuffing makes ".." of it for the next hop. A bare CR and a NUL
    are always refused.

    `max_line` bounds a decoded line, its CRLF counted (a bare LF as CRLF, a missing last
    one too); `limit` bounds the decoded content; 0 is no bound. Content comes out whole
    or, after an error, in no way to be used.
    """

    def __init__(self, *, refuse_bare_lf: bool = False, max_line: int = 1000, limit: int = 0) -> None: ...
    def reset(self) -> None:
        """Forget the mail before; the options stay."""
        ...

    def hash_body(self, body_hash: BodyHash | None) -> None:
        """Hash the body of every mail, from now on; None: of no mail. Call it between two mails.

        Content is hashed as it is decoded, while the cache still has it. Until the header
        has ended, nothing may be taken out of `out`.
        """
        ...

    def feed(self, source: Buffer, start: int, end: int, out: bytearray) -> int:
        """Decode source[start:end] as sent after DATA, append it to `out`; returns the first index not taken.

        Takes everything, or up to the end of data, and then `finished` is true. After an
        error it goes on to the real end of data, else the rest of the mail is parsed as
        commands; it appends nothing more, and `out` is cut back to where that call began.
        IndexError when the indexes do not lie in `source`.
        """
        ...

    def feed_raw(self, source: Buffer, start: int, end: int, out: bytearray) -> None:
        """Check and normalise source[start:end] of a BDAT chunk (RFC 3030) and append it to `out`.

        Dots mean nothing and nothing in the bytes ends the mail. Errors as with `feed`.
        """
        ...

    def end_raw(self, out: bytearray) -> None:
        """The last BDAT chunk has been fed: refuse a CR that waits for its LF, complete the last line.

        A mail that ends within a line gets CRLF: by DATA it cannot be sent on otherwise
        (RFC 5321 section 4.1.1.4), and a dot that ends the data must not join its last line.
        """
        ...

    @property
    def finished(self) -> bool:
        """The end of the data has been taken."""
        ...

    @property
    def error(self) -> int:
        """What is wrong with this mail, an ERROR_ code; the first trouble in the order of the bytes."""
        ...

    @property
    def size(self) -> int:
        """Bytes decoded since the reset; after an error those before it."""
        ...

def stuff_dots(source: Buffer, out: bytearray, at_line_start: bool) -> bool:
    """Append `source` to `out`, with a second dot where one begins a line (RFC 5321 section 4.5.2).

    `at_line_start` says whether `source` begins a line; returns whether the byte after it
    will, for content sent in pieces. A line begins after LF, whatever stands before it: in
    content decoded here that is CRLF, and a next hop that takes a lone LF for a line end
    finds no lone dot either way.
    """
    ...

def has_leading_dot(source: Buffer, at_line_start: bool) -> bool:
    """Whether dot stuffing would change `source`; when not, it can be sent without a copy."""
    ...

class HeaderScan:
    """Where the fields of a header lie; made by `scan_header`.

    Offsets count from the content's first byte.
    """

    def __len__(self) -> int:
        """Number of fields."""
        ...

    @property
    def text(self) -> bytes:
        """The header with the blank line that ends it, where there is one: the content up to `end`."""
        ...

    @property
    def end(self) -> int:
        """Offset of the body's first byte; when not complete, how far the scan went."""
        ...

    @property
    def fields_end(self) -> int:
        """Offset after the last field: of the blank line, or of what is neither field nor blank line."""
        ...

    @property
    def complete(self) -> bool:
        """The end of the header was seen: a blank line, or a line that cannot belong to a header."""
        ...

    def field(self, index: int) -> tuple[int, int, int, int]:
        """Offsets: a field's name from, to, its raw value from, to; IndexError when there is none."""
        ...

    def name(self, index: int) -> bytes:
        """The field's name as it was written; IndexError when there is none."""
        ...

    def value(self, index: int) -> bytes:
        """What stands between colon and final CRLF, folded as it came; IndexError when there is none."""
        ...

    def find(self, name: bytes, start: int = 0) -> int:
        """Index of the first field of this name from index `start` on, case aside; -1 when there is none."""
        ...

    def find_prefix(self, prefix: bytes, start: int = 0) -> int:
        """Index of the first field from index `start` on whose name begins so, case aside; -1 if none."""
        ...

    def count(self, name: bytes) -> int:
        """How many fields have this name, case aside."""
        ...

def scan_header(content: Buffer, limit: int) -> HeaderScan:
    """Find the fields of the header that `content` begins with; looks at `limit` bytes at most (0: at all).

    A header ends at its blank line, or before the first line that is no part of one: one
    without colon, with an octet before the colon that no field name has, or a first line that
    begins with white space. White space before the colon is obsolete syntax that "MUST be
    accepted" (RFC 5322 sections 4 and 4.5). Nothing is dropped or repaired.

    Not complete when `content` or the limit ends first; its last field may then be cut.
    """
    ...

class BodyHash:
    """The hash of a mail's body while the mail comes in (RFC 6376 section 3.7); one a session.

    `simple` and `relaxed` say which canonicalisations are wanted, one or both. Content may be
    cut anywhere. `new_hash` makes what takes the canonical bytes, SHA-256 when None: something
    with `update` and `digest`, which must not keep what it is given.
    """

    def __init__(
        self, *, simple: bool = False, relaxed: bool = False, new_hash: Callable[[], object] | None = None
    ) -> None: ...
    def reset(self) -> None:
        """Forget the mail before."""
        ...

    def feed(self, content: Buffer, start: int) -> None:
        """Take content[start:]. Until the body begins, `content` must hold the mail from its beginning on.

        The body begins where `scan_header` says that the header ends.
        """
        ...

    def feed_body(self, body: Buffer) -> None:
        """Take a piece of the body; there is no header before it."""
        ...

    def simple_digest(self) -> bytes:
        """The simple body hash; nothing may be fed after it. ValueError when it was not wanted."""
        ...

    def relaxed_digest(self) -> bytes:
        """The relaxed body hash; nothing may be fed after it. ValueError when it was not wanted."""
        ...

class FieldSelection:
    """Which fields are signed, and in which order.

    `names` in that order; a name that is in `oversigned` too is listed once more than the
    header has it, so that adding such a field breaks the signature (RFC 6376 section 8.15).
    """

    def __init__(self, names: Iterable[bytes], oversigned: Iterable[bytes] = ()) -> None: ...
    def select(self, scan: HeaderScan, relaxed: bool) -> tuple[bytes, bytes]:
        """What h= lists, without folds, and the canonical fields in that order, each with its CRLF.

        Of fields with the same name the last comes first (RFC 6376 section 5.4.2).
        """
        ...
