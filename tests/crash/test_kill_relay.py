"""Processes are killed at random moments under load: nothing acknowledged is lost, and little comes twice.

A mail may come twice for one reason only: the deliverer died between the next hop's final
reply and the commit of that outcome. So repeats must lie close to a death of the deliverer,
and per death there are at most as many as outcomes may wait for their commit, and those in
flight on each connection (the one whose reply is due and the one pipelined behind it).

M365_RELAY_CRASH_ROUNDS sets the number of rounds, M365_RELAY_CRASH_SEED repeats a run.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.serving import (
    CONNECTIONS,
    UNSETTLED_MAX,
    Generations,
    Serving,
    configuration,
    free_port,
)
from tests.integration.traffic import Ledger, Source, sink
from tests.process.relay import wait_until

ROUNDS = int(os.environ.get("M365_RELAY_CRASH_ROUNDS", "36"))
SEED = int(os.environ.get("M365_RELAY_CRASH_SEED", "0")) or random.randrange(1, 10**6)
MAILS = 1_200
"""A round: half a second of load, so that most kills fall into it."""
SESSIONS = 20
LARGE_MAILS, LARGE_SESSIONS, LARGE_BYTES = 12, 3, 700_000
"""Besides: mails of three content records, so that receivers die in the midst of one."""
RECEIVERS = 2
KILL_WITHIN_S = 0.6
CLOSE_S = 1.0
"""An outcome waits milliseconds for its commit; on a machine that does something else, longer."""
REPEATS_MAX = UNSETTLED_MAX + 2 * CONNECTIONS
VICTIMS = ("receiver", "deliverer", "receiver and deliverer", "deliverer twice", "supervisor", "all")
"""Each six rounds in an order of their own. Supervisors die often enough for no child's restarts to slow down."""


class Killer:
    """Kills what it is told, and keeps when the deliverer died."""

    def __init__(self, relay: Generations, rng: random.Random) -> None:
        self._relay = relay
        self._rng = rng
        self.deaths: list[float] = []

    def strike(self, victim: str) -> None:
        """Kill; a relay without its supervisor gets a successor at once."""
        serving = self._relay.now
        match victim:
            case "receiver":
                self._child(serving, self._any_receiver())
            case "deliverer":
                self._child(serving, "deliverer")
            case "receiver and deliverer":
                self._child(serving, self._any_receiver())
                self._child(serving, "deliverer")
            case "deliverer twice":
                # The second one dies as it starts, in the midst of its rebuilding, or at work.
                self._child(serving, "deliverer")
                time.sleep(self._rng.uniform(0.1, 0.8))
                self._child(serving, "deliverer")
            case "supervisor":
                serving.kill()
                self._relay.start()
                wait_until(lambda: not self._relay.orphans())
            case "all":
                children = serving.children()
                serving.kill()
                for pid in children.values():
                    os.kill(pid, signal.SIGKILL)
                self.deaths.append(time.monotonic())
                self._relay.start()
            case _:
                raise AssertionError(victim)

    def _any_receiver(self) -> str:
        return f"receiver-{self._rng.randrange(RECEIVERS)}"

    def _child(self, serving: Serving, role: str) -> None:
        os.kill(serving.child(role), signal.SIGKILL)
        if role == "deliverer":
            self.deaths.append(time.monotonic())


def test_kills_at_random_moments_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(SEED)
    ledger = Ledger()
    struck: Counter[str] = Counter()
    with sink(record=tmp_path / "arrivals", delay_ms=2) as hop:
        text = configuration(hop.port, port=free_port(), receivers=RECEIVERS)
        with Serving.started(tmp_path, text) as relay:
            killer = Killer(relay, rng)
            for number in range(ROUNDS):
                strike_under_load(killer, next_victim(struck, rng), number, relay, ledger, rng)
            wait_until(lambda: hop.report().unique >= ROUNDS * (MAILS + LARGE_MAILS))
            # What waits for nothing but its commit leaves the spool.
            assert relay.now.stop() == 0
            checked = relay.command("spool", "check", "--json")
            faults = [
                line for line in relay.now.log_file.read_text().splitlines() if '"event":"fault"' in line
            ]
        report = hop.report()
    ledger.read_sink(tmp_path / "arrivals")
    repeats = near(ledger, killer.deaths)
    uncertain = sum(map(len, ledger.uncertain.values()))
    with capsys.disabled():
        print(
            f"\n{ROUNDS} kills (seed {SEED}): {len(ledger.acknowledged)} acknowledged, {len(ledger.lost)} lost, "
            f"{sum(ledger.repeated.values())} repeated at {len(killer.deaths)} deaths of the deliverer "
            f"(at most {max(repeats.values(), default=0)} at one), {uncertain} uncertain to the client, "
            f"{ledger.sent_twice} of them there twice"
        )
    assert not ledger.lost
    assert report.altered == report.unnumbered == 0
    assert sum(repeats.values()) == sum(ledger.repeated.values()), "a mail was repeated far from every death"
    assert all(count <= REPEATS_MAX for count in repeats.values()), repeats
    assert uncertain <= ROUNDS * (SESSIONS + LARGE_SESSIONS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    spool = json.loads(checked.stdout)
    assert (spool["mails"], spool["partial"], spool["aside"]) == (0, 0, 0)
    assert faults == []


def strike_under_load(
    killer: Killer, victim: str, number: int, relay: Generations, ledger: Ledger, rng: random.Random
) -> None:
    """One round: load, a kill in its midst, and all of it acknowledged in the end."""
    first = number * (MAILS + LARGE_MAILS)
    records = relay.folder / f"sent-{number}", relay.folder / f"large-{number}"
    sources = (
        Source(relay.port, MAILS, first=first, sessions=SESSIONS, size=4096, record=records[0]),
        Source(
            relay.port,
            LARGE_MAILS,
            first=first + MAILS,
            sessions=LARGE_SESSIONS,
            size=LARGE_BYTES,
            record=records[1],
        ),
    )
    time.sleep(rng.uniform(0.02, KILL_WITHIN_S))
    killer.strike(victim)
    for source, record, mails in zip(sources, records, (MAILS, LARGE_MAILS), strict=True):
        sent = source.sent()
        ledger.read_source(record)
        assert sent.acknowledged == mails, f"round {number}, {victim}: {sent}"


def next_victim(struck: "Counter[str]", rng: random.Random) -> str:
    """One of those that were struck least."""
    least = min(struck[victim] for victim in VICTIMS)
    victim = rng.choice([victim for victim in VICTIMS if struck[victim] == least])
    struck[victim] += 1
    return victim


def near(ledger: Ledger, deaths: list[float]) -> dict[float, int]:
    """Repeats whose earlier arrival lies close to a death: death → how many."""
    found: Counter[float] = Counter()
    for number, extra in ledger.repeated.items():
        for arrival in sorted(ledger.taken[number])[:-1]:
            death = min(deaths, key=lambda at: abs(at - arrival), default=0.0)
            if abs(death - arrival) <= CLOSE_S and extra:
                found[death] += 1
                extra -= 1
    return dict(found)
