"""Proofs: that a mailbox may send as somebody else, before more than one mail tries.

Microsoft blocks a mailbox that repeats "send as denied" (5.2.252), for a time it does not
tell. So the first mail of each sender that is not the mailbox itself goes alone; when it
was taken, the sender is known, and all his mail goes at full speed.
"""

from relay.deliver.reach import Reach

KNOWN_MAX = 65_536
"""Pairs of mailbox and sender; beyond that all are proved again, some 10 MiB later."""


class Proofs:
    """What is known, and what is being proved: one sender a mailbox at a time."""

    def __init__(self) -> None:
        self._known: set[tuple[str, bytes]] = set()
        self._under_way: dict[str, bytes] = {}

    def is_needed(self, reach: Reach, sender: bytes) -> bool:
        """Whether nobody knows yet that this login may send as him."""
        if not reach.wants_proofs or not sender:
            return False
        sender = sender.lower()
        own = reach.identity.lower().encode("utf-8", "surrogateescape")
        return sender != own and (reach.mailbox, sender) not in self._known

    def is_under_way(self, reach: Reach) -> bool:
        """Whether somebody is being proved there; others wait."""
        return reach.mailbox in self._under_way

    def begin(self, reach: Reach, sender: bytes) -> None:
        """This mail is the proof."""
        self._under_way[reach.mailbox] = sender.lower()

    def end(self, reach: Reach, *, is_proved: bool) -> None:
        """It has an end: taken, or not."""
        sender = self._under_way.pop(reach.mailbox, None)
        if is_proved and sender is not None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known.add((reach.mailbox, sender))

    def doubt(self, mailbox: str, sender: bytes) -> None:
        """He was refused after all: prove it again."""
        self._known.discard((mailbox, sender.lower()))
