"""Faults on demand: which of them strikes at a step of a session.

Chance and time are arguments. A fault that was set is counted down and ends by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.m365.catalogue import ROWS
from relay.m365.row import Row
from relay.simulator.options import FaultTable


@dataclass(slots=True)
class _Armed:
    table: FaultTable
    reply: bytes
    since: float
    left: int


@dataclass(frozen=True, slots=True)
class Strike:
    """What is to happen instead."""

    action: str
    """`reply`, `stall` or `reset`."""
    reply: bytes


class Faults:
    """All that are set."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance` is uniform in [0, 1)."""
        self._chance = chance
        self._armed: list[_Armed] = []

    def __len__(self) -> int:
        return len(self._armed)

    def set(self, table: FaultTable, now: float) -> None:
        """From now on; ValueError when its row is not one of the catalogue."""
        reply = reply_of(find(table.row)) if table.row else table.reply.encode()
        self._armed.append(_Armed(table, reply, now + table.after, table.times))

    def clear(self) -> None:
        """No more faults."""
        self._armed.clear()

    def strike(self, step: str, mailbox: str, now: float) -> Strike | None:
        """The first fault that hits this step, if one does."""
        if not self._armed:
            return None
        for fault in list(self._armed):
            table = fault.table
            if table.lasts and now >= fault.since + table.lasts:
                self._armed.remove(fault)
            elif self._hits(fault, step, mailbox, now):
                if table.times:
                    fault.left -= 1
                    if not fault.left:
                        self._armed.remove(fault)
                return Strike(table.action, fault.reply)
        return None

    def _hits(self, fault: _Armed, step: str, mailbox: str, now: float) -> bool:
        table = fault.table
        return (
            table.step in ("any", step)
            and now >= fault.since
            and (not table.mailbox or table.mailbox.lower() == mailbox.lower())
            and self._chance() * 100 < table.percent
        )


def find(words: str, rows: Sequence[Row] = ROWS) -> Row:
    """The first row of the catalogue whose code, enhanced code, text or meaning holds all the words."""
    wanted = words.lower().split()
    for row in rows:
        text = " ".join((_line(row), *row.texts, row.meaning)).lower()
        if all(word in text for word in wanted):
            return row
    raise ValueError(f'no row of the reply catalogue holds "{words}"; docs/microsoft365.md lists them')


def reply_of(row: Row) -> bytes:
    """A reply that this row describes."""
    return _line(row).encode()


def _line(row: Row) -> str:
    code = min(row.codes) if row.codes else int(f"{row.enhanced[0][0]}50")
    enhanced = row.enhanced[0].partition("-")[0] if row.enhanced else f"{code // 100}.0.0"
    text = row.texts[0] if row.texts else row.meaning
    # Some texts of the catalogue begin with the enhanced code themselves.
    return f"{code} {text}" if text.startswith(enhanced) else f"{code} {enhanced} {text}"
