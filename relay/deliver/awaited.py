"""What waits for a mail that is under way: orders that were given meanwhile.

    order ──► on the disk, as if the mail stood still
                 the mail's outcome comes ──► the order is entered into it ──► both are committed together
                 the mail is back ──► the queue is told anew what the disk has

So an order holds also when the relay dies before the mail is settled, and never is a mail
delivered and counted as cancelled. While an outcome is on its way to the disk nobody may
write about its mail: what is wanted of it then waits for that (`when_settled`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.deliver.order import Order, carry_out
from relay.deliver.work import Bench, Work
from relay.queue.job import Job
from relay.queue.queue import Queue
from relay.spool.change import Status


@dataclass(slots=True)
class Given:
    """An order for some recipients of a mail."""

    order: Order
    indices: Sequence[int]
    names: tuple[str, ...]
    delivered: int = 0
    """To how many of them the mail was delivered before the order could hold."""
    is_entered: bool = False
    """Into an outcome; else the mail comes back as it was."""


class Awaited:
    """Of one process. Bounded by what may be under way at once."""

    def __init__(self, queue: Queue, bench: Bench) -> None:
        self._queue = queue
        self._bench = bench
        self._given: dict[int, list[Given]] = {}
        self._writing: dict[int, int] = {}
        """Orders on their way to the disk, by mail."""
        self._settling: dict[int, int] = {}
        """Outcomes likewise."""
        self._calls: dict[int, list[Callable[[], None]]] = {}
        self.returned: Callable[[int, list[Given]], None] = _nobody
        """Told of a mail that is back and in nobody's hands: enter it again."""

    # For those who give orders.

    def is_settling(self, id: int) -> bool:
        """Whether nobody may write about the mail just now."""
        return id in self._settling

    def when_settled(self, id: int, go: Callable[[], None]) -> None:
        """Call it when the outcome is on the disk, and the mail back in its place."""
        self._calls.setdefault(id, []).append(go)

    def give(self, id: int, order: Order, indices: Sequence[int], names: tuple[str, ...]) -> None:
        """An order for a mail that is under way; it is on its way to the disk, too."""
        self._queue.stand_down(id)
        self._given.setdefault(id, []).append(Given(order, indices, names))
        self._writing[id] = self._writing.get(id, 0) + 1

    def written(self, id: int) -> None:
        """It is there."""
        _less(self._writing, id)
        self._return(id)

    # For the settlement.

    def settles(self, work: Work) -> None:
        """An outcome is known, and on its way to the disk: what was ordered meanwhile goes with it."""
        id = work.envelope.id
        self._settling[id] = self._settling.get(id, 0) + 1
        for given in self._given.get(id, ()):
            given.delivered = sum(work.states[i].status is Status.DELIVERED for i in given.indices)
            carry_out(given.order, work.states, given.indices)
            given.is_entered = True

    def settled(self, id: int) -> None:
        """It is there, and the mail has gone on."""
        _less(self._settling, id)
        if self._calls and id not in self._settling:
            for go in self._calls.pop(id, ()):
                go()

    def back(self, job: Job) -> bool:
        """A job is under way no more; True: it goes on here."""
        if not self._given or job.id not in self._given:
            return False
        self._queue.part(job)
        self._return(job.id)
        return True

    def _return(self, id: int) -> None:
        if id not in self._given or id in self._writing or self._queue.is_under_way(id):
            return
        given = self._given.pop(id)
        self._queue.withdraw(id)
        self._bench.forget(id)
        self.returned(id, given)


def _less(counts: dict[int, int], id: int) -> None:
    left = counts[id] - 1
    if left:
        counts[id] = left
    else:
        del counts[id]


def _nobody(id: int, given: list[Given]) -> None:
    raise AssertionError("an order without anybody who carries it out")
