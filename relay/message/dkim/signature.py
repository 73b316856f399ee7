"""Making a DKIM-Signature field (RFC 6376 section 3.5, RFC 8463).

    prepared = prepare(header, body_hash, options, now)
    field = prepared.field(key.sign(prepared.data))

No key is seen here. The field is written so that it reads the same under both header
canonicalisations and in every verifier: it is folded only between tags, after a
colon of h= and inside b=, b= is the last tag, and l= never stands in it (with it,
whoever adds to the body keeps the signature: RFC 6376 section 8.2).
"""

import base64
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from relay._fastpath import FieldSelection
from relay.message.dkim.canonical import Canonicalization
from relay.message.header import Header

DEFAULT_OVERSIGN = (
    b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type", b"Reply-To",
    b"List-Unsubscribe", b"List-Unsubscribe-Post",
)  # fmt: skip
"""Signed once more than they are there: nobody can add a second Subject for the reader to see."""

SIGNED = (
    *DEFAULT_OVERSIGN,
    b"Sender", b"In-Reply-To", b"References", b"Content-Transfer-Encoding", b"Content-Disposition", b"Content-ID",
    b"Content-Description", b"Content-Language", b"Resent-Date", b"Resent-From", b"Resent-Sender", b"Resent-To",
    b"Resent-Cc", b"Resent-Message-ID", b"List-Id", b"List-Help", b"List-Subscribe", b"List-Post", b"List-Owner",
    b"List-Archive", b"Auto-Submitted", b"Feedback-ID",
)  # fmt: skip
"""Signed where they are there: RFC 6376 section 5.4.1, and what says how a body is to be read. Not what hops
add or take away on the way: Received, Return-Path, Authentication-Results, Bcc."""

LINE = 76
"""Lines of the field are no longer, its name and long values aside (RFC 5322 section 2.1.1: 78)."""
MAX_LISTS = 512
"""Lists of field names whose folding is remembered; the mails of one application have a handful."""
FOLD = b"\r\n\t"


class Algorithm(Enum):
    """As a= names it."""

    RSA_SHA256 = "rsa-sha256"
    ED25519_SHA256 = "ed25519-sha256"


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """How one signature is made. One object serves many mails: it keeps what is the same for all."""

    domain: bytes
    """d=: A-labels (`xn--…`) or UTF-8; written as it is."""
    selector: bytes
    algorithm: Algorithm = Algorithm.RSA_SHA256
    header: Canonicalization = Canonicalization.RELAXED
    body: Canonicalization = Canonicalization.RELAXED
    oversign: tuple[bytes, ...] = DEFAULT_OVERSIGN
    identity: bytes | None = None
    """i=, such as `@mail.example.com`: of the domain or below it."""
    lifetime_s: int | None = None
    """x= is that long after t=; None: the signature has no end."""
    selection: FieldSelection = field(init=False, repr=False, compare=False)
    start: bytes = field(init=False, repr=False, compare=False)
    """The field up to t=."""

    def __post_init__(self) -> None:
        # From must be signed (RFC 6376 section 5.4), whatever the list says.
        names = (b"From", *self.oversign, *SIGNED)
        object.__setattr__(self, "selection", FieldSelection(names, self.oversign))
        object.__setattr__(self, "start", _start(self))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signature but for its b=."""

    data: bytes
    """What must be signed: the canonical fields, then the canonical DKIM-Signature with an empty b=."""
    unsigned: bytes
    """The field up to b=, folded."""

    def field(self, signature: bytes) -> bytes:
        """The whole field with its CRLF."""
        return self.unsigned + _fold_base64(base64.b64encode(signature)) + b"\r\n"


def prepare(header: Header | bytes, body_hash: bytes, options: SigningOptions, now: float) -> Prepared:
    """The field that says what the header and the body are now; `now` in seconds since the epoch.

    `header` holds all that is to be signed: when the relay adds a Date or a Message-ID, those
    too. `body_hash` is that of `options.body`. ValueError when there is no From: a signature
    without it is none (RFC 6376 section 6.1.1).
    """
    scan = header.scan if isinstance(header, Header) else Header.of(header).scan
    if scan.find(b"From") < 0:
        raise ValueError("a mail without From cannot be signed")
    is_relaxed = options.header is Canonicalization.RELAXED
    listed, fields = options.selection.select(scan, is_relaxed)
    second = int(now)
    expiry = b"" if options.lifetime_s is None else b" x=%d;" % (second + options.lifetime_s)
    unsigned = b"%bt=%d;%b%b;\r\n\tbh=%b;\r\n\tb=" % (
        options.start,
        second,
        expiry,
        _fold_list(listed),
        base64.b64encode(body_hash),
    )
    return Prepared(fields + (_relax(unsigned) if is_relaxed else unsigned), unsigned)


def with_blank_line(content: bytes | bytearray, header: Header) -> bytes | bytearray:
    """The content, with a blank line between its header and its body if it lacks one.

    Without it each verifier would look for the body elsewhere, and some for a header. It
    changes neither the header's nor the body's hash.
    """
    if header.end > header.scan.fields_end:
        return content
    return b"".join([header.scan.text, b"\r\n", memoryview(content)[header.end :]])


def _start(options: SigningOptions) -> bytes:
    canonical = f"{options.header.value}/{options.body.value}"
    tags = [
        f"a={options.algorithm.value};".encode(),
        f"c={canonical};".encode(),
        b"d=%b;" % options.domain,
        b"s=%b;" % options.selector,
    ]
    if options.identity is not None:
        tags.append(b"i=%b;" % _quoted(options.identity))
    return _fill(b"DKIM-Signature: v=1;", tags, b" ") + FOLD


def _quoted(text: bytes) -> bytes:
    """RFC 6376 section 2.11, dkim-quoted-printable; UTF-8 stays (RFC 8616 section 5)."""
    return b"".join(
        b"=%02X" % octet if octet <= 32 or octet in b";=\x7f" else bytes((octet,)) for octet in text
    )


@lru_cache(maxsize=MAX_LISTS)
def _fold_list(names: bytes) -> bytes:
    """The tag h=, from its fold to the last name."""
    first, *rest = names.split(b":")
    tail = [b"%b:" % name for name in rest]
    if not tail:
        return FOLD + b"h=" + first
    tail[-1] = tail[-1][:-1]
    return FOLD + _fill(b"h=%b:" % first, tail, b"")


def _fill(line: bytes, parts: list[bytes], joint: bytes) -> bytes:
    """Parts behind `line`, with a fold where the next does not fit on it."""
    lines = []
    for part in parts:
        if len(line) + len(joint) + len(part) > LINE:
            lines.append(line)
            line = part
        else:
            line += joint + part
    return FOLD.join([*lines, line])


def _fold_base64(text: bytes) -> bytes:
    """RFC 6376 section 3.5: in b= "whitespace is ignored"."""
    # The first line begins behind a tab and "b=".
    first = LINE - 4
    parts = [text[:first], *(text[at : at + LINE - 1] for at in range(first, len(text), LINE - 1))]
    return FOLD.join(parts)


def _relax(unsigned: bytes) -> bytes:
    """The field in relaxed form. All its white space is written here, so all of it is known."""
    return b"dkim-signature:" + unsigned[len(b"DKIM-Signature: ") :].replace(FOLD, b" ")
