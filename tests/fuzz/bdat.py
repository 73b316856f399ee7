"""Chunks are counted, not read: no byte of a chunk becomes a command, and cut otherwise it is the same mail.

The first octets are the sizes of chunks, up to a 0; the rest is the mail.
"""

from tests.fuzz.talk import Talk

OPENING = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
OPENING_REPLIES = 3
STEP_MAX = 32


def check(data: bytes) -> None:
    """One mail, in the chunks and in a single one."""
    sizes, _, content = data.partition(b"\0")
    content = content[:1_500]
    chunks, at = [], 0
    for size in sizes[:30]:
        chunks.append(content[at : at + size])
        at += size
    pieces = [b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in chunks]
    last = b"BDAT %d LAST\r\n%b" % (len(content[at:]), content[at:])
    one, many, trickled = Talk(), Talk(), Talk()
    one.feed(OPENING + b"BDAT %d LAST\r\n%b" % (len(content), content) + b"QUIT\r\n")
    said = OPENING + b"".join(pieces) + last + b"QUIT\r\n"
    many.feed(said)
    step = 1 + len(content) % STEP_MAX
    for start in range(0, len(said), step):
        trickled.feed(said[start : start + step])
    assert one.mails == many.mails == trickled.mails
    assert many.out == trickled.out
    for talk, count in ((one, 1), (many, len(chunks) + 1)):
        replies = talk.replies()
        # After 20 errors the server ends the session, as when each of many chunks is refused.
        assert (replies[-1].code == 221 and talk.server.said_quit) or replies[-1].code == 421
        assert len(replies) == OPENING_REPLIES + count + 1 or replies[-1].code == 421
