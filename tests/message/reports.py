"""Reports as tests make them, and the golden files: `python -m tests.message.reports` writes these anew."""

from pathlib import Path

from relay.message.digest import Failure, compose_digest
from relay.message.dsn import compose
from relay.message.envelope import Envelope, Recipient
from relay.message.notify import Action
from relay.message.report import Author, Fate, Report

GOLDEN = Path(__file__).parent / "golden"
RECEIVED = 1_790_000_000.0
NOW = RECEIVED + 3600
NAME = "01hzy3qf0g8zz"
AUTHOR = Author("relay.example.com", "MAILER-DAEMON@relay.example.com")
FULL_MAX = 65_536
HEADER = (
    b"Received: from app ([10.0.0.5])\r\n\tby relay.example.com with ESMTP id 01hzy3qf0g800;\r\n"
    b"\tMon, 21 Sep 2026 13:33:20 +0000\r\n"
    b"From: Shop <shop@example.com>\r\nTo: bob@example.net\r\nSubject: Your order\r\n"
    b"Message-ID: <42@app.example.com>\r\n"
)
MAIL = HEADER + b"\r\nThank you.\r\n--=_01hzy3qf0g8zz_0--\r\n.\r\n"
NOT_FOUND = Fate(
    b"bob@example.net",
    "5.1.1",
    "There is no such recipient.",
    "Correct the address, or take it off the list.",
    "mx.example.net",
    "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    b"rfc822;bob+2Bold@example.net",
    NOW - 1,
)
UTF8 = Fate("jürgen+1@müller.example".encode(), "5.6.7", "The next server takes no such address.")
BUSY = Fate(
    b"alice@example.org",
    "4.2.1",
    "The server asks to try later.",
    host="mx.example.org",
    reply="450 4.2.1 Mailbox busy",
    attempted_at=NOW - 60,
)
PASSED = Fate(
    b"carol@example.org", "2.0.0", "The server has taken it.", host="mx.example.org", attempted_at=NOW
)


def envelope(**changes: object) -> Envelope:
    """Of the mail that is reported on."""
    fields: dict[str, object] = {
        "id": 1,
        "sender": b"shop@example.com",
        "recipients": (Recipient(b"bob@example.net", "out"),),
        "received_at": RECEIVED,
        "size": len(MAIL),
        "chunks": 1,
        "client": "10.0.0.5",
        "message_id": b"<42@app.example.com>",
    }
    return Envelope(**(fields | changes))  # type: ignore[arg-type]  # names are checked at run time


def report(action: Action, *fates: Fate, head: bytes = MAIL, until: float = 0.0, **changes: object) -> Report:
    """About the mail above."""
    return Report(action, envelope(**changes), "01hzy3qf0g800", fates, head, NOW, until)


def composed(told: Report, full_max: int = FULL_MAX) -> bytes:
    """The mail, at the time and with the id of all tests."""
    return compose(told, AUTHOR, NAME, NOW, full_max)


KINDS = {
    "failed": composed(report(Action.FAILED, NOT_FOUND, envid=b"QQ+2B314159", ret=b"HDRS")),
    "failed-full": composed(report(Action.FAILED, NOT_FOUND, ret=b"FULL")),
    "failed-utf8": composed(report(Action.FAILED, NOT_FOUND, UTF8, head=HEADER.replace(b"order", "größe".encode()) + b"\r\n")),
    "delayed": composed(report(Action.DELAYED, BUSY, until=RECEIVED + 432_000)),
    "relayed": composed(report(Action.RELAYED, PASSED)),
    "digest": compose_digest(
        b"shop@example.com",
        [
            Failure(NOW - 60, "01hzy3qf0g801", "<43@app.example.com>", ("x@example.net",), 1, "550 5.1.1 no such user"),
            Failure(NOW - 30, "01hzy3qf0g802", "", ("y@example.net", "ü@example.net"), 12, "550 5.1.1 no"),
        ],
        99_978,
        AUTHOR,
        NAME,
        NOW,
    ),
}  # fmt: skip

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for kind, mail in KINDS.items():
        (GOLDEN / f"{kind}.eml").write_bytes(mail)
