"""What the rules of clients cost a mail: those that are not written, quotas, and who bears a name.

    python -m benchmarks.micro.policy [--mails N] [--runs N]

"none": a client without rules, all that is asked of one mail with one recipient. "quotas":
two of them, in pages on the disk, asked at MAIL and used at the end. "spoofing": the four
rules over a header. "alignment": a domain whose answer is known. Best of the runs, in
microseconds a mail.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from relay.budget.ring import Counted, Per, Quota
from relay.clock import SystemClock
from relay.identity.client import ANYTHING, Policy
from relay.identity.dmarc import Demands
from relay.identity.dmarc_dns import Texts
from relay.message.envelope import Envelope, Recipient
from relay.message.header import Header
from relay.receive.accept import Origin
from relay.receive.alignment import Alignment
from relay.receive.allowance import Allowance
from relay.receive.options import Action, SpoofingOptions
from relay.receive.spoofing import Spoofing
from relay.route.tenant import Tenant
from relay.spool.change import Accept
from relay.spool.usage import OwnUsage, SharedUsage

TENANT = Tenant(("contoso.com",))
RULES = SpoofingOptions(Action.REFUSE, Action.REFUSE, Action.REFUSE, Action.REFUSE)
HEADER = Header.of(
    b"From: Alice Example <alice@contoso.com>\r\nTo: bob@example.com\r\nSubject: The orders of this week\r\n"
    b"Message-ID: <1@contoso.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)
MANY = 2**31 - 1


def main() -> None:
    """A line for each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], object]] = {
            "none": _none(),
            "quotas": _quotas(Path(folder)),
            "spoofing": _spoofing(),
            "alignment": _alignment(),
        }
        for name, mail in kinds.items():
            best = min(_time(mail, options.mails) for _ in range(options.runs))
            print(f"{name:>10} {best:7.2f} µs a mail")


def _time(mail: Callable[[], object], mails: int) -> float:
    started = time.perf_counter()
    for _ in range(mails):
        mail()
    return (time.perf_counter() - started) / mails * 1e6


def _none() -> Callable[[], object]:
    allowance = Allowance(TENANT, OwnUsage(), SystemClock())
    spoofing = Spoofing(SpoofingOptions(), TENANT, lambda event: None)
    origin, session = Origin("relay.example", "192.0.2.7"), object()

    def mail() -> None:
        allowance.judge_mail(session, origin, 0)
        allowance.judge_recipient(origin, b"bob@example.com", 0)
        policy = origin.policy
        assert not policy.message_bytes and not policy.quotas and not spoofing.is_asked

    assert origin.policy is ANYTHING
    return mail


def _quotas(folder: Path) -> Callable[[], object]:
    policy = Policy(
        quotas=(Quota(Counted.MESSAGES, Per.HOUR, MANY), Quota(Counted.RECIPIENTS, Per.DAY, MANY))
    )
    allowance = Allowance(TENANT, SharedUsage(folder), SystemClock())
    origin, session = Origin("relay.example", "192.0.2.7", account="erp", policy=policy), object()

    def mail() -> None:
        assert allowance.judge_mail(session, origin, 0) is None
        assert allowance.charge("erp", policy, 1) is None

    return mail


def _spoofing() -> Callable[[], object]:
    spoofing = Spoofing(RULES, TENANT, lambda event: None)
    origin = Origin("relay.example", "192.0.2.7")
    return partial(spoofing.judge, HEADER, b"alice@contoso.com", origin, "1")


def _alignment() -> Callable[[], object]:
    async def look_up(name: str) -> Texts:
        return Texts((b"v=DMARC1; p=reject",), 1e6)

    async def known() -> Alignment:
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []
        demands = Demands(
            look_up,
            lambda work: tasks.append(loop.create_task(work)),
            SystemClock(),
            lambda domain, reason: None,
        )
        demands.get("contoso.com", lambda demand: None)
        await asyncio.gather(*tasks)
        return Alignment(Action.REFUSE, demands, None, lambda event: None)

    envelope = Envelope(
        1,
        b"alice@contoso.com",
        (Recipient(b"bob@example.com", "world"),),
        time.time(),
        100,
        1,
        "192.0.2.7",
        b"app",
    )
    change = Accept(envelope, bytearray(HEADER.scan.text))
    origin = Origin("relay.example", "192.0.2.7")
    return partial(asyncio.run(known()).judge, change, HEADER, origin, lambda outcome: None)


if __name__ == "__main__":
    main()
