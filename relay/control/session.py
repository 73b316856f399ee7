"""A session of the control socket: bytes in, requests out. No I/O.

One request a line. A line that is too long, or more requests ahead of their answers than
anybody needs, ends the session: what comes behind cannot be told apart.
"""

from relay.control.request import Problem, Request, parse

REQUEST_MAX_BYTES = 1_048_576
"""Some 60,000 ids in one request; a selection by what mails have in common is shorter."""
AHEAD_MAX = 16
"""Requests that may be sent before the answers to earlier ones."""


class Session:
    """Of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.is_over = False
        """Nothing more is read."""

    def feed(self, data: bytes) -> list[Request | Problem]:
        """Requests that `data` completes, in order, and what is wrong with those that are none."""
        if self.is_over:
            return []
        searched = len(self._buffer)
        self._buffer += data
        found: list[Request | Problem] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, searched))) != -1:
            line = bytes(self._buffer[start:end]).strip()
            start = end + 1
            if len(line) > REQUEST_MAX_BYTES:
                return [*found, self._end(f"a request has more than {REQUEST_MAX_BYTES} bytes")]
            if line:
                if len(found) == AHEAD_MAX:
                    return [*found, self._end(f"more than {AHEAD_MAX} requests came at once")]
                found.append(parse(line))
        del self._buffer[:start]
        if len(self._buffer) > REQUEST_MAX_BYTES:
            found.append(self._end(f"a request has more than {REQUEST_MAX_BYTES} bytes"))
        return found

    def _end(self, error: str) -> Problem:
        self.is_over = True
        self._buffer.clear()
        return Problem(error, "select by what the mails have in common, or in several requests")
