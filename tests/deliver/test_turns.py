"""Whose turn it is, from end to end: fair in a lane, large mail apart, and no destination in another's way."""

from collections import Counter
from pathlib import Path

import pytest

from relay.message.envelope import Recipient
from relay.message.priority import Priority
from relay.queue.flow import LARGE_BYTES
from relay.queue.weights import CampaignWeight
from relay.spool.handover import Queued
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink

RECORD = (b"x" * 1022 + b"\r\n") * 256
"""One content record."""
LARGE = [b"Subject: large\r\n\r\n", *[RECORD] * (LARGE_BYTES // len(RECORD) + 1)]
NAMES = (b"early", b"late", b"heavy")


def fill(relay: Relaying, number: int, account: str, **fields: object) -> list[Queued]:
    sender = f"{account}@sender.test".encode()
    return [
        relay.accept(sender=sender, account=account, priority=Priority.NORMAL, **fields)  # type: ignore[arg-type]
        for _ in range(number)
    ]


@in_loop
async def test_clients_take_turns_by_weight_whoever_came_first(tmp_path: Path) -> None:
    async with Sink() as sink:

        def before(relay: Relaying) -> None:
            fill(relay, 60, "early")
            fill(relay, 20, "late")
            fill(relay, 40, "heavy")

        route = route_to(sink.port, connections=1)
        async with relaying(tmp_path, route, before=before, weights={"heavy": 2}):
            mails = await sink.received(120)
        first = Counter(name for mail in mails[:60] for name in NAMES if name in mail.mail)
        assert abs(first[b"early"] - 15) <= 1 and abs(first[b"late"] - 15) <= 1
        assert abs(first[b"heavy"] - 30) <= 2


@in_loop
async def test_campaigns_of_a_client_take_turns_by_weight(tmp_path: Path) -> None:
    async with Sink() as sink:

        def before(relay: Relaying) -> None:
            fill(relay, 60, "early", campaign="offers")
            for _ in range(60):
                relay.accept(
                    sender=b"late@sender.test", account="early", campaign="alarm 7", priority=Priority.NORMAL
                )

        weights = (CampaignWeight("alarm*", 3),)
        route = route_to(sink.port, connections=1)
        async with relaying(tmp_path, route, before=before, campaign_weights=weights):
            mails = await sink.received(120)
        first = Counter(name for mail in mails[:60] for name in NAMES if name in mail.mail)
        # Three of four.
        assert abs(first[b"late"] - 45) <= 2 and abs(first[b"early"] - 15) <= 2


@in_loop
async def test_small_mail_goes_by_while_large_mail_holds_all_that_it_may(tmp_path: Path) -> None:
    """Of three connections two carry large mail that takes for ever; twenty small ones, which came later, go."""
    async with Sink(Script(stall_at={b"MAIL FROM:<large@"})) as sink:

        def before(relay: Relaying) -> None:
            fill(relay, 5, "large", content=LARGE)

        async with relaying(tmp_path, route_to(sink.port, connections=3), before=before) as relay:
            await sink.heard(b"MAIL FROM:<large@", times=2)
            await relay.hint(*fill(relay, 20, "small"))
            await sink.received(20)
            begun = sum(line.startswith(b"MAIL FROM:<large@") for line in sink.commands)
            assert begun == 2 and sink.peak_connections <= 3


@in_loop
async def test_large_mail_goes_when_its_turn_comes(tmp_path: Path) -> None:
    async with Sink() as sink:

        def before(relay: Relaying) -> None:
            fill(relay, 30, "small")
            fill(relay, 3, "large", content=LARGE)

        async with relaying(tmp_path, route_to(sink.port, connections=2), before=before) as relay:
            await sink.received(33)
            await relay.until_empty()
            (pool,) = relay.deliverer._pools.values()  # type: ignore[union-attr]
            assert pool.gate.supply.large == 0


@in_loop
async def test_a_large_mail_that_was_cut_off_is_counted_no_more(tmp_path: Path) -> None:
    async with Sink(Script(hang_up_at={b"MAIL FROM:<large@"})) as sink:

        def before(relay: Relaying) -> None:
            fill(relay, 3, "large", content=LARGE)

        async with relaying(
            tmp_path, route_to(sink.port, connections=1), before=before, lane_backoff_first_s=0.05
        ) as relay:
            await sink.received(3)
            await relay.until_empty()


@pytest.mark.parametrize(
    "script",
    [
        Script(stall_at={b"EHLO"}),
        Script(stall_at={b"MAIL"}),
        Script(verdict_delay_s=60.0),
        Script(greeting=b"421 4.3.2 not now"),
        Script(replies={b"MAIL": b"451 4.7.500 Server busy. Please try again later"}),
    ],
    ids=["says nothing", "stalls", "takes for ever", "refuses", "is busy"],
)
@in_loop
async def test_a_destination_that_is_stuck_holds_no_other_up(tmp_path: Path, script: Script) -> None:
    """Its mail is older, more, and of a higher priority."""
    async with Sink(script) as stuck, Sink() as other:
        stuck_route = route_to(stuck.port, "stuck", connections=2)

        def before(relay: Relaying) -> None:
            for _ in range(300):
                relay.accept(Recipient(b"b@stuck.test", "stuck"), priority=Priority.HIGH)
            for _ in range(50):
                relay.accept(Recipient(b"b@other.test", "other"), priority=Priority.BULK)

        async with relaying(tmp_path, stuck_route, route_to(other.port, "other"), before=before):
            await other.received(50, timeout_s=5.0)
            assert not stuck.mails


@in_loop
async def test_a_destination_that_is_not_there_holds_no_other_up(tmp_path: Path) -> None:
    async with Sink() as gone:
        port = gone.port
    async with Sink() as other:

        def before(relay: Relaying) -> None:
            for _ in range(300):
                relay.accept(Recipient(b"b@gone.test", "gone"), priority=Priority.HIGH)
            for _ in range(50):
                relay.accept(Recipient(b"b@other.test", "other"), priority=Priority.BULK)

        routes = (route_to(port, "gone"), route_to(other.port, "other"))
        async with relaying(tmp_path, *routes, before=before):
            await other.received(50, timeout_s=5.0)
