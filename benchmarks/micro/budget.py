"""What a send costs in the ledger: take and settle over 1, 4 and 7 scopes, and its rows.

    python -m benchmarks.micro.budget [--sends N] [--runs N]

"free": rates below every limit. "paced": bulk at the very limit of its mailboxes.
"full": a send that must wait, asked again and again. Rows are handed out every 32
sends, as group commit does. Best of the runs, in microseconds a send.
"""

import argparse
import time
from functools import partial

from relay.budget.answer import Taken, Wait
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, Charge, Limit, Scope, Unit
from relay.message.priority import Priority

LIMITS = [
    Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60),
    Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 1_590_639, DAY_S),
    Limit(Scope.MAILBOX, Unit.RECIPIENTS, 10_000, DAY_S),
    Limit(Scope.ROUTE, Unit.MESSAGES, 1_000_000, 3600),
    Limit(Scope.CLIENT, Unit.MESSAGES, 1_000_000, 3600),
    Limit(Scope.SOURCE, Unit.BYTES, 10**12, 300),
    Limit(Scope.FOREST, Unit.MESSAGES, 100_000, 60),
]
MAILBOXES = 1000
STEP_US = 2100
"""1,000 mailboxes of 30 a minute send one each 2,000 µs together; a little below."""


def main() -> None:
    """A line for each number of scopes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sends", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{'scopes':>6} {'free':>7} {'no rows':>8} {'paced':>7} {'full':>7}   µs a send")
    for scopes in (1, 4, 7):
        runs = [
            partial(_sends, scopes, options.sends, Priority.HIGH, 32),
            partial(_sends, scopes, options.sends, Priority.HIGH, 0),
            partial(_sends, scopes, options.sends, Priority.BULK, 32),
            partial(_waits, scopes, options.sends),
        ]
        cells = [min(run() for _ in range(options.runs)) for run in runs]
        print(f"{scopes:>6} {cells[0]:>7.2f} {cells[1]:>8.2f} {cells[2]:>7.2f} {cells[3]:>7.2f}")


def _charges(scopes: int, mailbox: int) -> list[Charge]:
    keys = {Scope.MAILBOX: f"mailbox{mailbox}@example.com"}
    return [Charge(limit.scope, keys.get(limit.scope, "one"), limit.unit, 1) for limit in LIMITS[:scopes]]


def _sends(scopes: int, sends: int, priority: Priority, batch: int) -> float:
    ledger = Ledger(LIMITS[:scopes])
    charges = [_charges(scopes, mailbox) for mailbox in range(MAILBOXES)]
    now = 10**15
    started = time.perf_counter()
    for number in range(sends):
        taken = ledger.take(charges[number % MAILBOXES], now, priority)
        assert isinstance(taken, Taken)
        ledger.settle(taken, now)
        now += STEP_US
        if batch and number % batch == 0:
            rows = ledger.changes()
            assert rows is not None
            ledger.committed(rows)
    return (time.perf_counter() - started) / sends * 1e6


def _waits(scopes: int, sends: int) -> float:
    ledger = Ledger(LIMITS[:scopes])
    charges = _charges(scopes, 0)
    ledger.note([charge._replace(amount=30) for charge in charges], 10**15)
    started = time.perf_counter()
    for now in range(10**15, 10**15 + sends):
        answer = ledger.take(charges, now)
        assert isinstance(answer, Wait)
    return (time.perf_counter() - started) / sends * 1e6


if __name__ == "__main__":
    main()
