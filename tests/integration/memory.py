"""How much memory of their own processes take at most while something happens."""

import threading
from collections.abc import Mapping
from types import TracebackType

from tests.integration.serving import anonymous_bytes

PERIOD_S = 0.01
MIB = 1024 * 1024


class Growth:
    """Peaks above where each process stood when the block began; by role."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = dict(processes)
        self._before = {role: anonymous_bytes(pid) for role, pid in self._processes.items()}
        self._peak = dict(self._before)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Growth":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    @property
    def mib(self) -> dict[str, float]:
        """Role → MiB."""
        return {role: (self._peak[role] - before) / MIB for role, before in self._before.items()}

    def _watch(self) -> None:
        while not self._over.wait(PERIOD_S):
            self._look()

    def _look(self) -> None:
        for role, pid in self._processes.items():
            self._peak[role] = max(self._peak[role], anonymous_bytes(pid))
