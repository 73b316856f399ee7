"""Orders at work: every mail of a selection, in slices, while mail flows.

The spool is walked in order of id, up to the mails that had come when the order was given;
between two slices the loop has its turn. A mail that stands still is taken out of the queue,
changed on the disk together with the others of its slice (`relay.deliver.bundle`), and
entered anew as a start would find it. One that is under way keeps the order with it
(`relay.deliver.awaited`). When `carry_out` returns, everything it counts
is on the disk.
"""

import asyncio
import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec import Struct, structs

from relay.clock import Clock
from relay.deliver import conclusion
from relay.deliver.awaited import Given
from relay.deliver.bundle import Bundle, Changed, change_of, kept
from relay.deliver.order import Order, Rebind, amended, carry_out, concerned, word
from relay.deliver.register import Register
from relay.deliver.settlement import Committer, Settlement, Told
from relay.deliver.work import Bench
from relay.errors import RecordDamaged, SpoolError
from relay.message.envelope import Envelope
from relay.message.from_field import author_address
from relay.message.queue_id import DELIVERER_SLOT, first_id_after, format_id, slot_of
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.route.table import RouteTable
from relay.spool.change import RecipientState, Report
from relay.spool.entry import Damaged, Mail, Page
from relay.spool.selection import Picker, Selection
from relay.spool.spool import Spool
from relay.trace import event as trace

