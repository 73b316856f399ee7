"""However the bytes of a client are cut, the server says the same and takes the same mails, which end once.

And nothing is read that came together with STARTTLS. The first octet says how it is cut.
"""

from dataclasses import replace

from relay._fastpath import stuff_dots
from tests.fuzz.talk import OPTIONS, Talk

WITH_TLS = replace(OPTIONS, starttls=True)


def check(data: bytes) -> None:
    """One session."""
    if len(data) < 2:
        return
    step, talk = data[0] % 64, data[1:]
    if not step:
        # What follows STARTTLS in one piece is refused, and in pieces is TLS: there is nothing to compare.
        Talk(WITH_TLS).feed(talk)
        return
    whole, cut = Talk(), Talk()
    whole.feed(talk)
    for start in range(0, len(talk), step):
        cut.feed(talk[start : start + step])
    assert cut.out == whole.out and cut.mails == whole.mails and cut.events == whole.events
    whole.replies()
    for mail in whole.mails:
        _check_mail(mail)


def _check_mail(mail: bytes) -> None:
    """It is within the limits, and no next hop finds an end in it."""
    assert len(mail) <= OPTIONS.message_bytes and b"\0" not in mail
    assert mail.count(b"\n") == mail.count(b"\r\n") == mail.count(b"\r")
    assert all(len(line) <= OPTIONS.content_line_bytes for line in mail.splitlines())
    wire = bytearray()
    stuff_dots(mail, wire, True)
    assert b"." not in wire.split(b"\r\n")
