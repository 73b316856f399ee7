"""A flow: whose mail it is, what it belongs to, and which route it was given.

Mails with the same answers share one object, so that a million of them know it for the
price of a reference. `cost` is what a mail counts when turns are shared out.
"""

from dataclasses import dataclass

COST_BYTES = 1_048_576
"""A mail of so many bytes counts as two, of twice as many as three: it keeps a connection for as long. At 8 Mbit/s a
MiB takes a second, and a small mail with Microsoft's answer to it about as long."""
LARGE_BYTES = 8_388_608
"""Larger mail keeps a connection for many seconds, where others take one: it has a line of its own, and
never all connections."""
FLOWS_MAX = 100_000
"""Flows that are remembered, some 30 MiB: a campaign of its own for each mail must not fill the memory. Beyond,
they are forgotten and made anew; mail that has one keeps it."""


def cost(size: int) -> int:
    """What a mail of so many bytes counts."""
    return 1 + size // COST_BYTES


@dataclass(frozen=True, slots=True)
class Flow:
    """Of some mails."""

    home: str
    """The route their recipients were given when the mail came, whichever it takes now."""
    client: str = ""
    campaign: str = ""
    is_large: bool = False


class Flows:
    """Those that are known."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, bool], Flow] = {}

    def flow(self, home: str, client: str, campaign: str, size: int) -> Flow:
        """That of a mail."""
        key = (home, client, campaign, size > LARGE_BYTES)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= FLOWS_MAX:
                self._known.clear()
            found = self._known[key] = Flow(*key)
        return found
