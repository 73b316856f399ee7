"""The relay is killed while orders run: none is forgotten that was answered, none is half done, mail flows on.

Each mail is as it was before the order or as it is after it, and nothing else; what the next
deliverer finds is what the disk has. All of the relay dies each time: a deliverer that dies
often alone is started again later and later. M365_RELAY_CRASH_SEED repeats a run.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from smtplib import SMTP, SMTPException

import msgspec

from relay.control.client import Unanswered, ask
from relay.control.request import (
    CancelMails,
    HoldMails,
    OnMails,
    PrioritizeMails,
    RebindMails,
    ReleaseMails,
    SettleMails,
)
from relay.deliver.actions import Count
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.queue_id import QueueIdSource
from relay.spool.change import Accept, Change, RecipientState, Record, Status
from relay.spool.entry import Mail
from relay.spool.options import SpoolOptions
from relay.spool.selection import Selection
from relay.spool.store import Store
from tests.fakes.clock import FakeClock
from tests.integration.recording import recording
from tests.integration.serving import (
    CONNECTIONS,
    UNSETTLED_MAX,
    Generations,
    Serving,
    configuration,
    free_port,
)
from tests.process.relay import is_alive, wait_until

MAILS = 9_000
KILLS_EACH = 2
"""Within each order; it is given again until it is answered, and then the deliverer dies once more."""
SEED = int(os.environ.get("M365_RELAY_CRASH_SEED", "0")) or random.randrange(1, 10**6)
PARKED = """
[[route]]
name = "parked"
host = "127.0.0.1"
port = 1
tls = "none"
recipients = ["parked.test"]
"""

IN_DOUBT = RecipientState(
    Status.UNCERTAIN, 1, 0.0, "451 4.4.2 no reply: reset", sent_at=1_800_000_000.0, sent_by="parked"
)
Is = Callable[[Mail], bool]


def of(campaign: str) -> Selection:
    return Selection(campaign=campaign)


ORDERS: list[tuple[OnMails, str, Is]] = [
    (HoldMails(where=of("a"), reason="wrong"), "a", lambda mail: mail.states[0].status is Status.HELD),
    (PrioritizeMails(where=of("b"), priority="bulk"), "b", lambda mail: mail.envelope.priority is Priority.BULK),
    (ReleaseMails(where=of("a")), "a", lambda mail: mail.states[0].status is Status.QUEUED),
    (CancelMails(where=of("c")), "c", lambda _: False),
    (
        RebindMails(where=of("b"), route="sink"),
        "b",
        lambda mail: mail.envelope.recipients[0].route == "sink",
    ),
    (SettleMails(where=of("d"), arrived=True), "d", lambda _: False),
    (SettleMails(where=of("e"), arrived=False), "e", lambda mail: mail.states[0].status is Status.QUEUED),
]  # fmt: skip
"""What is ordered, of which campaign, and whether a mail is as it is after it; a mail that is gone is."""


def fill(folder: Path) -> None:
    """Mails of five campaigns, on a route that leads nowhere; of two of them nobody knows whether they arrived."""
    store = Store.open(SpoolOptions(folder))
    ids = QueueIdSource(0, FakeClock(time.time() - 3600))
    for start in range(0, MAILS, 500):
        changes: list[Change] = []
        for number in range(start, start + 500):
            envelope = mail(ids.next(), number)
            changes.append(Accept(envelope, b"Subject: x\r\n\r\nx\r\n"))
            if envelope.campaign in "de":
                changes.append(Record(envelope.id, (IN_DOUBT,)))
        store.apply(changes)
    store.close()


def mail(id: int, number: int) -> Envelope:
    recipients = (Recipient(b"%d@parked.test" % number, "parked"),)
    campaign = "abcde"[number % 5]
    return Envelope(id, b"a@example.com", recipients, time.time(), 17, 1, "::1", campaign=campaign)


def on_disk(folder: Path) -> dict[int, Mail]:
    store = Store.open(SpoolOptions(folder), read_only=True)
    try:
        found: dict[int, Mail] = {}
        after = 0
        while page := store.mails(after):
            for each in page:
                assert isinstance(each, Mail), each
                found[each.id] = each
            after = page[-1].id
        return found
    finally:
        store.close()


class Giver:
    """Gives an order in a thread, as a command would."""

    def __init__(self, socket: Path, request: OnMails) -> None:
        self.count: Count | None = None
        self._thread = threading.Thread(target=self._give, args=(socket, request))
        self._thread.start()

    def _give(self, socket: Path, request: OnMails) -> None:
        try:
            *_, last = ask(socket, request)
            self.count = msgspec.convert(last["result"], Count)
        except Unanswered:
            pass

    def ended(self) -> Count | None:
        """What was answered; None: the deliverer died first. One whose supervisor died first says how far it came."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.count


