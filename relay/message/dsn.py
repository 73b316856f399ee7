"""A delivery status notification: a mail that tells a sender what became of his (RFC 3464, RFC 6522).

    text for people             what happened, to whom, why, what to do
    message/delivery-status     the same for programs
    the header, or the mail     as RET asks for (RFC 3461 section 4.3)

It is `Auto-Submitted: auto-replied` (RFC 3834), of seven bits and with short lines whatever
it reports on, and made of nothing but its arguments: the same report is the same bytes.
Addresses that are not ASCII are written as RFC 6533 section 3 writes them for seven bits
(`utf-8; b\\x{F6}b@example.com`), so that message/global-delivery-status is never needed.

The whole mail is returned only where it is asked for, fits `full_max` and could be sent
as it is in seven bits: a message/rfc822 part must not be encoded (RFC 2046 section 5.2.1).
"""

import re
from collections.abc import Sequence

from relay.message.dsn_words import words
from relay.message.header import Header
from relay.message.notify import Action, from_xtext
from relay.message.received import date_field, message_id_field
from relay.message.report import Author, Fate, Report, date
from relay.message.seven_bit import WORD_BYTES, field, is_plain, part

HEADER_MAX = 65_536
"""Of the header that is returned, cut at a line's end: receivers take no longer ones by default."""
SUBJECTS = {
    Action.FAILED: "Your mail could not be delivered",
    Action.DELAYED: "Your mail is delayed",
    Action.RELAYED: "Your mail was passed on",
}
_PLAIN_ADDRESS = re.compile(rb"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.:\[\]-]+", re.ASCII)
"""What may stand in To without quotes; dots are looked at apart."""
_MESSAGE_ID = re.compile(rb"<[!-;=?A-Z\[\]^-~]{1,200}@[!-;=?A-Z\[\]^-~]{1,200}>")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,32}")


def compose(report: Report, author: Author, name: str, now: float, full_max: int) -> bytes:
    """The report as a mail; `name` is its own queue id."""
    parts = (
        part("text/plain; charset=utf-8", words(report, author.hostname).encode("utf-8", "replace")),
        _status_part(report, author.hostname),
        _original(report, full_max),
    )
    mark = boundary(name, parts)
    return b"".join(
        (
            begin(author, report.about.sender, SUBJECTS[report.action], name, now),
            _references(report.about.message_id),
            b'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="%b"\r\n\r\n' % mark,
            b"This is a report in MIME format (RFC 3464).\r\n",
            *(b"\r\n--%b\r\n%b" % (mark, each) for each in parts),
            b"\r\n--%b--\r\n" % mark,
        )
    )


def begin(author: Author, to: bytes, subject: str, name: str, now: float) -> bytes:
    """The fields that every mail of the relay's own begins with."""
    return b"".join(
        (
            date_field(now),
            field("From", f"Mail Delivery System <{author.address}>"),
            # A null address list is no group of people, and valid (RFC 5322 section 3.4).
            field("To", f"<{to.decode()}>" if _may_stand(to) else "undisclosed-recipients:;"),
            field("Subject", subject),
            message_id_field(name, author.hostname),
            b"Auto-Submitted: auto-replied\r\n",
            # Microsoft's own word for the same (MS-OXCMAIL): no out-of-office answer to the postmaster.
            b"X-Auto-Response-Suppress: All\r\n",
            b"MIME-Version: 1.0\r\n",
        )
    )


def boundary(name: str, parts: Sequence[bytes]) -> bytes:
    """One that stands in no part: what is returned was written by somebody who may have guessed ours."""
    number = 0
    while any(b"--=_%b_%d" % (name.encode(), number) in each for each in parts):
        number += 1
    return b"=_%b_%d" % (name.encode(), number)


def typed_address(address: bytes) -> str:
    """Address with its type, for the machine's part (RFC 3464 section 2.3.2, RFC 6533 section 3)."""
    if address.isascii():
        return f"rfc822; {address.decode()}"
    pieces: list[str] = []
    length = 0
    for character in address.decode("utf-8", "replace"):
        plain = "!" <= character <= "~" and character not in "\\+="
        piece = character if plain else _escaped(character)
        length += len(piece)
        if length > WORD_BYTES:
            break
        pieces.append(piece)
    return f"utf-8; {''.join(pieces)}"


