"""The digest: one mail instead of many reports, for a sender of whose mails too many fail.

Plain text, since a delivery status speaks of one mail only (RFC 3464 section 2.1). It lists
what is known of each failure up to a bound, and counts the rest.
"""

from collections.abc import Sequence

from msgspec import Struct

from relay.message.dsn import begin
from relay.message.report import Author, date
from relay.message.seven_bit import one_line, part


class Failure(Struct, frozen=True, array_like=True):
    """One mail that failed, as the digest lists it."""

    at: float
    """Seconds since the epoch."""
    name: str
    """Its queue id."""
    message_id: str
    recipients: tuple[str, ...]
    """The first few."""
    count: int
    """Recipients in all."""
    reply: str
    """What was said of the first."""


def compose_digest(
    sender: bytes, failures: Sequence[Failure], beyond: int, author: Author, name: str, now: float
) -> bytes:
    """The mail; `beyond` counts mails that failed and are not listed, `name` is its own queue id."""
    total = len(failures) + beyond
    lines = [
        f"This is the mail relay {author.hostname}.",
        "",
        f"{total} more of your mails could not be delivered. So many failed that they are",
        "told here together, instead of in a report each. They will not be tried again.",
    ]
    for failure in failures:
        lines += ["", *_entry(failure)]
    if beyond:
        lines += ["", f"and {beyond} more, which are not listed."]
    body = "\r\n".join((*lines, ""))
    subject = f"{total} more mails could not be delivered"
    return begin(author, sender, subject, name, now) + part(
        "text/plain; charset=utf-8", body.encode("utf-8", "replace")
    )


def _entry(failure: Failure) -> list[str]:
    shown = ", ".join(f"<{one_line(each)}>" for each in failure.recipients)
    more = failure.count - len(failure.recipients)
    lines = [
        f"{date(failure.at)}  number {failure.name}",
        f"  to {shown}" + (f" and {more} more" if more > 0 else ""),
    ]
    if failure.message_id:
        lines.append(f"  Message-ID {one_line(failure.message_id)}")
    lines.append(f"  {one_line(failure.reply)}")
    return lines
