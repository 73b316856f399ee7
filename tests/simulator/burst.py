"""A burst through a whole relay into a simulated tenant whose clock runs fast, with a kill and a restart in it.

The relay has the route that the simulator prints, with limits for that clock: a minute of
the tenant is 60 / `speed` seconds. What is asserted, or reported, is what the simulator counted: it knows nothing of
the relay's budgets.
"""

import asyncio
import json
import os
import signal
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from relay.simulator.report import Report
from tests.process.relay import Relay, running
from tests.simulator.test_relay import LISTEN, Command, configuration, simulating

MINUTE = 30
"""Messages of a mailbox in a minute of the tenant (m365 `mailbox-messages`)."""
MINUTE_S = 60
SESSIONS = 8
POLL_S = 0.25
RESET_EVERY_S = 20.0
"""Of the tenant: a password reset comes in between."""
OUTSIDE_EVERY = 3
SIMULATOR = """
speed = {speed}
[limits]
messages_mode = "refuse"
external_recipients = {external}
"""


@dataclass(frozen=True)
class Plan:
    """What is sent, and what happens meanwhile."""

    mailboxes: int
    mails: int
    """Of the campaign, over all mailboxes."""
    speed: int
    """A divisor of 60: the relay's windows are whole seconds."""
    has_priorities: bool = False
    """The campaign is bulk and normal; resets come in between, and go first."""
    kill_at: float = 1 / 3
    """The deliverer gets SIGKILL when so much is done."""
    restart_at: float = 2 / 3
    """The whole relay is restarted."""

    @property
    def external(self) -> int:
        """Recipients outside the tenant may have: enough for all, so that it is counted and holds nothing up."""
        return 2 * self.mails + 1000

    def address(self, number: int) -> str:
        return f"m{number % self.mailboxes}@contoso.example"


@dataclass
class Result:
    """What came of it. Times are the tenant's."""

    report: Report
    sent: int
    mails: list[dict[str, object]] = field(default_factory=list)
    """As the simulator kept them."""
    accepted_at: dict[str, float] = field(default_factory=dict)
    """Message-ID of resets → when the relay had answered 250."""
    down_s: float = 0.0
    """How long no deliverer was at work, of the tenant's time."""
    seconds: float = 0.0
    """Of the world's, from the first mail to the last."""

    def of(self, mailbox: str) -> list[dict[str, object]]:
        return [mail for mail in self.mails if mail["mailbox"] == mailbox]

    def used(self) -> float:
        """How much of what the mailboxes allow was used until their mail was done: the least of them."""
        return min(_used(times) for times in self._times())

    def used_while_up(self) -> float:
        """Likewise, without the time in which no deliverer was at work."""
        return min(_used(times, self.down_s) for times in self._times())

    def resets(self) -> list[tuple[float, int]]:
        """For each: how long it waited, and how many other mails of its mailbox went before it meanwhile."""
        found = []
        for mail in self.mails:
            came = self.accepted_at.get(str(mail["message_id"]))
            if came is not None:
                at = _time(mail)
                others = [m for m in self.of(str(mail["mailbox"])) if came < _time(m) < at and m is not mail]
                before = [m for m in others if str(m["message_id"]) not in self.accepted_at]
                found.append((at - came, len(before)))
        return found

    def _times(self) -> list[list[float]]:
        names = {str(mail["mailbox"]) for mail in self.mails}
        return [sorted(_time(mail) for mail in self.of(name)) for name in names]


def _time(mail: dict[str, object]) -> float:
    at = mail["time"]
    assert isinstance(at, float)
    return at


def _used(times: list[float], down_s: float = 0.0) -> float:
    """What was sent in the time, over what may be: a first burst, and then so many in each minute."""
    span_s = times[-1] - times[0] - down_s
    return min(1.0, len(times) / (MINUTE + MINUTE * span_s / MINUTE_S))


def run(folder: Path, plan: Plan) -> Result:
    """Do it all; the relay and the simulator have ended when it returns."""
    tables = "".join(f'[[mailbox]]\naddress = "{plan.address(n)}"\n' for n in range(plan.mailboxes))
    tenant = SIMULATOR.format(speed=plan.speed, external=plan.external) + tables
    with simulating(folder, tenant, LISTEN) as simulator:
        began = time.monotonic()
        result = _relayed(folder, plan, simulator)
        result.seconds = time.monotonic() - began
        result.mails = list(_kept(simulator))
        result.report = simulator.stop()
    return result


