"""The fields a relay adds: Received always, Message-ID and Date when they are missing.

Received follows RFC 5321 section 4.4, its protocol names RFC 3848 and RFC 6531
section 4.3. What the client said of itself is neutralised, so that it can neither
end the field nor pass for a part of it.
"""

from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MAX_HELO_BYTES = 255
"""What is shown of a client's name: a domain is no longer (RFC 5321 section 4.5.3.1.2)."""
MAX_ORIGINS = 1024
"""Clauses up to "with" that are remembered, one a client and protocol: some 300 bytes each."""

_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"
_NEUTRAL = bytes(octet if octet in _PLAIN else ord("?") for octet in range(256))
_UNFIT = bytes(range(32)) + b"<>\x7f"
_NEUTRAL_UTF8 = _NEUTRAL[:128] + bytes(range(128, 256))


def protocol_name(*, esmtp: bool, tls: bool = False, auth: bool = False, utf8: bool = False) -> bytes:
    """What stands after "with": SMTP, ESMTP, ESMTPSA, UTF8SMTPS and so on."""
    if utf8:
        # RFC 6531 section 4.3: when the mail came with SMTPUTF8, whatever greeting asked for it.
        base = b"UTF8SMTP"
    elif esmtp:
        base = b"ESMTP"
    else:
        return b"SMTP"
    return base + (b"S" if tls else b"") + (b"A" if auth else b"")


def received_field(
    *,
    helo: bytes,
    client: str,
    hostname: str,
    protocol: bytes,
    queue_id: str,
    now: float,
    recipient: bytes | None = None,
    tls: str = "",
) -> bytes:
    """Our Received field, with its CRLF.

    `client` is the address as text, empty for a client without one. `recipient`
    is given only when it is the mail's only one: else the field would tell each
    recipient of the others (RFC 5321 section 7.2). `tls` is a remark such as the
    version. `now` is seconds since the epoch.
    """
    return b"%b id %b%b; %b\r\n" % (
        _origin(helo, client, hostname, protocol, tls),
        queue_id.encode(),
        _for_clause(recipient, protocol),
        date_time(int(now)),
    )


def message_id_field(queue_id: str, hostname: str) -> bytes:
    """A Message-ID field, with its CRLF (RFC 5322 section 3.6.4); queue ids never come twice."""
    return b"Message-ID: <%b@%b>\r\n" % (queue_id.encode(), hostname.encode())


def date_field(now: float) -> bytes:
    """A Date field, with its CRLF (RFC 5322 section 3.6.1)."""
    return b"Date: %b\r\n" % date_time(int(now))


@lru_cache(maxsize=8)
def date_time(second: int) -> bytes:
    """Seconds since the epoch as RFC 5322 section 3.3 writes them, in UTC.

    Not strftime, whose names of days and months follow the locale. Remembered,
    because thousands of mails share a second.
    """
    moment = datetime.fromtimestamp(second, UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day} {month} {moment.year:04} {moment:%H:%M:%S} +0000".encode()


def address_literal(client: str) -> bytes:
    """An address as RFC 5321 section 4.1.3 writes it; empty for what is no address."""
    address = client.partition("%")[0]  # a link-local address comes with its interface
    if ":" in address:
        mapped = address.lower().removeprefix("::ffff:")
        if "." in mapped and ":" not in mapped:
            return b"[%b]" % mapped.encode()
        return b"[IPv6:%b]" % address.encode()
    return b"[%b]" % address.encode() if address.count(".") == 3 else b""


@lru_cache(maxsize=MAX_ORIGINS)
def _origin(helo: bytes, client: str, hostname: str, protocol: bytes, tls: str) -> bytes:
    """All that does not change from one mail of a session to the next."""
    name = helo[:MAX_HELO_BYTES]
    neutral = _NEUTRAL_UTF8 if _is_utf8(protocol) and _is_valid_utf8(name) else _NEUTRAL
    literal = address_literal(client)
    return b"Received: from %b%b\r\n\tby %b with %b%b" % (
        name.translate(neutral) or b"unknown",
        b" (%b)" % literal if literal else b"",
        hostname.encode(),
        protocol,
        b" (%b)" % tls.encode() if tls else b"",
    )


def _for_clause(recipient: bytes | None, protocol: bytes) -> bytes:
    if recipient is None or len(recipient.translate(None, _UNFIT)) != len(recipient):
        return b""
    if not recipient.isascii() and not _is_utf8(protocol):
        return b""
    return b"\r\n\tfor <%b>" % recipient


def _is_utf8(protocol: bytes) -> bool:
    return protocol.startswith(b"UTF8")


def _is_valid_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
