"""A campaign on the fake clock: mailboxes, connections, latencies, and a spool of rows.

A driver as the deliverer will be: it asks the ledger when a connection is free, when a
`Wait` has run out and after each end, and sends only what is durable. A commit and a
send take time; the next hop counts somewhere between begin and end of the send.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush

from relay.budget.answer import Taken, TooLarge, Wait
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, Charge, Limit, Scope, Unit
from relay.budget.turn import Turns
from relay.message.priority import Priority
from tests.budget.naive import SECOND, Charged, write

MINUTE = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)
DAY = Limit(Scope.MAILBOX, Unit.RECIPIENTS, 10_000, DAY_S)
TERRL = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 72_446, DAY_S)
CONNECTIONS = 3
COMMIT_US = 2_000


@dataclass(slots=True)
class Mail:
    """One mail as the next hop and the one who waits for it saw it."""

    priority: Priority
    came: int
    begin: int = 0
    end: int = 0


class Mailbox:
    """What waits for one mailbox."""

    def __init__(self, name: str, bulk: int) -> None:
        self.name = name
        self.waiting: dict[Priority, list[Mail]] = {priority: [] for priority in Priority}
        self.waiting[Priority.BULK] = [Mail(Priority.BULK, 0) for _ in range(bulk)]
        self.turns = Turns()
        self.charges = [
            Charge(Scope.MAILBOX, name, Unit.MESSAGES, 1),
            Charge(Scope.MAILBOX, name, Unit.RECIPIENTS, 1),
            Charge(Scope.TENANT, "", Unit.EXTERNAL_RECIPIENTS, 1),
        ]
        self.busy = 0
        self.done: list[Mail] = []


class Campaign:
    """Events in order of time; every mailbox is asked whenever something of it has changed."""

    def __init__(self, mailboxes: list[Mailbox], latency_s: float, seed: int) -> None:
        self.mailboxes = mailboxes
        self.rng = random.Random(seed)
        self.latency_us = latency_s * SECOND
        self.now = 0
        self.disk: dict[bytes, bytes] = {}
        self.ledger = Ledger([MINUTE, DAY, TERRL])
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.flying: dict[Taken, tuple[Mailbox, Mail]] = {}
        self.asks: dict[str, int] = {}
        self._count = 0

    def at(self, when: int, what: Callable[[], None]) -> None:
        self._count += 1
        heappush(self.events, (when, self._count, what))

    def come(self, mailbox: Mailbox, priority: Priority, when: int) -> None:
        def arrive() -> None:
            mailbox.waiting[priority].append(Mail(priority, when))
            self.ask(mailbox)

        self.at(when, arrive)

    def run(self, until: int | None = None) -> None:
        while self.events and (until is None or self.events[0][0] <= until):
            self.now, _, what = heappop(self.events)
            what()

    def ask(self, mailbox: Mailbox) -> None:
        """Begin all that may go now; come back when the ledger says."""
        while mailbox.busy < CONNECTIONS:
            heads = {p: mailbox.charges for p, mails in mailbox.waiting.items() if mails}
            if not heads:
                return
            turn = mailbox.turns.next(self.ledger, heads, Charged(heads), self.now)
            assert turn is not None
            if isinstance(turn, Wait):
                if turn.until is not None and self.asks.get(mailbox.name) != turn.until:
                    self.asks[mailbox.name] = turn.until
                    self.at(turn.until, partial(self.ask, mailbox))
                return
            assert not isinstance(turn.answer, TooLarge)
            self.begin(mailbox, mailbox.waiting[turn.priority].pop(0), turn.answer)

    def begin(self, mailbox: Mailbox, mail: Mail, taken: Taken) -> None:
        mailbox.busy += 1
        self.flying[taken] = (mailbox, mail)
        batch = self.ledger.changes()
        assert batch is not None and taken.serial <= batch.serial
        ledger = self.ledger

        def committed() -> None:
            if ledger is not self.ledger:
                return
            write(self.disk, batch.rows)
            ledger.committed(batch)
            mail.begin = self.now
            self.at(self.now + round(self.latency_us * self.rng.uniform(0.5, 1.5)), ended)

        def ended() -> None:
            if ledger is self.ledger:
                self.end(taken)

        self.at(self.now + COMMIT_US, committed)

    def end(self, taken: Taken) -> None:
        mailbox, mail = self.flying.pop(taken)
        mail.end = self.now
        mailbox.done.append(mail)
        mailbox.busy -= 1
        self.ledger.settle(taken, self.now)
        self.ask(mailbox)

    def kill(self, down_us: int) -> None:
        """SIGKILL: what was under way was counted until now, and is sent again."""
        for mailbox, mail in self.flying.values():
            mailbox.busy -= 1
            if mail.begin:
                mail.end = self.now
                mailbox.done.append(mail)
            mailbox.waiting[mail.priority].insert(0, Mail(mail.priority, mail.came))
        self.flying.clear()
        self.asks.clear()
        self.now += down_us
        self.ledger = Ledger([MINUTE, DAY, TERRL])
        self.ledger.restore(list(self.disk.items()), self.now)
        for mailbox in self.mailboxes:
            self.at(self.now, partial(self.ask, mailbox))