def _relayed(folder: Path, plan: Plan, simulator: Command) -> Result:
    result = Result(_report(simulator), plan.mails)
    text = configuration(simulator.facts["route"])
    with running(folder, text) as relay:
        asyncio.run(_send(relay, _campaign(plan)))
        _attend(relay, plan, simulator, result, until=plan.kill_at)
        result.down_s += _killed(relay, plan)
        _attend(relay, plan, simulator, result, until=plan.restart_at)
        stopped = time.monotonic()
        assert relay.stop() == 0
    # A log of its own: what the first one said is over.
    relay.log_file.rename(folder / "first.log")
    with running(folder, text) as relay:
        relay.wait_for("queue_rebuilt")
        result.down_s += (time.monotonic() - stopped) * plan.speed
        _attend(relay, plan, simulator, result, until=1.0)
        assert relay.stop() == 0
    return result


def _killed(relay: Relay, plan: Plan) -> float:
    """SIGKILL for the deliverer; how long there was none, in the tenant's time."""
    rebuilt = len(relay.events("queue_rebuilt"))
    began = time.monotonic()
    os.kill(relay.children()["deliverer"], signal.SIGKILL)
    relay.wait_for("queue_rebuilt", rebuilt + 1)
    return (time.monotonic() - began) * plan.speed


def _attend(relay: Relay, plan: Plan, simulator: Command, result: Result, *, until: float) -> None:
    """Wait until so much has arrived; send resets in between. A stop of progress fails."""
    goal = plan.mails * until
    numbers = count(len(result.accepted_at))
    moved_at, last, next_reset = time.monotonic(), -1, time.monotonic()
    while (arrived := _report(simulator).accepted - len(result.accepted_at)) < goal:
        now = time.monotonic()
        if arrived != last:
            moved_at, last = now, arrived
        assert now - moved_at < 30.0, f"nothing moves at {arrived} of {plan.mails}"
        if plan.has_priorities and now >= next_reset:
            next_reset = now + RESET_EVERY_S / plan.speed
            _send_reset(relay, plan, simulator, result, next(numbers))
        time.sleep(POLL_S / 4 if plan.has_priorities else POLL_S)


def _send_reset(relay: Relay, plan: Plan, simulator: Command, result: Result, number: int) -> None:
    name = f"<reset-{number}@burst.example>"
    mail = _mail(plan.address(number), name, "inside@contoso.example", "high")
    asyncio.run(_send(relay, iter([mail])))
    result.accepted_at[name] = _report(simulator).ended
    result.sent += 1


Mail = tuple[str, str, bytes]


def _campaign(plan: Plan) -> Iterator[Mail]:
    for number in range(plan.mails):
        priority = ("bulk", "bulk", "normal")[number // plan.mailboxes % 3] if plan.has_priorities else ""
        to = f"r{number}@outside.example" if number % OUTSIDE_EVERY else f"r{number}@contoso.example"
        yield _mail(plan.address(number), f"<{number}@burst.example>", to, priority)


def _mail(sender: str, message_id: str, to: str, priority: str) -> Mail:
    field = f"X-Relay-Priority: {priority}\r\n" if priority else ""
    content = f"From: {sender}\r\nMessage-ID: {message_id}\r\n{field}Subject: x\r\n\r\nHello\r\n.\r\n"
    return sender, to, content.encode()


async def _send(relay: Relay, mails: Iterator[Mail]) -> None:
    async with asyncio.TaskGroup() as sessions:
        for _ in range(SESSIONS):
            sessions.create_task(_session(relay.address, mails))


async def _session(address: tuple[str, int], mails: Iterator[Mail]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    assert (await reader.readline()).startswith(b"220")
    writer.write(b"EHLO burst.example\r\n")
    while (await reader.readline())[3:4] == b"-":
        pass
    for sender, to, content in mails:
        writer.write(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
        replies = [await reader.readline() for _ in range(3)]
        assert replies[-1].startswith(b"354"), replies
        writer.write(content)
        assert (await reader.readline()).startswith(b"250")
    writer.close()
    await writer.wait_closed()


def _ask(simulator: Command, path: str) -> bytes:
    context = ssl.create_default_context(cafile=simulator.facts["ca_file"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    url = simulator.facts["control"].removesuffix("report") + path
    with opener.open(url, timeout=10) as response:
        body: bytes = response.read()
    return body


def _report(simulator: Command) -> Report:
    import msgspec

    return msgspec.json.decode(_ask(simulator, "report"), type=Report)


def _kept(simulator: Command) -> Iterator[dict[str, object]]:
    after = 0
    while page := json.loads(_ask(simulator, f"mails?after={after}")):
        yield from page
        after += len(page)
