"""The relay's log, read while it is written: what it says of each mail, and what has stopped."""

from collections.abc import Container
from pathlib import Path

import msgspec


class Line(msgspec.Struct):
    """What the demo reads of an event."""

    event: str
    id: str = ""
    message_id: str = ""
    seconds: float = 0.0
    until: float = 0.0
    scope: str = ""
    key: str = ""
    reason: str = ""
    limit: str = ""
    listeners: tuple[str, ...] = ()
    detail: str = ""


class Log:
    """`read` takes up what was written since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = ""
        self.metrics = ""
        """Where the relay takes mail, and where its metrics are: once both are known, it is ready."""
        self.accepted: dict[str, Line] = {}
        """By the relay's id."""
        self.delivered: list[Line] = []
        self.stopped: list[Line] = []
        self.throttled: list[Line] = []
        self.troubles: list[Line] = []
        """Deferred, held or uncertain: no mail of the demo should be."""
        self._offset = 0

    def read(self) -> "Log":
        """Itself, up to date."""
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            # A line that is being written has no end yet.
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._offset += len(whole) + 1
            self.take(whole.splitlines())
        return self

    def take(self, lines: list[bytes]) -> None:
        """Further lines."""
        for text in lines:
            self._take(msgspec.json.decode(text, type=Line))

    def waits_s(self, message_ids: Container[str]) -> list[float]:
        """Seconds from the acceptance to the next hop's reply, of these mails that have left, in order."""
        # Not while lines come: each process writes its own, so an acceptance may stand after its delivery.
        ids = {id for id, line in self.accepted.items() if line.message_id in message_ids}
        return sorted(line.seconds for line in self.delivered if line.id in ids)

    def _take(self, line: Line) -> None:
        match line.event:
            case "accepted":
                self.accepted[line.id] = line
            case "delivered":
                self.delivered.append(line)
            case "breaker_opened":
                self.stopped.append(line)
            case "throttled":
                self.throttled.append(line)
            case "deferred" | "held" | "uncertain":
                self.troubles.append(line)
            case "ready":
                self.listener = line.listeners[0]
            case "process_started" if line.detail:
                self.metrics = line.detail
