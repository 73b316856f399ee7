"""An agenda: which mail is to be looked at next, and when. Each stands there once."""

import heapq


class Agenda:
    """Bounded by the mails there are."""

    def __init__(self) -> None:
        self._at: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        """What was put for another time since is passed over."""

    def __len__(self) -> int:
        return len(self._at)

    def put(self, id: int, at: float) -> None:
        """Look at it then, and at no other time."""
        if self._at.get(id) != at:
            self._at[id] = at
            heapq.heappush(self._heap, (at, id))

    def drop(self, id: int) -> None:
        """Nothing is due about it any more."""
        self._at.pop(id, None)

    def due(self, now: float) -> int | None:
        """The first one whose time has come, taken out; None: there is none."""
        while self._heap and self._heap[0][0] <= now:
            at, id = heapq.heappop(self._heap)
            if self._at.get(id) == at:
                del self._at[id]
                return id
        return None
