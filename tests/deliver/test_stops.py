"""What stops, at the edges: mail of no sender, of a strange one, over IPv6 alone, and over restarts."""

from collections.abc import Iterator

import pytest

from relay.trace import event as trace
from tests.simulator.world import ORDERS, Stage, World, performing

SEND_AS_DENIED = "554 5.2.252 SendAsDenied; relay@example.com not allowed to send as sales@example.com"
OF_A_DOMAIN = "550 5.7.236"
OUTSIDE_ALONE = "550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit"
LOCKED = "535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator."
RELAY_DENIED = "550 5.7.64 TenantAttribution; Relay Access Denied SMTP"
BLOCKED = "550 5.2.252 Sender throttled due to continuous send as denied errors."
NOT_FOUND = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with performing(tmp_path_factory.mktemp("stops")) as stage:
        yield stage


@pytest.mark.parametrize("sender", [b"", b"caf\xe9\xff@shop.example"], ids=["nobody", "no text"])
@pytest.mark.parametrize("reply", [SEND_AS_DENIED, OF_A_DOMAIN])
def test_a_strange_sender_waits_like_any_other(stage: Stage, reply: str, sender: bytes) -> None:
    """And is known again after a restart, and goes when the administrator has acted."""

    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer("mail", reply, times=0)
            await world.send("connector", sender=sender)
            await world.until(lambda: world.stopped)
            await world.rest()
            assert len(world.stopped) == 1 and world.struck == 1
            assert all(str(event).isprintable() for event in world.told(trace.BreakerOpened))
            world.be_well()
            await world.send("connector")
            await world.until(lambda: world.taken["connector"])
        async with world.relaying():
            await world.rest()
            assert world.taken == {"connector": 1} and not world.attempts
        async with world.relaying(acted_at=world.clock.now() + 1):
            # What is no text at all, the simulator does not take for an address.
            await world.until(lambda: world.taken == {"connector": 2} or world.told(trace.Held))
            assert world.taken["connector"] + len(world.told(trace.Held)) == 2

    stage.play(story)


def test_a_connector_that_denies_a_sender_stops_him_there_alone(stage: Stage) -> None:
    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer("end", SEND_AS_DENIED)
            await world.send("connector")
            await world.until(lambda: world.stopped)
            assert world.stopped == [("sender as", "connector as app@contoso.example")]
            for name in ("direct", "orders", "shop"):
                await world.send(name)
            await world.until(lambda: world.taken == {"direct": 1, "orders": 1, "shop": 1})

    stage.play(story)


@pytest.mark.parametrize("reply", [OUTSIDE_ALONE, OF_A_DOMAIN, SEND_AS_DENIED])
def test_no_mail_is_lost_when_a_session_is_refused_for_what_only_some_mail_has(
    stage: Stage, reply: str
) -> None:
    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer("connect", reply, times=0)
            await world.send("connector")
            await world.until(lambda: world.struck)
            await world.rest()
            assert world.struck == 1, "there is a pause before the next try"
            world.be_well()
            await world.pass_by(3600.5)
            await world.until(lambda: world.is_empty)
            assert world.taken == {"connector": 1} and not world.attempts and not world.stopped

    stage.play(story)


def test_where_there_is_ipv6_alone_mail_is_tried_again_in_time(stage: Stage) -> None:
    if stage.servers.over_ipv6 is None:
        pytest.skip("this machine has no IPv6")

    async def story() -> None:
        world = World(stage.servers, stage.servers.routes(connector_hosts=("::1",)))
        async with world.relaying():
            world.answer(
                "rcpt", "450 4.7.26 Access denied, a message sent over IPv6 must pass SPF or DKIM", times=0
            )
            await world.send("connector")
            await world.until(lambda: world.told(trace.Deferred))
            await world.rest()
            assert world.struck == 2, "once before IPv4 was asked for, and once behind it"
            world.be_well()
            await world.pass_by(2.0)
            await world.until(lambda: world.is_empty)

    stage.play(story)


def test_what_was_tried_after_a_reload_and_failed_stays_over_a_crash(stage: Stage) -> None:
    """Each further login would prolong the lock: the word of the administrator is good for one."""

    async def story() -> None:
        world = World(stage.servers)
        world.answer("auth", LOCKED, times=0)
        async with world.relaying():
            await world.send("orders")
            await world.until(lambda: world.struck == 1 and world.stopped)
        world.clock.advance(100.0)
        acted_at = world.clock.now()
        world.clock.advance(1.0)
        async with world.relaying(acted_at):
            await world.until(lambda: world.struck == 2 and len(world.stopped) == 2)
        async with world.relaying(acted_at):
            await world.rest()
            assert world.struck == 2

    stage.play(story)


def test_mail_that_comes_back_to_a_lane_that_waits_no_more_goes(stage: Stage) -> None:
    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer("rcpt", "550 5.2.122 Recipient's per hour message receive limit exceeded.")
            await world.send("shop")
            await world.until(lambda: world.told(trace.Deferred))
            await world.pass_by(3000.0)
            world.answer("end", "550 5.7.236")
            await world.send("shop")
            await world.until(lambda: world.stopped)
        world.be_well()
        async with world.relaying():
            # Due after an hour, in the lane that waits; that is over after half a day.
            await world.pass_by(45_000.5)
            await world.until(lambda: world.is_empty)
            assert world.taken == {"shop": 2}

    stage.play(story)


def test_a_probe_that_is_refused_for_its_own_sake_proves_nothing(stage: Stage) -> None:
    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer("end", BLOCKED)
            for _ in range(3):
                await world.send("orders")
            await world.until(lambda: world.stopped == [("sender", ORDERS)])
            world.answer("rcpt", NOT_FOUND)
            await world.pass_by(3600.5)
            await world.until(lambda: world.told(trace.Held))
            await world.rest()
            assert not world.told(trace.BreakerClosed) and not world.taken
            await world.pass_by(5.5)
            await world.until(lambda: world.taken == {"orders": 2})
            assert len(world.told(trace.BreakerClosed)) == 1

    stage.play(story)


def test_a_suspicion_that_was_believed_is_believed_of_the_probe_after_a_restart(stage: Stage) -> None:
    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer("rcpt", RELAY_DENIED, times=0)
            for _ in range(6):
                await world.send("connector")
            await world.until(lambda: world.stopped == [("route", "connector")])
        tried = world.struck
        async with world.relaying():
            await world.pass_by(901.0)
            await world.until(lambda: len(world.stopped) == 2)
            await world.rest()
            assert world.struck == tried + 1 and not world.told(trace.BreakerClosed)

    stage.play(story)