def _escaped(character: str) -> str:
    return f"\\x{{{ord(character):02X}}}"


def _may_stand(address: bytes) -> bool:
    local = address.rpartition(b"@")[0]
    dotted = local.startswith(b".") or local.endswith(b".") or b".." in address
    return not dotted and len(address) <= WORD_BYTES and _PLAIN_ADDRESS.fullmatch(address) is not None


def _references(message_id: bytes) -> bytes:
    if _MESSAGE_ID.fullmatch(message_id) is None:
        return b""
    return b"In-Reply-To: %b\r\nReferences: %b\r\n" % (message_id, message_id)


def _status_part(report: Report, hostname: str) -> bytes:
    """Fields of the mail, then a group for each recipient (RFC 3464 section 2.1)."""
    about = report.about
    groups = [field("Reporting-MTA", f"dns; {hostname}")]
    if about.envid:
        groups[0] = (
            field("Original-Envelope-Id", from_xtext(about.envid).decode("ascii", "replace")) + groups[0]
        )
    groups[0] += field("Arrival-Date", date(about.received_at))
    groups += [_group(report, fate) for fate in report.fates]
    return b"Content-Type: message/delivery-status\r\n\r\n%b" % b"\r\n".join(groups)


def _group(report: Report, fate: Fate) -> bytes:
    fields = []
    if original := _original_recipient(fate.orcpt):
        fields.append(field("Original-Recipient", original))
    fields += [
        field("Final-Recipient", typed_address(fate.address)),
        field("Action", report.action.value),
        field("Status", fate.status),
    ]
    if fate.host:
        fields.append(field("Remote-MTA", f"dns; {fate.host}"))
    if fate.reply:
        fields.append(field("Diagnostic-Code", f"smtp; {fate.reply}"))
    if fate.attempted_at:
        fields.append(field("Last-Attempt-Date", date(fate.attempted_at)))
    if report.retry_until:
        fields.append(field("Will-Retry-Until", date(report.retry_until)))
    return b"".join(fields)


def _original_recipient(orcpt: bytes) -> str:
    """ORCPT decoded; empty where it is not what RFC 3461 section 4.2 asks for.

    Beside SMTPUTF8 its address may stand in UTF-8 (RFC 6533 section 3, utf-8-addr-unitext): such a
    letter is written as seven bits have it.
    """
    kind, semicolon, address = orcpt.decode("utf-8", "replace").partition(";")
    if not semicolon or not address or _ADDRESS_TYPE.fullmatch(kind) is None:
        return ""
    plain = "".join(each if each.isascii() else _escaped(each) for each in address)
    return f"{kind}; {from_xtext(plain.encode()).decode()}"


def _original(report: Report, full_max: int) -> bytes:
    """The mail when it is asked for and may stand as it is, else its header."""
    about, head = report.about, report.head
    is_whole = about.chunks == 1 and len(head) <= full_max
    is_asked_for = about.ret == b"FULL" and report.action is Action.FAILED
    if is_asked_for and is_whole and is_plain(head) and _has_header(head):
        return b"Content-Type: message/rfc822\r\n\r\n%b" % (
            head if head.endswith(b"\r\n") else head + b"\r\n"
        )
    return part("text/rfc822-headers; charset=utf-8", header_of(head))


def _has_header(head: bytes) -> bool:
    """Fields, and a blank line behind them: else the part is no message, and its readers complain of the report."""
    found = Header.of(head, HEADER_MAX)
    return len(found) > 0 and found.is_complete and head[found.scan.fields_end :].startswith(b"\r\n")


def header_of(head: bytes) -> bytes:
    """The header without the blank line, cut at the end of a line where it is too long."""
    found = Header.of(head, HEADER_MAX)
    header = head[: found.scan.fields_end] if found.is_complete else head[: found.end]
    if len(header) > HEADER_MAX or not found.is_complete:
        header = header[:HEADER_MAX]
        header = header[: header.rfind(b"\r\n") + 2]
    return header
