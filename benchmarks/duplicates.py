"""How many mails come twice and how many never, when connections die behind the final dot.

    python -m benchmarks.duplicates [--mails 10000] [--cut 20] [--seed 1] [--out results/...json]

A deliverer sends to the simulator's MX; of every hundred deliveries `--cut` lose their
connection behind the final dot, half of them before the mail was taken and half after. Once
for each way to deal with that: rather twice (`retry`), rather never (`hold`), and asking the
message trace (`ask`), which shows a mail five minutes after it was taken. Deliverer, simulator
and trace go by one clock that is set forward, so that hours of waiting take seconds; sockets,
HTTPS, tokens and the history are real. Mails that are sent again are cut again by the same chance.
"""

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.facts import facts
from relay.deliver.deliverer import Deliverer
from relay.deliver.options import DelivererOptions
from relay.identity.graph import GraphOptions
from relay.identity.message_trace import MessageTrace
from relay.identity.token import fetch
from relay.identity.token_cache import TokenCache
from relay.m365.preset import Kind
from relay.message.envelope import Envelope, Recipient
from relay.message.queue_id import QueueIdSource
from relay.message.uncertain import Uncertain
from relay.route.oauth import Application, ClientSecret
from relay.route.route import Route, TlsMode
from relay.route.table import RouteTable
from relay.simulator.folder import Folder
from relay.simulator.options import FaultTable, File
from relay.simulator.simulator import Simulator
from relay.spool.change import Accept
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from relay.trace.event import Event
from relay.trace.history.intake import History
from relay.trace.history.namesake import has_namesake
from relay.trace.history.options import HistoryOptions

SENDER = b"orders@contoso.example"
DAYS_MAX = 20
"""Of the clock that is set forward: then something hangs."""
STILL_S = 30.0
"""Real seconds in which nothing moves."""


class Hand:
    """A clock that is set forward by hand."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._began = time.time()

    def now(self) -> float:
        return self._began + self._passed

    def monotonic(self) -> float:
        return 1_000.0 + self._passed

    def forward(self, seconds: float) -> None:
        self._passed += seconds


@dataclass
class Result:
    """What became of the mails of one way."""

    uncertain: str
    mails: int
    cut_before: int = 0
    """Connections cut behind the dot, and the mail was not taken."""
    cut_after: int = 0
    """And it was."""
    taken: int = 0
    """Mails that the next hop has, each counted once."""
    twice: int = 0
    """Times that it was given one that it had."""
    lost: int = 0
    """Neither there nor in the spool."""
    kept: int = 0
    """In the spool, for somebody's word."""
    settled_there: int = 0
    """By the trace: arrived."""
    settled_absent: int = 0
    """By the trace: sent again."""
    questions: int = 0
    hours: float = 0.0
    """On the clock that was set forward, until nothing was left to do."""
    seconds: float = 0.0
    """Of the machine."""


