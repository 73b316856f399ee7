"""Orders at work: every mail of a selection, in slices, while mail flows.

The spool is walked in order of id, up to the mails that had come when the order was given;
between two slices the loop has its turn. A mail that stands still is taken out of the queue,
changed on the disk, and entered anew as a start would find it. One that is under way keeps
the order with it (`relay.deliver.awaited`). When `carry_out` returns, everything it counts
is on the disk.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec import Struct

from relay.clock import Clock
from relay.deliver.awaited import Given
from relay.deliver.order import Order, Rebind, amended, carry_out, concerned, word
from relay.deliver.register import Register
from relay.deliver.settlement import Committer, Settlement
from relay.deliver.work import Bench
from relay.errors import RecordDamaged, SpoolError
from relay.message.from_field import author_address
from relay.message.queue_id import first_id_after, format_id
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.route.table import RouteTable
from relay.spool.change import Amend, Change, RecipientState, Record, Remove
from relay.spool.entry import Damaged, Mail
from relay.spool.selection import Picker, Selection
from relay.spool.spool import Spool
from relay.trace import event as trace

SLICE = 200
"""Mails looked at between two turns of the loop: some 10 ms when all of them are meant."""
OUTSTANDING_MAX = 1_024
"""Changes on their way to the disk: two commits' worth, so that the disk never waits for us, nor memory for it."""


class Count(Struct):
    """What became of an order so far, in mails but for `recipients`."""

    looked_at: int = 0
    selected: int = 0
    changed: int = 0
    recipients: int = 0
    """That the order was carried out for."""
    unfit: int = 0
    """That the other route would not take: its rules speak against them. They stay on theirs."""
    unchanged: int = 0
    """Selected, and as the order wants them already."""
    under_way: int = 0
    """Tried just then: of these the order holds when the outcome is known."""
    failed: int = 0
    """The disk did not take the change; they are as they were."""
    damaged: int = 0
    trouble: str = ""
    """What the disk said last."""
    cut_short: str = ""
    """Why not all mails were looked at; empty: they were."""


