"""What happened: every mail that was taken, every limit that was violated, every refusal.

Tests of a relay rely on it: it counts what the tenant judged, and nothing is counted
twice. The same mail for the same recipient taken again is a duplicate.
"""

from collections import Counter

from msgspec import Struct


class Kept(Struct, frozen=True, gc=False):
    """One mail that was taken. Addresses are text; bytes that are not UTF-8 show as escapes.

    Nothing in it can lead back to it, so the collector need not look at 200,000 of them.
    """

    id: int
    service: str
    mailbox: str
    """Who had logged in; empty on the MX."""
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    size: int
    """Bytes of content, dot stuffing removed."""
    time: float
    """On the simulator's clock."""
    session: str


class Ledger:
    """One a simulator."""

    def __init__(self, keep: int) -> None:
        """`keep`: so many mails are remembered one by one, and looked at for duplicates."""
        self._keep = keep
        self._seen: set[tuple[str, str]] = set()
        self.mails: list[Kept] = []
        self._by_message_id: dict[str, list[Kept]] = {}
        self.accepted = 0
        self.recipients = 0
        self.external_recipients = 0
        self.bytes = 0
        self.duplicates = 0
        self.violations: Counter[str] = Counter()
        """By the limit's name in the configuration."""
        self.refusals: Counter[str] = Counter()
        """By reply, without what its brackets hold."""
        self.faults: Counter[str] = Counter()
        """Those that were asked for, by step and what was done."""
        self.tokens: Counter[str] = Counter()
        """Issued and refused ones, by error."""
        self.questions = 0
        """To the message trace that were answered."""
        self.sessions: Counter[str] = Counter()
        """By service."""

    def accept(self, mail: Kept, external: int) -> None:
        """A mail was taken."""
        self.accepted += 1
        self.recipients += len(mail.recipients)
        self.external_recipients += external
        self.bytes += mail.size
        if len(self.mails) < self._keep:
            self.mails.append(mail)
            self._by_message_id.setdefault(mail.message_id, []).append(mail)
            for recipient in mail.recipients:
                self._look_twice(mail.message_id, recipient)

    def find(self, message_id: str | None) -> list[Kept]:
        """The mails that are remembered with that Message-ID; None: all."""
        return self.mails if message_id is None else self._by_message_id.get(message_id, [])

    def refuse(self, reply: bytes) -> None:
        """A 4yz or 5yz was said."""
        self.refusals[reply.partition(b" [")[0].decode("ascii", "backslashreplace")] += 1

    def _look_twice(self, message_id: str, recipient: str) -> None:
        key = (message_id, recipient)
        if message_id and key in self._seen:
            self.duplicates += 1
        self._seen.add(key)
