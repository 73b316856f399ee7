"""Any run of changes, restarts and quarantines: the spool holds what a dictionary says it must."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from relay.message.queue_id import slot_of
from relay.spool.change import (
    Abandon,
    Accept,
    Change,
    RecipientState,
    Record,
    Remove,
    Report,
    Status,
    Stream,
)
from relay.spool.check import check_store
from relay.spool.entry import Entry
from relay.spool.store import Store
from tests.spool.sample import envelope, options

bodies = st.builds(lambda seed, times: seed * times, st.binary(min_size=1, max_size=9), st.integers(1, 6000))
states = st.builds(
    RecipientState, st.sampled_from(Status), st.integers(0, 99), st.just(1.5), st.text(max_size=20)
)


class SpoolMachine(RuleBasedStateMachine):
    """Changes gather in `batch` and are applied together, as the committer does."""

    mails = Bundle("mails")
    streams = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store.open(options(self.folder / "spool"))
        self.accepted: dict[int, list[bytes]] = {}
        self.states: dict[int, tuple[RecipientState, ...]] = {}
        self.streamed: dict[int, list[bytes]] = {}
        self.aside: set[int] = set()
        self.batch: list[Change] = []
        self.last = 0

    def new_id(self, slot: int) -> int:
        self.last += 1
        return self.last << 22 | slot << 16

    @rule(target=mails, body=bodies, slot=st.integers(0, 3))
    def accept(self, body: bytes, slot: int) -> int:
        id = self.new_id(slot)
        self.batch.append(Accept(envelope(id, len(body)), body))
        self.accepted[id] = [body]
        return id

    @rule(target=streams, chunks=st.lists(bodies, min_size=1, max_size=4), slot=st.integers(0, 3))
    def stream(self, chunks: list[bytes], slot: int) -> int:
        id = self.new_id(slot)
        self.batch += [Stream(id, index, chunk) for index, chunk in enumerate(chunks, 1)]
        self.streamed[id] = chunks
        return id

    @rule(target=mails, id=consumes(streams), head=bodies)
    def accept_streamed(self, id: int, head: bytes) -> int:
        if id in self.streamed:
            contents = [head, *self.streamed.pop(id)]
            self.accepted[id] = contents
            self.batch.append(Accept(envelope(id, sum(map(len, contents)), len(contents)), head))
        return id

    @rule(id=consumes(streams))
    def abandon(self, id: int) -> None:
        if self.streamed.pop(id, None) is not None:
            self.batch.append(Abandon(id, 1))

    @rule(id=mails, state=states)
    def record(self, id: int, state: RecipientState) -> None:
        if id in self.accepted:
            self.states[id] = (state,)
            self.batch.append(Record(id, (state,)))

    @rule(id=consumes(mails))
    def remove(self, id: int) -> None:
        contents = self.accepted.pop(id, None)
        if contents is not None:
            self.states.pop(id, None)
            self.batch.append(Remove(id, len(contents)))

    @rule(target=mails, id=consumes(mails), body=bodies, state=st.none() | states)
    def report(self, id: int, body: bytes, state: RecipientState | None) -> int:
        new = self.new_id(3)
        settled: Record | Remove | None = None
        if id in self.accepted and state is not None:
            self.states[id] = (state,)
            settled = Record(id, (state,))
        elif id in self.accepted:
            settled = Remove(id, len(self.accepted.pop(id)))
            self.states.pop(id, None)
        self.batch.append(Report(settled, Accept(envelope(new, len(body)), body)))
        self.accepted[new] = [body]
        return new

    @rule(id=consumes(mails))
    def quarantine(self, id: int) -> None:
        self.commit()
        if self.accepted.pop(id, None) is not None:
            self.states.pop(id, None)
            self.store.quarantine(id, "a test")
            self.aside.add(id)

    @rule(slots=st.sets(st.integers(0, 3)))
    def abandon_partial(self, slots: set[int]) -> None:
        self.commit()
        gone = [id for id in self.streamed if slot_of(id) in slots]
        assert self.store.abandon_partial(slots) == len(gone)
        for id in gone:
            del self.streamed[id]

    @rule()
    def commit(self) -> None:
        self.store.apply(self.batch)
        self.batch = []

    @rule()
    def restart(self) -> None:
        self.commit()
        self.store.close()
        self.store = Store.open(options(self.folder / "spool"))

    @invariant()
    def the_spool_holds_what_it_must(self) -> None:
        if self.batch:
            return
        entries = [entry for entry in self.store.scan() if isinstance(entry, Entry)]
        assert [entry.queued.id for entry in entries] == sorted(self.accepted)
        assert {e.queued.id: e.state for e in entries if e.state is not None} == self.states
        assert list(self.store.partial()) == sorted(self.streamed)
        assert {id for id, _ in self.store.aside()} == self.aside
        for id, contents in self.accepted.items():
            assert [self.store.content(id, index) for index in range(len(contents))] == contents

    def teardown(self) -> None:
        self.commit()
        assert check_store(self.store).problems == []
        self.store.close()
        shutil.rmtree(self.folder)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