class Actions:
    """Of one process. One order at a time: the next one waits for its turn."""

    def __init__(
        self,
        store: Spool,
        queue: Queue,
        bench: Bench,
        settlement: Settlement,
        register: Register,
        routes: RouteTable,
        committer: Committer,
        record: trace.Record,
        clock: Clock,
        reopened: Callable[[Lane], None],
    ) -> None:
        self.is_draining = False
        self._store = store
        self._queue = queue
        self._bench = bench
        self._awaited = settlement.awaited
        self._settlement = settlement
        self._awaited.returned = self._returned
        self._register = register
        self._routes = routes
        self._committer = committer
        self._record = record
        self._clock = clock
        self._reopened = reopened
        self._turn = asyncio.Lock()
        self._outstanding = 0
        self._fewer: asyncio.Future[None] | None = None
        self._fewer_than = 0
        self._touched: dict[Lane, None] = {}

    @property
    def is_busy(self) -> bool:
        """Something is on its way to the disk."""
        return self._outstanding > 0

    async def carry_out(
        self,
        order: Order,
        selection: Selection,
        told: Callable[[Count], None] = lambda _: None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Count:
        """Returns when all is on the disk; `told` after each slice. Stops where it is when nobody wants it any more."""
        async with self._turn:
            count = Count()
            picker = Picker(selection, self._clock.now())
            for page in self._pages(selection):
                if not is_wanted() or self.is_draining:
                    count.cut_short = (
                        "the relay ends or reloads" if self.is_draining else "the client has gone"
                    )
                    break
                for mail in page:
                    self._look(mail, order, picker, count)
                self._wake()
                told(count)
                await self._until_fewer_than(OUTSTANDING_MAX)
                await asyncio.sleep(0)
            await self._until_fewer_than(1)
            self._wake()
            return count

    def _pages(self, selection: Selection) -> Iterator[Sequence[Mail | Damaged]]:
        if selection.ids:
            numbers = selection.numbers()
            for start in range(0, len(numbers), SLICE):
                found = [self._store.mails(id - 1, 1) for id in numbers[start : start + SLICE]]
                ids = set(numbers[start : start + SLICE])
                yield [mail for mails in found for mail in mails if mail.id in ids]
            return
        after, end = 0, first_id_after(self._clock.now())
        while after < end:
            page = self._store.mails(after, SLICE)
            if not page:
                return
            yield [mail for mail in page if mail.id < end]
            after = page[-1].id

    # One mail.

    def _look(self, mail: Mail | Damaged, order: Order, picker: Picker, count: Count) -> None:
        count.looked_at += 1
        if isinstance(mail, Damaged):
            # A start moves it aside; nobody knows whether it was meant.
            count.damaged += 1
            return
        indices = picker.pick(mail.envelope, mail.states)
        if not indices:
            return
        if self._awaited.is_settling(mail.id):
            self._outstanding += 1
            self._awaited.when_settled(mail.id, partial(self._look_again, mail.id, order, picker, count))
            count.looked_at -= 1
            return
        count.selected += 1
        if isinstance(order, Rebind) and not self._fits(order.route, mail, indices):
            count.unfit += 1
            return
        after, recipients = _changed(order, mail, indices)
        if after is None:
            count.unchanged += 1
        elif self._queue.is_under_way(mail.id):
            count.under_way += 1
            self._awaited.give(mail.id, order, recipients, _names(mail, recipients))
            self._submit(_kept(mail, after), partial(self._given, mail.id, count))
        else:
            self._queue.withdraw(mail.id)
            self._bench.forget(mail.id)
            done = partial(self._changed, order, mail, after, recipients, count)
            self._submit(_change(mail, after), done)

    def _fits(self, route: str, mail: Mail, indices: Sequence[int]) -> bool:
        """Whether the route's rules let it have these recipients: its next hop would refuse what breaks them."""
        if self._routes.get(route) is None:
            return True
        addresses = [mail.envelope.recipients[index].address for index in indices]
        author = partial(self._author, mail.id)
        return self._routes.rules(route).broken(mail.envelope, addresses, author) is None

    def _author(self, id: int) -> bytes | None:
        try:
            return author_address(self._store.content(id, 0))
        except RecordDamaged:
            return None

    def _look_again(self, id: int, order: Order, picker: Picker, count: Count) -> None:
        """Its outcome is on the disk: what is left of it is judged anew."""
        self._less()
        for mail in self._store.mails(id - 1, 1):
            if mail.id == id:
                self._look(mail, order, picker, count)

    def _submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        self._outstanding += 1
        self._committer.submit(change, done)

    def _changed(
        self,
        order: Order,
        mail: Mail,
        after: Mail,
        indices: list[int],
        count: Count,
        error: SpoolError | None,
    ) -> None:
        self._less()
        if error is not None:
            count.failed += 1
            count.trouble = str(error)
            self._enter(mail)
            return
        count.changed += 1
        count.recipients += len(indices)
        if after.envelope.campaign:
            self._settlement.moved(after.envelope, mail.states, after.states)
        if any(state.status.is_left for state in after.states):
            self._enter(after)
        else:
            self._queue.forget(mail.id)
        self._tell(mail.id, order, _names(mail, indices), 0)

    def _given(self, id: int, count: Count, error: SpoolError | None) -> None:
        self._less()
        if error is not None:
            # It still holds when the mail is settled; only a crash before that would forget it.
            count.failed += 1
            count.trouble = str(error)
        self._awaited.written(id)

    def _returned(self, id: int, given: list[Given]) -> None:
        """A mail that was under way is back."""
        found = [mail for mail in self._store.mails(id - 1, 1) if mail.id == id]
        if found and isinstance(mail := found[0], Mail):
            self._count(mail, given)
            self._enter(mail)
            self._wake()
        else:
            # It has left the spool, or cannot be read: then a start moves it aside.
            self._queue.forget(id)
        for each in given:
            self._tell(id, each.order, each.names, each.delivered)

    def _count(self, mail: Mail, given: Sequence[Given]) -> None:
        """What was ordered and met no outcome is told of now."""
        late = {index for each in given if not each.is_entered for index in each.indices}
        if late and mail.envelope.campaign:
            before = [RecipientState() if i in late else state for i, state in enumerate(mail.states)]
            self._settlement.moved(mail.envelope, before, mail.states)

    def _enter(self, mail: Mail) -> None:
        for job in self._register.enter_again(mail):
            if job.seat is not None:
                self._touched[job.lane] = None

    def _tell(self, id: int, order: Order, names: tuple[str, ...], delivered: int) -> None:
        self._record(trace.Steered(format_id(id), word(order), names, order.by, order.reason, delivered))

    # Pace.

    def _less(self) -> None:
        self._outstanding -= 1
        if self._fewer is not None and self._outstanding < self._fewer_than and not self._fewer.done():
            self._fewer.set_result(None)

    async def _until_fewer_than(self, number: int) -> None:
        while self._outstanding >= number:
            self._fewer, self._fewer_than = asyncio.get_running_loop().create_future(), number
            await self._fewer
            self._fewer = None

    def _wake(self) -> None:
        """Lanes that have mail they had not."""
        touched, self._touched = self._touched, {}
        for lane in touched:
            self._reopened(lane)
        for lane in self._queue.lanes:
            if lane.sidings and not len(lane) and lane.unpark():
                # The one that was to let the next ones of its siding ask is gone.
                self._reopened(lane)


def _names(mail: Mail, indices: Sequence[int]) -> tuple[str, ...]:
    addresses = [mail.envelope.recipients[index].address for index in indices]
    return tuple([address.decode("utf-8", "backslashreplace") for address in addresses])


def _changed(order: Order, mail: Mail, indices: Sequence[int]) -> tuple[Mail | None, list[int]]:
    """The mail as the order wants it, and for whom it is another one; None: it is so already."""
    concern = concerned(order, mail.envelope, indices)
    states = list(mail.states)
    changed = carry_out(order, states, concern)
    envelope = amended(order, mail.envelope, concern)
    if not changed and envelope is mail.envelope:
        return None, []
    recipients = concern if not changed else [i for i in concern if states[i] != mail.states[i]]
    after = Mail(envelope, tuple(states), mail.has_state or changed > 0)
    return after, concern if envelope is not mail.envelope else recipients


def _change(mail: Mail, after: Mail) -> Change:
    if not any(state.status.is_left for state in after.states):
        return Remove(mail.id, mail.envelope.chunks)
    return _kept(mail, after)


def _kept(mail: Mail, after: Mail) -> Change:
    """The mail stays, whatever is left of it: its content may be read just now."""
    states = after.states if after.has_state else None
    if after.envelope is not mail.envelope:
        return Amend(after.envelope, states)
    return Record(mail.id, after.states)
