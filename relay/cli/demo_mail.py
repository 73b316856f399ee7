"""A mail of the demo: its content as it is sent, and whether what arrived is that."""

import hashlib

from relay.cli.demo_plan import CAMPAIGN, PRIORITIES, Kind, Mail

CONTENT_BYTES = 10_240
MARK = b"X-Demo-Number: "
_LINE = b"All work and no play makes a relay a dull one; it has seen this sentence before.\r\n"


def content(mail: Mail) -> bytes:
    """With the fields that are for the relay alone."""
    fields = f"X-Relay-Priority: {PRIORITIES[mail.kind]}\r\n"
    if mail.kind is Kind.NEWSLETTER:
        fields += f"X-Relay-Campaign: {CAMPAIGN}\r\n"
    return fields.encode() + _rest(mail)


def message_id(mail: Mail) -> str:
    """By which the relay's log names it."""
    return f"<{mail.number}@demo.example.com>"


def number_of(arrived: bytes) -> int | None:
    """Which one it is; None when that cannot be read."""
    start = arrived.find(MARK)
    digits = arrived[start + len(MARK) : arrived.find(b"\r\n", start)]
    return int(digits) if start >= 0 and digits.isdigit() else None


def is_unaltered(arrived: bytes, mail: Mail) -> bool:
    """Nothing but our Received field on top, and without the relay's own fields."""
    rest = _rest(mail)
    added = arrived[: len(arrived) - len(rest)]
    # A field's further lines begin with a space; one that does not would be another field.
    lines = added.removesuffix(b"\r\n").split(b"\r\n")
    is_one_field = all(line[:1] in (b" ", b"\t") for line in lines[1:])
    return arrived.endswith(rest) and added.startswith(b"Received: ") and is_one_field


def _rest(mail: Mail) -> bytes:
    to = mail.recipients[0] if len(mail.recipients) == 1 else "undisclosed-recipients:;"
    head = (
        f"From: Demo <{mail.sender}>\r\nTo: {to}\r\nSubject: {mail.kind.value} {mail.number}\r\n"
        f"Message-ID: {message_id(mail)}\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
    ).encode()
    seal = hashlib.sha256(b"%d" % mail.number).hexdigest().encode()
    filling = _LINE * ((CONTENT_BYTES - len(head)) // len(_LINE))
    # A line that begins with a dot goes through stuffing at every hop.
    return head + MARK + b"%d\r\n\r\n.%b\r\n" % (mail.number, seal) + filling
