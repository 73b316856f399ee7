"""The demo's campaign: mails that differ, sent in parallel, and a book of what arrived."""

import asyncio
import hashlib
import time
from collections.abc import Iterator

SESSIONS = 20
CONTENT_BYTES = 10_240
REPLY_WITHIN_S = 60.0
MARK = b"X-Demo-Number: "
_LINE = b"All work and no play makes a relay a dull one; it has seen this sentence before.\r\n"


class Campaign:
    """What was sent and what became of it."""

    def __init__(self, mails: int) -> None:
        self.mails = mails
        self.accept_s: list[float] = []
        """From the final dot to its 250, of each accepted mail."""
        self.refusals: list[str] = []
        self.sending_s = 1e-9
        self.whole_s = 1e-9
        self.twice = 0
        self.altered = 0
        self._arrived: set[int] = set()
        self._began_at = 0.0

    def begin(self) -> None:
        """The first mail is about to leave."""
        self._began_at = time.monotonic()

    def sent(self) -> None:
        """The last one has been answered."""
        self.sending_s = time.monotonic() - self._began_at

    def arrived(self, content: bytes) -> None:
        """The smarthost has a mail."""
        self.whole_s = time.monotonic() - self._began_at
        number = _number(content)
        if number is None or not _is_unaltered(content, number):
            self.altered += 1
        elif number in self._arrived:
            self.twice += 1
        else:
            self._arrived.add(number)

    @property
    def delivered(self) -> int:
        """Mails that arrived unaltered."""
        return len(self._arrived)

    @property
    def missing(self) -> int:
        """Mails that did not."""
        return self.mails - self.delivered

    @property
    def is_whole(self) -> bool:
        """Every mail arrived once and unaltered."""
        accepted = len(self.accept_s)
        return not (self.missing or self.twice or self.altered) and accepted == self.mails

    def percentile(self, percent: int) -> float:
        """Milliseconds that so many of the answers stayed within."""
        times = sorted(self.accept_s) or [0.0]
        return times[min(len(times) * percent // 100, len(times) - 1)] * 1000


def mail(number: int) -> bytes:
    """The content of that mail; the same each time it is asked for."""
    head = (
        f"From: Demo <demo@example.com>\r\nTo: Somebody <somebody@example.net>\r\nSubject: Mail {number}\r\n"
        f"Message-ID: <{number}@demo.example.com>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
    ).encode()
    seal = hashlib.sha256(b"%d" % number).hexdigest().encode()
    filling = _LINE * ((CONTENT_BYTES - len(head)) // len(_LINE))
    # A line that begins with a dot goes through stuffing at every hop.
    return head + MARK + b"%d\r\n\r\n.%b\r\n" % (number, seal) + filling


async def send(campaign: Campaign, host: str, port: int) -> None:
    """Send all of it over SESSIONS connections."""
    numbers = iter(range(campaign.mails))
    campaign.begin()
    async with asyncio.TaskGroup() as sessions:
        for _ in range(min(SESSIONS, campaign.mails)):
            sessions.create_task(_session(campaign, numbers, host, port))
    campaign.sent()


async def _session(campaign: Campaign, numbers: Iterator[int], host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    await _reply(reader)
    writer.write(b"EHLO demo.example.com\r\n")
    await _reply(reader)
    for number in numbers:
        writer.write(b"MAIL FROM:<demo@example.com>\r\nRCPT TO:<somebody@example.net>\r\nDATA\r\n")
        replies = [await _reply(reader) for _ in range(3)]
        if not replies[-1].startswith("354"):
            campaign.refusals.append(next(reply for reply in replies if reply[:1] in "45"))
            continue
        writer.write(mail(number).replace(b"\r\n.", b"\r\n..") + b".\r\n")
        dotted_at = time.monotonic()
        reply = await _reply(reader)
        if reply.startswith("250"):
            campaign.accept_s.append(time.monotonic() - dotted_at)
        else:
            campaign.refusals.append(reply)
    writer.write(b"QUIT\r\n")
    await _reply(reader)
    writer.close()


async def _reply(reader: asyncio.StreamReader) -> str:
    """A reply's last line; ConnectionError when there is none."""
    async with asyncio.timeout(REPLY_WITHIN_S):
        while True:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the relay hung up")
            if line[3:4] != b"-":
                return line.decode("ascii", "replace").rstrip()


def _number(content: bytes) -> int | None:
    start = content.find(MARK)
    end = content.find(b"\r\n", start)
    digits = content[start + len(MARK) : end]
    return int(digits) if start >= 0 and digits.isdigit() else None


def _is_unaltered(content: bytes, number: int) -> bool:
    """Nothing but our Received field on top of what was sent."""
    sent = mail(number)
    added = content[: len(content) - len(sent)]
    return content.endswith(sent) and added.startswith(b"Received: ") and added.endswith(b"\r\n")
