"""Receivers and the whole front are killed, and clients cut their connections, while mails with idempotency keys come in.

A client that has no reply sends the mail again with its key, now and then twice at the same
moment, until it is told 250. The sink must see each mail once. The deliverer is not killed: what
it repeats after its own death is another matter (tests/crash/test_kill_relay.py).

M365_RELAY_CRASH_SEED repeats a run.
"""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.serving import Generations, Serving, configuration, free_port
from tests.integration.traffic import Ledger, sink
from tests.process.relay import wait_until

SEED = int(os.environ.get("M365_RELAY_CRASH_SEED", "0")) or random.randrange(1, 10**6)
MAILS = 2_000
CLIENTS = 24
KILLS = 12
RECEIVERS = 2
LARGE = 50
"""One mail in so many has three content records, so that receivers die in the midst of one."""
CUT, DOUBLE = 0.15, 0.1
"""How often a client goes away behind the final dot, or sends the mail twice at the same moment."""
PAUSE_S = 0.02
TRIES_MAX = 3_000


class Crowd:
    """Clients that send each mail until it is acknowledged."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self.port = port
        self.rng = rng
        self.left = list(range(MAILS - 1, -1, -1))
        self.ids: dict[int, set[str]] = {}
        self.counts: Counter[str] = Counter()

    async def work(self) -> None:
        """One client: the next mail, until none is left."""
        while self.left:
            number = self.left.pop()
            for _ in range(TRIES_MAX):
                copies = 2 if self.rng.random() < DOUBLE else 1
                found = await asyncio.gather(*(self.send(number) for _ in range(copies)))
                self.counts["sent"] += copies
                ids = {id for id in found if id}
                self.ids.setdefault(number, set()).update(ids)
                if ids:
                    break
                await asyncio.sleep(PAUSE_S)
            else:
                raise AssertionError(f"mail {number} was never taken")

    async def send(self, number: int) -> str | None:
        """Its id, when it was acknowledged; None: nobody knows."""
        try:
            return await asyncio.wait_for(self._send(number), 20)
        except (OSError, EOFError, TimeoutError, ValueError):
            self.counts["broken"] += 1
            return None

    async def _send(self, number: int) -> str | None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await said(reader)
            writer.write(b"EHLO c\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
            for _ in range(4):
                await said(reader)
            writer.write(mail(number))
            if self.rng.random() < CUT:
                await writer.drain()
                self.counts["cut"] += 1
                return None
            reply = (await said(reader)).decode()
            found = re.match(r"250 2\.0\.0 queued as (\w{13})( before)?", reply)
            assert found is not None or reply[0] == "4", reply
            if found is not None and found[2]:
                self.counts["repeats"] += 1
            return found[1] if found is not None else None
        finally:
            writer.transport.abort()


async def said(reader: asyncio.StreamReader) -> bytes:
    """The last line of a reply; EOFError."""
    while True:
        line = await reader.readuntil(b"\n")
        if line[3:4] != b"-":
            return line


def mail(number: int) -> bytes:
    """The same bytes whenever it is sent."""
    lines = 8_000 if number % LARGE == 0 else 20
    head = b"X-Load-Id: %d\r\nX-Relay-Idempotency-Key: mail-%d\r\nSubject: s\r\n\r\n" % (number, number)
    return head + b"%d: what it says, and says again and again until its end.\r\n" % number * lines + b".\r\n"


async def kill(relay: Generations, rng: random.Random, working: "asyncio.Future[list[None]]") -> int:
    """Kill a receiver now and then while the clients work; how many were."""
    killed = 0
    while not working.done() and killed < KILLS:
        await asyncio.sleep(rng.uniform(0.02, 0.2))
        role = f"receiver-{rng.randrange(RECEIVERS)}"
        pid = relay.now.children().get(role)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def is_up(serving: Serving, number: int) -> bool:
    """That receiver has started, and did not end since."""
    starts, ends = (
        [str(line["time"]) for line in serving.events(event) if line["role"] == f"receiver-{number}"]
        for event in ("process_started", "process_ended")
    )
    return bool(starts) and max(starts) > max(ends, default="")


def test_a_mail_with_a_key_comes_once_however_often_its_client_must_send_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)
    with sink(record=tmp_path / "arrivals") as hop:
        text = configuration(hop.port, port=free_port(), receivers=RECEIVERS)
        with Serving.started(tmp_path, text) as relay:
            crowd = Crowd(relay.port, rng)

            async def main() -> int:
                async with asyncio.timeout(120):
                    working = asyncio.gather(*(crowd.work() for _ in range(CLIENTS)))
                    killed = await kill(relay, rng, working)
                    await working
                    return killed

            killed = asyncio.run(main())
            wait_until(lambda: hop.report().unique == MAILS)
            # One that is told to stop before it knows how to is killed by that, and its drain counts as cut short.
            wait_until(lambda: all(is_up(relay.now, number) for number in range(RECEIVERS)))
            told = len(relay.now.events("mail_repeated"))
            assert relay.now.stop() == 0
            checked = relay.command("spool", "check", "--json")
            assert relay.now.events("fault") == []
        report = hop.report()
    ledger = Ledger()
    ledger.read_sink(tmp_path / "arrivals")
    twice = {number for number, times in ledger.taken.items() if len(times) > 1}
    with capsys.disabled():
        print(f"\n{killed} kills (seed {SEED}), {dict(crowd.counts)}: {len(twice)} of {MAILS} came twice")
    assert ledger.taken.keys() == set(range(MAILS)) and report.unnumbered == 0
    assert twice == set(), f"seed {SEED}"
    # Whoever was told an id, was told the same one.
    assert {number for number, ids in crowd.ids.items() if len(ids) > 1} == set(), f"seed {SEED}"
    assert killed >= KILLS // 2 and crowd.counts["repeats"] > MAILS * CUT / 2
    assert told > 0
    assert checked.returncode == 0, checked.stdout + checked.stderr