SLICE = 500
"""Mails looked at between two turns of the loop: some 5 ms when all of them are meant. Of mails to very many it is
fewer (`relay.spool.codec.PAGE_BYTES`)."""
OUTSTANDING_MAX = 4_096
"""Mails on their way to the disk: what comes while one commit runs goes into the next, of some 20 ms and the sync.
So the disk never waits for us, nor memory for it."""
FREEZE_EVERY = 20_000
"""Mails entered anew. They stay: a collection that walks over 100,000 of them takes 40 ms, over a million 0.4 s, and
it comes again with each quarter more. The process does likewise with what a start finds (`relay.process.life`)."""


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
    told: int = 0
    """Of which a report tells the sender."""
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
        self._awaited.ended = self._ended_under_way
        self._reports = settlement.reports
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
        self._ended: deque[Callable[[], None]] = deque()
        """Bundles that the disk has, or has not taken."""
        self._began_at = 0.0

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
            order = structs.replace(order, at=self._clock.now())
            self._began_at = self._clock.now()
            picker = Picker(selection, self._clock.now())
            frozen = 0
            for page in self._pages(selection, picker.sieve):
                if not is_wanted() or self.is_draining:
                    count.cut_short = (
                        "the relay ends or reloads" if self.is_draining else "the client has gone"
                    )
                    break
                count.looked_at += page.looked_at - len(page.mails)
                bundle = Bundle()
                for mail in page.mails:
                    self._look(mail, order, picker, count, bundle)
                self._send(bundle, order, count)
                self._wake()
                told(count)
                await self._until_fewer_than(OUTSTANDING_MAX)
                await asyncio.sleep(0)
                if count.changed >= frozen + FREEZE_EVERY:
                    frozen = count.changed
                    gc.freeze()
            await self._until_fewer_than(1)
            self._wake()
            return count

    def _pages(self, selection: Selection, sieve: bytes) -> Iterator[Page]:
        if selection.ids:
            numbers = selection.numbers()
            for start in range(0, len(numbers), SLICE):
                ids = numbers[start : start + SLICE]
                found = [mail for id in ids for mail in self._store.mails(id - 1, 1) if mail.id == id]
                yield Page(found, len(found), ids[-1])
            return
        after, end = 0, first_id_after(self._clock.now())
        while after < end:
            page = self._store.page(after, SLICE, sieve)
            if not page.looked_at:
                return
            after = page.last
            if after >= end:
                # It came after the order, with all behind it.
                mails = [mail for mail in page.mails if mail.id < end]
                page = Page(mails, len(mails), after)
            yield page

    # One mail.

    def _look(self, mail: Mail | Damaged, order: Order, picker: Picker, count: Count, bundle: Bundle) -> None:
        count.looked_at += 1
        if isinstance(mail, Damaged):
            # A start moves it aside; nobody knows whether it was meant.
            count.damaged += 1
            return
        indices = picker.pick(mail.envelope, mail.states)
        if not indices or self._is_of_ours(mail, order):
            return
        id = mail.envelope.id
        if self._awaited.is_settling(id):
            self._outstanding += 1
            self._awaited.when_settled(id, partial(self._look_again, id, order, picker, count))
            count.looked_at -= 1
            return
        count.selected += 1
        if isinstance(order, Rebind) and not self._fits(order.route, mail, indices):
            count.unfit += 1
            return
        after, recipients = _changed(order, mail, indices)
        if after is None:
            count.unchanged += 1
        elif self._queue.withdraw_standing(id):
            self._bench.forget(id)
            is_left = any([state.status.is_left for state in after.states])
            changed = Changed(mail, after, recipients, is_left)
            if conclusion.is_told(order):
                changed.told = self._told(order, mail, recipients)
            if conclusion.has_rows(changed.told):
                self._send_alone(changed, order, count)
            else:
                bundle.mails.append(changed)
        else:
            count.under_way += 1
            self._awaited.give(id, order, recipients, _names(mail, recipients))
            self._outstanding += 1
            self._committer.submit(kept(mail, after), partial(self._given, id, count))

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
        bundle = Bundle()
        for mail in self._store.mails(id - 1, 1):
            if mail.id == id:
                self._look(mail, order, picker, count, bundle)
        self._send(bundle, order, count)

    def _send(self, bundle: Bundle, order: Order, count: Count) -> None:
        if bundle.mails:
            self._outstanding += len(bundle)
            self._committer.submit(bundle.change(), partial(self._sent, bundle, order, count))

    def _send_alone(self, changed: Changed, order: Order, count: Count) -> None:
        """With the report that tells of it, in one change."""
        self._outstanding += 1
        change = conclusion.with_report(change_of(changed), changed.told)
        self._committer.submit(change, partial(self._sent, Bundle([changed]), order, count))

    def _sent(self, bundle: Bundle, order: Order, count: Count, error: SpoolError | None) -> None:
        """One commit has ended several bundles: each has its turn of the loop, or they would hold it for 20 ms."""
        self._ended.append(partial(self._take_up, bundle, order, count, error))
        if len(self._ended) == 1:
            asyncio.get_running_loop().call_soon(self._next_ended)

    def _next_ended(self) -> None:
        ended = self._ended.popleft()
        if self._ended:
            asyncio.get_running_loop().call_soon(self._next_ended)
        ended()

    def _take_up(self, bundle: Bundle, order: Order, count: Count, error: SpoolError | None) -> None:
        self._less(len(bundle))
        if error is not None:
            count.failed += len(bundle)
            count.trouble = str(error)
            for each in bundle.mails:
                self._enter(each.before)
            return
        count.changed += len(bundle)
        for each in bundle.mails:
            id = each.before.envelope.id
            count.recipients += len(each.recipients)
            if each.before.envelope.campaign:
                self._settlement.moved(each.before.envelope, each.before.states, each.after.states)
            if each.is_left:
                self._enter(each.after)
            else:
                self._queue.forget(id)
            self._tell(id, order, _names(each.before, each.recipients), 0)
            if conclusion.is_told(order):
                count.told += each.told is not None and each.told.mail is not None
                self._conclude(order, each)

    # Ends.

    def _is_of_ours(self, mail: Mail, order: Order) -> bool:
        """It is a report that this very order gave rise to, within the millisecond in which it was given."""
        return (
            conclusion.is_told(order)
            and slot_of(mail.id) == DELIVERER_SLOT
            and mail.envelope.received_at >= self._began_at
        )

    def _told(self, order: Order, mail: Mail, indices: Sequence[int]) -> Told | None:
        head = partial(self._store.content, mail.id, 0)
        return conclusion.tell(self._reports, order, mail.envelope, head, indices, self._clock.now())

    def _conclude(self, order: Order, changed: Changed) -> None:
        mail, now = changed.before, self._clock.now()
        attempts = [state.attempts for state in mail.states]
        for event in conclusion.events(order, mail.envelope, attempts, changed.recipients, changed.told, now):
            self._record(event)
        conclusion.born(self._reports, changed.told)

    def _ended_under_way(
        self, given: Given, envelope: Envelope, head: Callable[[], bytes], indices: list[int]
    ) -> None:
        """For recipients of a mail that was under way; the report is on its way before that end is."""
        now = self._clock.now()
        told = conclusion.tell(self._reports, given.order, envelope, head, indices, now)
        if told is not None and conclusion.has_rows(told):
            done = partial(conclusion.noticed, self._reports, told, envelope, self._record)
            self._committer.submit(Report(None, told.mail, told.rows), done)
        attempts = [0] * len(envelope.recipients)
        for event in conclusion.events(given.order, envelope, attempts, indices, told, now):
            self._record(event)

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
            for each in given:
                if not each.is_entered:
                    # It was not tried after all: what the order made of it is on the disk since it was given.
                    ended = [i for i in each.indices if not mail.states[i].status.is_left]
                    self._ended_under_way(each, mail.envelope, partial(self._store.content, id, 0), ended)
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

    def _less(self, number: int = 1) -> None:
        self._outstanding -= number
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
    recipients = concern if not changed else [i for i in concern if states[i] is not mail.states[i]]
    after = Mail(envelope, tuple(states), mail.has_state or changed > 0)
    return after, concern if envelope is not mail.envelope else recipients
