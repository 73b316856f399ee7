"""Mails that are nasty, and that RFC 5322 and MIME allow all the same.

Each is what a client sends after DATA, before dot stuffing. `M365_RELAY_CORPUS` may name
a folder with more (*.eml). Signed are those of them that name an author and have a
header that ends with a blank line: what is no mail, verifiers read each in its own way.
"""

import os
import re
from pathlib import Path

from relay.message.dkim.author import author_domain
from relay.message.header import Header

_TOP = b"From: Alice <alice@example.com>\r\nTo: bob@example.net\r\n"
_DATED = b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"


def _mail(fields: bytes = b"", body: bytes = b"Hello\r\n") -> bytes:
    return _TOP + _DATED + fields + b"\r\n" + body


def _lines(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)


MAILS: dict[str, bytes] = {
    "plain": _mail(b"Subject: plain\r\n"),
    "date and message id are ours": _TOP + b"Subject: x\r\n\r\nHello\r\n",
    "empty body": _mail(body=b""),
    "no blank line and no body": _TOP + _DATED,
    "only line ends": _mail(body=b"\r\n\r\n\r\n"),
    "only white space": _mail(body=b" \t \r\n\t\r\n"),
    "many blank lines at the end": _mail(body=b"Hello\r\n" + b"\r\n" * 500),
    "blank lines within": _mail(body=b"Hello\r\n" + b"\r\n" * 500 + b"Bye\r\n"),
    "white space everywhere": _mail(b"Subject:   a   b\tc   \r\n", b"  a \t b  \r\n\t\r\n c\t\r\n"),
    "dots at line starts": _mail(body=_lines(b".", b"..", b".a", b" .", b"")),
    "folded subject": _mail(b"Subject: a\r\n b\r\n\tc\r\n  d\r\n"),
    "folded behind the name": _mail(b"Subject:\r\n a long one\r\n"),
    "empty fields": _mail(b"Subject:\r\nCc: \r\nReply-To:\t\r\n"),
    "odd case of names": _mail(b"sUbJeCt: x\r\nMIME-version: 1.0\r\n"),
    "no space behind the colon": _mail(b"Subject:x\r\n"),
    "the same field many times": _mail(b"".join(b"References: <%d@x>\r\n" % n for n in range(50))),
    "two subjects": _mail(b"Subject: one\r\nSubject: two\r\n"),
    "several recipients' fields": _mail(b"To: c@example.net\r\nCc: d@example.net\r\nCc: e@example.net\r\n"),
    "a hundred fields of its own": _mail(b"".join(b"X-Field-%d: %d\r\n" % (n, n) for n in range(100))),
    "hops before us": b"Received: from a by b; Tue, 24 Nov 2026 09:00:00 +0000\r\n" * 5 + _mail(),
    "encoded words": _mail(b"Subject: =?utf-8?q?=C3=A4?= =?utf-8?b?w6Q=?=\r\n"),
    "8-bit body": _mail(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
                        "Grüße, ünïcödé \r\n".encode()),
    "8-bit subject": _mail("Subject: Grüße\r\n".encode()),
    "latin-1 body": _mail(body=bytes(range(160, 256)) + b"\r\n"),
    "control characters": _mail(body=b"\x01\x0b\x0c\x1b[0m\x7f \r\n"),
    "lines of 998": _mail(b"Subject: " + b"x" * 980 + b"\r\n", (b"y" * 998 + b"\r\n") * 3),
    "a line with no end of white space": _mail(body=b"x" + b" " * 900 + b"\r\n"),
    "colons and semicolons": _mail(b"Subject: a:b;c=d; b=; bh=x\r\n"),
    "quoted display name": _mail().replace(b"Alice <", b'"Alice, \\"A\\" (x)" <'),
    "comment in From": _mail().replace(b"Alice <alice@example.com>", b"alice@example.com (Alice @ home)"),
    "folded From": _mail().replace(b"Alice <", b"Alice\r\n <"),
    "list mail": _mail(b"List-Unsubscribe: <https://example.com/u?a=b;c>,\r\n <mailto:u@example.com>\r\n"
                       b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: <l.example.com>\r\n"),
    "multipart": _mail(b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary="=_b"\r\n',
                       _lines(b"preamble ", b"--=_b", b"", b"text \t", b"--=_b", b"Content-Type: message/rfc822", b"",
                              b"From: x@y", b"", b"inner  ", b"--=_b--", b"", b"epilogue", b"")),
    "a signature of somebody else's": b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AAAA; b=AAAA\r\n"
                                      + _mail(),
    "resent": b"Resent-From: carol@example.org\r\nResent-To: dave@example.net\r\n"
              b"Resent-Date: Tue, 24 Nov 2026 11:00:00 +0000\r\n" + _mail(),
    "64 KiB in short lines": _mail(body=b"word  word \r\n" * 5500),
    "300 KiB": _mail(body=b"A line of ordinary text, as mails have many of them.  \r\n" * 5500),
}  # fmt: skip


def folder() -> dict[str, bytes]:
    """The mails that `M365_RELAY_CORPUS` leads to, as a client sends a file: every line ends with CRLF."""
    where = os.environ.get("M365_RELAY_CORPUS")
    if not where:
        return {}
    return {path.name: as_sent(path.read_bytes()) for path in sorted(Path(where).rglob("*.eml"))}


def as_sent(raw: bytes) -> bytes:
    """With CRLF at the end of each line, the last one too."""
    text = re.sub(rb"\r\n|\r(?!\n)|\n", b"\r\n", raw)
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def signable() -> dict[str, bytes]:
    """By name: all whose author can be told, which is every one of ours."""
    more = {name: mail.replace(b"\0", b"") for name, mail in folder().items()}
    return MAILS | {name: mail for name, mail in more.items() if _is_mail(mail)}


def _is_mail(mail: bytes) -> bool:
    header = Header.of(mail)
    return author_domain(header) is not None and header.is_complete and header.end > header.scan.fields_end