class Course:
    """One way, from the first mail to the last answer."""

    def __init__(self, folder: Path, way: Uncertain, mails: int, cut_percent: float, seed: int) -> None:
        self.result = Result(way.value, mails)
        self._folder = folder
        self._way = way
        self._cut_percent = cut_percent
        self._chance = random.Random(seed).random
        self._clock = Hand()
        self._store = MemoryStore(SpoolOptions(folder))
        self._events: Counter[str] = Counter()
        self._ready = self._held = 0

    async def run(self) -> Result:
        began = time.perf_counter()
        made = Folder(self._folder / "simulator", (), "relay.contoso.example")
        listen = dict.fromkeys(("mx", "authority"), "127.0.0.1:0") | {"submission": "", "high_volume": ""}
        file = File.model_validate(
            {"listen": listen, "keep": self.result.mails * 3, "limits": {"idle": "20m"}}
        )
        simulator = Simulator(made.completed(file), made, self._clock, self._chance)
        await simulator.start()
        self._cut(simulator)
        history = History(HistoryOptions(self._folder / "history.db"), self._clock, lambda event: None)
        told_to = history.start()
        ids = QueueIdSource(0, self._clock)
        self._store.apply([self._mail(ids.next(), number) for number in range(self.result.mails)])
        committer = Committer(
            self._store, asyncio.get_running_loop(), lambda event: None, self._clock, lambda error: None
        )
        deliverer = self._deliverer(simulator, committer, history, told_to)
        await deliverer.start()
        try:
            await self._until_nothing_moves(deliverer)
        finally:
            await deliverer.drain(5.0)
            await committer.close()
            await simulator.close()
            await asyncio.to_thread(history.close)
        self._count(simulator)
        self.result.seconds = round(time.perf_counter() - began, 1)
        return self.result

    def _cut(self, simulator: Simulator) -> None:
        """The second chance is of those that the first one has spared."""
        first = self._cut_percent / 2
        second = 100 * first / (100 - first)
        for step, percent in (("end", first), ("accepted", second)):
            fault = FaultTable.model_validate({"step": step, "action": "reset", "percent": percent})
            simulator.faults.set(fault, simulator.pace.now())

    def _mail(self, id: int, number: int) -> Accept:
        message_id = b"<%d@duplicates.example>" % number
        content = b"From: %s\r\nMessage-ID: %s\r\nSubject: %d\r\n\r\nHello\r\n" % (SENDER, message_id, number)
        to = (Recipient(b"someone.%d@contoso.example" % number, "connector"),)
        return Accept(
            Envelope(id, SENDER, to, self._clock.now(), len(content), 1, "192.0.2.17", message_id=message_id),
            content,
        )

    def _deliverer(
        self, simulator: Simulator, committer: Committer, history: History, told_to: int
    ) -> Deliverer:
        host, _, port = simulator.addresses["mx"].rpartition(":")
        route = Route(
            "connector",
            (host,),
            int(port),
            TlsMode.NONE,
            kind=Kind.CONNECTOR,
            connections=8,
            on_uncertain=self._way,
            retry_first_s=30.0,
            retry_factor=1.0,
        )

        def record(event: Event) -> None:
            history(event)
            self._hear(event)

        tokens = TokenCache(fetch, record, self._clock, lambda: 0.5)
        base = simulator.authority.base
        application = Application(
            simulator.file.application[0].client_id,
            f"{base}/{simulator.file.tenant.id}",
            "https://graph.microsoft.com/.default",
            ClientSecret(simulator.folder.secret),
            str(simulator.folder.ca_file),
        )
        options = GraphOptions(application, base, trace_questions=100)
        return Deliverer(
            DelivererOptions("relay.contoso.example", self._folder / "handover.sock", tick_s=0.02),
            RouteTable((route,)),
            self._store,
            committer,
            record,
            self._clock,
            lambda: 0.5,
            tokens,
            told_to=told_to,
            asks=MessageTrace(options, tokens, self._clock, lambda: 0.5),
            namesakes=partial(has_namesake, self._folder / "history.db"),
        )

    def _hear(self, event: Event) -> None:
        match event:
            case trace.QueueDepth(ready=ready, held=held):
                self._ready, self._held = ready, held
            case trace.Steered(do=do):
                self._events[do] += 1
            case trace.TraceUnavailable(reason=reason, level="error"):
                raise AssertionError(reason)

    async def _until_nothing_moves(self, deliverer: Deliverer) -> None:
        began_at, moved_at, before = self._clock.now(), time.monotonic(), (0, 0)
        while True:
            left = self._store.count()
            is_waiting = left > self._held
            if not is_waiting and (self._way is not Uncertain.ASK or not left):
                break
            if (left, self._held) != before:
                before, moved_at = (left, self._held), time.monotonic()
            assert time.monotonic() - moved_at < STILL_S, f"nothing moves: {before} left and held"
            assert self._clock.now() - began_at < DAYS_MAX * 86_400, f"{left} mails are still in doubt"
            if is_waiting:
                # Back-offs pass soon; pauses after a lost connection, while mail flows, a little later.
                self._clock.forward(1.0 if self._ready else 5.0)
                await asyncio.sleep(0.02)
            else:
                self._clock.forward(60.0)
                moved_at = time.monotonic()
                await deliverer.doubts.look()
                await asyncio.sleep(0.002)
        self.result.hours = round((self._clock.now() - began_at) / 3600, 1)

    def _count(self, simulator: Simulator) -> None:
        result, ledger = self.result, simulator.ledger
        there = {mail.message_id for mail in ledger.mails}
        left = {
            mail.message_id.decode()
            for mail in self._store.envelopes(limit=result.mails)
            if isinstance(mail, Envelope)
        }
        numbers = {f"<{number}@duplicates.example>" for number in range(result.mails)}
        result.cut_before, result.cut_after = ledger.faults["end: reset"], ledger.faults["accepted: reset"]
        result.taken, result.twice = len(there), ledger.duplicates
        result.lost, result.kept = len(numbers - there - left), len(left)
        result.settled_there, result.settled_absent = self._events["arrived"], self._events["not arrived"]
        result.questions = ledger.questions


def course(folder: Path, way: Uncertain, mails: int, cut_percent: float, seed: int) -> Result:
    """Blocking: in a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Course(folder, way, mails, cut_percent, seed).run())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--cut", type=float, default=20.0, help="of a hundred deliveries")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    results = []
    for way in Uncertain:
        folder = Path(tempfile.mkdtemp(prefix="duplicates-"))
        try:
            result = course(folder, way, chosen.mails, chosen.cut, chosen.seed)
        finally:
            shutil.rmtree(folder)
        print(json.dumps(asdict(result)), flush=True)
        results.append(asdict(result))
    if chosen.out is not None:
        said = {"cut_percent": chosen.cut, "seed": chosen.seed, "results": results}
        chosen.out.write_text(json.dumps({"facts": facts(Path("/tmp")), **said}, indent=1) + "\n")


if __name__ == "__main__":
    main()
