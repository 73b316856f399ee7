"""What a server offered in its reply to EHLO, as far as a client uses it.

RFC 5321 section 4.1.1.1. Keywords are read in either case; one that is unknown or
whose value makes no sense counts as not offered: sending less is always right.
"""

from dataclasses import dataclass

from relay.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Offer:
    """Nothing is what a server without ESMTP offers."""

    pipelining: bool = False
    """RFC 2920."""
    starttls: bool = False
    """RFC 3207."""
    eight_bit: bool = False
    """8BITMIME, RFC 6152."""
    utf8: bool = False
    """SMTPUTF8, RFC 6531."""
    dsn: bool = False
    """RFC 3461."""
    chunking: bool = False
    """RFC 3030."""
    size: bool = False
    """RFC 1870."""
    size_max: int = 0
    """Bytes; 0 is no limit or an unknown one."""
    mechanisms: frozenset[str] = frozenset()
    """AUTH, RFC 4954; upper case."""
    recipients_max: int = 0
    """LIMITS RCPTMAX, RFC 9422; 0 is none."""
    mails_max: int = 0
    """LIMITS MAILMAX, RFC 9422; 0 is none."""


def read_offer(reply: Reply) -> Offer:
    """The offer in a positive reply to EHLO, whose first line is a greeting."""
    values: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        # "AUTH=LOGIN" is how servers offered it before RFC 2554; some still say both.
        keyword, *words = (
            line.replace("=", " ", 1).split() if line[:5].upper() == "AUTH=" else line.split() or [""]
        )
        values.setdefault(keyword.upper(), []).extend(words)
    limits = dict(word.upper().partition("=")[::2] for word in values.get("LIMITS", []))
    return Offer(
        pipelining="PIPELINING" in values,
        starttls="STARTTLS" in values,
        eight_bit="8BITMIME" in values,
        utf8="SMTPUTF8" in values,
        dsn="DSN" in values,
        chunking="CHUNKING" in values,
        size="SIZE" in values,
        size_max=_number(next(iter(values.get("SIZE", [])), "")),
        mechanisms=frozenset(word.upper() for word in values.get("AUTH", [])),
        recipients_max=_number(limits.get("RCPTMAX", "")),
        mails_max=_number(limits.get("MAILMAX", "")),
    )


def _number(text: str) -> int:
    # RFC 1870 section 3: at most 20 digits.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0