@contextmanager
def flowing(port: int) -> Iterator[list[int]]:
    """Mail comes all the while; the numbers of what was acknowledged."""
    acknowledged: list[int] = []
    over = threading.Event()

    def send() -> None:
        numbers = count()
        while not over.wait(0.05):
            # Whoever is cut off does not know; the next mail has another number.
            with suppress(OSError, SMTPException), SMTP("127.0.0.1", port) as client:
                while not over.wait(0.01):
                    number = next(numbers)
                    client.sendmail("a@example.com", [f"{number}@flow.test"], "Subject: x\r\n\r\nx\r\n")
                    acknowledged.append(number)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield acknowledged
    finally:
        over.set()
        thread.join(30)


def test_an_order_that_is_answered_outlives_every_death(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    spool = tmp_path / "spool"
    fill(spool)
    deaths = halfway = 0
    with recording() as hop:
        port = free_port()
        text = in_order(configuration(hop.port, port=port, rest=PARKED))
        with Serving.started(tmp_path, text) as relay, flowing(port) as acknowledged:
            for request, campaign, is_done in ORDERS:
                meant = {id for id, each in on_disk(spool).items() if each.envelope.campaign == campaign}
                assert meant
                answer = None
                for kill in range(KILLS_EACH + 3):
                    giver = Giver(spool / "control.sock", request)
                    if kill < KILLS_EACH:
                        time.sleep(rng.uniform(0.01, 0.12))
                        deaths += die(relay)
                        disk = on_disk(spool)
                        left = [disk[id] for id in meant if id in disk]
                        done = len(meant) - len(left) + sum(map(is_done, left))
                        halfway += 0 < done < len(meant)
                        assert all(as_before(each, campaign) or is_done(each) for each in left), (
                            f"seed {SEED}"
                        )
                    answer = giver.ended()
                    if answer is not None and not answer.cut_short:
                        break
                assert answer is not None and not answer.failed and not answer.cut_short, (
                    f"seed {SEED}: {answer}"
                )
                deaths += die(relay)
                disk = on_disk(spool)
                assert all(is_done(disk[id]) for id in meant if id in disk), f"seed {SEED}, {request}"
            list(ask(spool / "control.sock", RebindMails(where=Selection(route="parked"), route="sink")))
            wait_until(lambda: not on_disk(spool))
        arrived = Counter(mail.rcpts[0] for mail in hop.sink.mails)
        faults = relay.now.events("fault")
        checked = relay.command("spool", "check")
    parked = {b"RCPT TO:<%d@parked.test>" % n for n in range(MAILS) if n % 5 not in (2, 3)}
    flowed = {b"RCPT TO:<%d@flow.test>" % n for n in acknowledged}
    assert parked | flowed <= arrived.keys(), f"seed {SEED}"
    for gone, what in ((2, "cancelled"), (3, "settled as arrived")):
        sent = [n for n in range(gone, MAILS, 5) if arrived[b"RCPT TO:<%d@parked.test>" % n]]
        assert not sent, f"seed {SEED}: {what} and sent"
    assert sum(arrived.values()) - len(arrived) <= deaths * (UNSETTLED_MAX + 2 * CONNECTIONS)
    assert halfway, "no death came in the midst of an order"
    assert faults == [] and checked.returncode == 0, checked.stdout


def in_order(text: str) -> str:
    """The route with rules before the one without."""
    at = text.index("[[route]]")
    first = text[at : text.index(PARKED)]
    return text.replace(first, "").replace(PARKED, PARKED + first)


def die(relay: Generations) -> int:
    """All of it dies; its successor finds what the disk has."""
    children = relay.now.children()
    relay.now.kill()
    for pid in children.values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children.values())))
    relay.start()
    [found] = relay.now.events("queue_rebuilt")
    held = sum(each.states[0].status.is_kept for each in on_disk(relay.folder / "spool").values())
    assert found["held"] == held and found["damaged"] == 0
    return 1


def as_before(mail: Mail, campaign: str) -> bool:
    """As the orders before the one at work have left it."""
    [state], [recipient] = mail.states, mail.envelope.recipients
    return {
        "a": recipient.route == "parked" and state.status in (Status.QUEUED, Status.HELD),
        "b": recipient.route == "parked" and state.status is Status.QUEUED,
        "c": recipient.route == "parked" and state.status is Status.QUEUED,
        "d": state == IN_DOUBT,
        "e": state == IN_DOUBT,
    }[campaign]
