"""Every row of the reply catalogue, said by the simulator where Microsoft says it.

What a row must do stands in this file, by hand: who stops, what goes on, what becomes of
the mail, when it is tried again. None of it is read from the row, but its sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from relay.m365.catalogue import ROWS
from relay.trace import event as trace
from tests.simulator.world import INSIDE, ORDERS, SALES, STREAMS, Stage, World, performing

SAMPLES = {row.name: row.sample for row in ROWS}
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Who:
    """What stops, and whose mail waits then."""

    scope: str
    key: str
    struck: str
    """The stream that is told."""
    waits: frozenset[str]


SUBMISSION = frozenset({"orders", "orders, outside", "sales", "alerts", "alerts, outside"})
CONNECTOR = frozenset({"connector", "connector, outside", "shop"})
MAILBOX = Who("sender", ORDERS, "orders", frozenset({"orders", "orders, outside", "sales"}))
SEND_AS = Who("sender as", f"{ORDERS} as {SALES}", "sales", frozenset({"sales"}))
SHOP = Who("sender domain", "shop.example", "shop", frozenset({"shop"}))
BY_LOGIN = Who("route", "submission", "orders", SUBMISSION)
BY_CONNECTOR = Who("route", "connector", "connector", CONNECTOR)
ADDRESS = Who("source address", "mx", "connector", CONNECTOR | {"direct"})
FOREST = Who("forest", "127.0.0.1", "connector", CONNECTOR)
TENANT = Who("tenant", "tenant", "orders", frozenset(STREAMS) - {"plain"})
OUTSIDE = Who(
    "tenant, external", "tenant", "orders, outside",
    frozenset({"orders, outside", "alerts, outside", "connector, outside"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stops:
    """One mail tries after so many seconds; None: not before the administrator has acted."""

    who: Who
    probe_s: float | None
    is_suspected: bool = False
    """The third of three in a row is believed; each of them is deferred."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """No session there for a time between these; nothing has stopped, and no attempt is counted."""

    struck: str
    least_s: float
    most_s: float


@dataclass(frozen=True, slots=True)
class Defers:
    """That mail, or that recipient, is tried again after a time between these."""

    struck: str
    least_s: float
    most_s: float


@dataclass(frozen=True, slots=True)
class Holds:
    """That mail, or that recipient, is kept for the administrator."""

    struck: str = "orders"


@dataclass(frozen=True, slots=True)
class Splits:
    """The recipient that was not taken goes in another envelope at once."""


@dataclass(frozen=True, slots=True)
class TakesIpv4:
    """The mail goes over IPv4 at once, and so does all that follows."""


Effect = Stops | Pauses | Defers | Holds | Splits | TakesIpv4

# The time of a probe: in the middle of the row's, as chance is 0.5 here; or the row's interval.
TABLE: dict[str, tuple[str, Effect]] = {
    # The connection. 421 at the end of the data is a verdict on the mail; at the greeting it concerns no mail.
    "connection-timeout": ("end", Defers("orders", 5, 300)),
    "connection-dropped": ("end", Defers("orders", 5, 300)),
    "client-timeout": ("end", Defers("orders", 5, 300)),
    "service-unavailable": ("connect", Pauses("orders", 60, 300)),
    "too-many-connections": ("connect", Stops(BY_CONNECTOR, 330)),
    "forest-connections": ("connect", Stops(FOREST, 330)),
    "tls-rate": ("starttls", Pauses("connector", 60, 300)),
    "too-many-errors": ("end", Defers("orders", 60, 300)),
    "back-pressure": ("data", Defers("connector", 60, 900)),
    "not-redundant": ("end", Defers("connector", 60, 900)),
    "temporary-server-error": ("end", Defers("orders", 60, 600)),
    "attribution-unavailable": ("mail", Defers("connector", 60, 300)),
    "unrecognized-command": ("mail", Holds()),
    "invalid-arguments": ("mail", Holds()),
    "bad-sequence": ("data", Holds()),
    # Of MAIL, as Exchange says it: a client that is refused EHLO says HELO.
    "bad-hello": ("mail", Stops(BY_CONNECTOR, 3600)),
    # The login, said of AUTH; what a mailbox without a session is told, of MAIL.
    "login-refused": ("auth", Stops(MAILBOX, 3600)),
    "smtp-auth-off-tenant": ("auth", Stops(BY_LOGIN, 3600)),
    "smtp-auth-off-mailbox": ("auth", Stops(MAILBOX, 3600)),
    "conditional-access": ("auth", Stops(MAILBOX, 3600)),
    "authentication-policy": ("auth", Stops(BY_LOGIN, 3600)),
    "basic-off": ("auth", Stops(MAILBOX, 3600)),
    "account-locked": ("auth", Stops(MAILBOX, None)),
    "wrong-password": ("auth", Stops(MAILBOX, 3600)),
    "federation-unreachable": ("auth", Stops(MAILBOX, 1800)),
    "federation-without-https": ("auth", Stops(MAILBOX, 1800)),
    "login-refused-by-policy": ("auth", Stops(MAILBOX, 3600)),
    "login-unavailable": ("auth", Pauses("orders", 60, 600)),
    "login-without-mailbox": ("end", Stops(MAILBOX, 330)),
    "unknown-mechanism": ("auth", Stops(BY_LOGIN, 3600)),
    "already-logged-in": ("auth", Pauses("orders", 5, 60)),
    "not-logged-in": ("mail", Stops(MAILBOX, 3600)),
    "basic-retired": ("auth", Stops(MAILBOX, None)),
    "starttls-needed": ("mail", Stops(BY_LOGIN, 3600)),
    "tls-too-old": ("mail", Stops(BY_LOGIN, 3600)),
    "certificate-validation": ("starttls", Stops(BY_CONNECTOR, 1050)),
    "malformed-token": ("auth", Stops(MAILBOX, 3600)),
    "token-expires-soon": ("auth", Stops(MAILBOX, 600)),
    "token-expired": ("auth", Stops(MAILBOX, 600)),
    "token-without-permission": ("auth", Stops(MAILBOX, 3600)),
    "token-refused": ("auth", Stops(MAILBOX, 3600)),
    "application-not-allowed": ("auth", Stops(MAILBOX, 3600)),
    "not-a-high-volume-account": ("auth", Stops(MAILBOX, None)),
    # The mailbox, said of the end of the data (fact: over-limit sessions are told there).
    "concurrent-connections": ("end", Stops(MAILBOX, 17.5)),
    "message-rate": ("end", Stops(MAILBOX, 60)),
    "submission-rate": ("mail", Stops(MAILBOX, 90)),
    "daily-recipients": ("end", Stops(MAILBOX, 45_000)),
    "daily-recipients-number": ("end", Stops(MAILBOX, 45_000)),
    "mailbox-logon": ("end", Stops(MAILBOX, 600)),
    "sender-mailbox-full": ("end", Stops(MAILBOX, 3600)),
    "send-as-denied": ("end", Stops(SEND_AS, None)),
    "send-as-not-permitted": ("end", Stops(SEND_AS, None)),
    "blocked-mailbox-full": ("end", Stops(MAILBOX, 3600)),
    "blocked-send-as": ("end", Stops(MAILBOX, 3600)),
    "blocked-licence": ("end", Stops(MAILBOX, 3600)),
    "blocked-recipients-number": ("end", Stops(MAILBOX, 3600)),
    "blocked-recipients-invalid": ("end", Stops(MAILBOX, 3600)),
    "outbound-spam": ("end", Stops(MAILBOX, 3600)),
    "sender-restricted": ("end", Stops(MAILBOX, 3600)),
    "sender-banned": ("end", Stops(MAILBOX, 3600)),
    "high-volume-sender": ("end", Holds()),
    "high-volume-from": ("end", Holds()),
    # The tenant.
    "external-recipients": ("end", Stops(OUTSIDE, 1350)),
    "external-recipients-trial": ("end", Stops(OUTSIDE, 1350)),
    "onmicrosoft-sender": ("end", Stops(SHOP, 45_000)),
    "tenant-threshold": ("end", Stops(TENANT, 3600)),
    "tenant-too-new": ("end", Stops(TENANT, 3600)),
    "unregistered-domains": ("end", Stops(TENANT, 3600, is_suspected=True)),
    "tenant-block-list": ("end", Holds()),
    "banned-domain": ("end", Holds()),
    "queue-quota": ("end", Stops(TENANT, 900)),
    "loop": ("end", Holds()),
    # The connector and our address; attribution is decided at RCPT, an address may be refused at the greeting.
    "relay-denied": ("rcpt", Stops(BY_CONNECTOR, 900, is_suspected=True)),
    "unable-to-relay": ("rcpt", Stops(BY_CONNECTOR, 900, is_suspected=True)),
    "wrong-region": ("rcpt", Stops(BY_CONNECTOR, 900, is_suspected=True)),
    "unauthenticated": ("rcpt", Defers("connector", 14_400, 86_400)),
    "direct-send-off": ("rcpt", Stops(BY_CONNECTOR, 3600, is_suspected=True)),
    "tenant-locked": ("rcpt", Stops(BY_CONNECTOR, 3600, is_suspected=True)),
    "connector-blocked": ("end", Stops(BY_CONNECTOR, 3600)),
    "server-outdated": ("end", Stops(BY_CONNECTOR, 3600)),
    "server-blocked": ("end", Stops(BY_CONNECTOR, 3600)),
    "address-throttled": ("rcpt", Stops(ADDRESS, 1950)),
    "address-suspicious": ("rcpt", Stops(ADDRESS, 2700)),
    "consumer-throttled": ("mail", Stops(ADDRESS, 2250)),
    "consumer-busy": ("end", Stops(ADDRESS, 2250)),
    "address-reputation": ("rcpt", Stops(ADDRESS, 1950)),
    "address-banned": ("connect", Stops(ADDRESS, 3600)),
    "address-listed": ("mail", Stops(ADDRESS, 3600)),
    "ipv6-unauthenticated": ("rcpt", TakesIpv4()),
    "ipv6-limit": ("mail", TakesIpv4()),
    "ipv6-refused": ("rcpt", TakesIpv4()),
    "address-blocked-by-recipient": ("rcpt", Holds("connector")),
    # One recipient.
    "recipient-not-found": ("rcpt", Holds()),
    "recipient-not-found-consumer": ("rcpt", Holds("connector")),
    "recipient-rejected": ("rcpt", Holds("connector")),
    "recipient-invalid": ("rcpt", Holds("connector")),
    "domain-not-served": ("rcpt", Holds("connector")),
    "recipient-syntax": ("rcpt", Holds()),
    "recipient-refuses": ("rcpt", Holds()),
    "recipient-not-relayed": ("rcpt", Holds("connector")),
    "delivery-not-authorized": ("rcpt", Holds("connector")),
    "transport-rule": ("rcpt", Holds("connector")),
    "recipient-busy": ("rcpt", Defers("orders", 60, 900)),
    "recipient-hourly-pair": ("rcpt", Defers("orders", 3600, 7200)),
    "recipient-hourly": ("rcpt", Defers("orders", 3600, 7200)),
    "recipient-folder-full": ("rcpt", Holds("connector")),
    "recipient-full-later": ("rcpt", Defers("connector", 14_400, 28_800)),
    "recipient-full": ("rcpt", Holds("connector")),
    "too-large-for-recipient": ("rcpt", Holds()),
    "too-many-recipients": ("rcpt", Splits()),
    # A report says so hours later, when the relay has done its part; in a session it is one recipient's.
    "expired": ("rcpt", Holds()),
    # A report, too: there is nothing to stop, as Microsoft itself tries again. In a session: the route's own time.
    "next-hop-trouble": ("rcpt", Defers("connector", 0.75, 1.25)),
    "next-hop-tls": ("rcpt", Holds()),
    # The mail itself. What its domain's DNS lacks is known by the next mail, too, but costs no more than that mail.
    "sender-syntax": ("mail", Holds()),
    "too-large": ("mail", Holds()),
    "header-too-large": ("end", Holds()),
    "invalid-content": ("end", Holds()),
    "partial-message": ("end", Holds()),
    "bare-line-feeds": ("end", Holds()),
    "from-missing": ("end", Holds("connector")),
    "from-many": ("end", Holds("connector")),
    "dmarc": ("end", Holds("connector")),
    "bulk-authentication": ("end", Holds("connector")),
    "spf": ("end", Holds("connector")),
    "unauthenticated-domain": ("end", Holds("connector")),
}  # fmt: skip


def of(*kinds: type[Effect]) -> list[str]:
    """The rows with such an effect."""
    return [name for name, (_, effect) in TABLE.items() if isinstance(effect, kinds)]


def stop_of(name: str) -> tuple[str, Stops]:
    step, effect = TABLE[name]
    assert isinstance(effect, Stops)
    return step, effect


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with performing(tmp_path_factory.mktemp("catalogue")) as stage:
        yield stage


def test_the_table_speaks_of_every_row_and_of_no_other() -> None:
    assert TABLE.keys() == SAMPLES.keys()


def has_been_told(world: World, struck: int, deferred: int) -> bool:
    return world.struck == struck and len(world.told(trace.Deferred)) == deferred


async def stop(world: World, name: str) -> None:
    """The row's reply comes once (three times, where one alone is not believed), and its own thing stops."""
    step, effect = stop_of(name)
    tries = 3 if effect.is_suspected else 1
    world.answer(step, SAMPLES[name], tries)
    for number in range(1, tries + 1):
        assert not world.stopped
        await world.send(effect.who.struck)
        await world.until(partial(has_been_told, world, number, deferred=effect.is_suspected * number))
    await world.until(lambda: world.stopped)
    await world.rest()
    assert world.stopped == [(effect.who.scope, effect.who.key)]
    assert world.struck == tries


async def send_all(world: World, name: str) -> None:
    """One mail more of each stream: those alone go on that have nothing to do with it."""
    _, effect = stop_of(name)
    for stream in STREAMS:
        await world.send(stream)
    goes_on = {stream: 1 for stream in STREAMS if stream not in effect.who.waits}
    await world.until(lambda: goes_on.keys() <= world.taken.keys())
    await world.rest()
    assert world.taken == goes_on


def check_attempts(world: World, name: str) -> None:
    """Mail that waits for what has stopped uses up no attempt; where it may be that mail alone, it does."""
    assert world.attempts == (3 + 1 if stop_of(name)[1].is_suspected else 0)


async def until_all_is_taken(world: World, sent: int) -> None:
    # Of a connection that was opened after the first one was taken, the tick tells.
    await world.until(lambda: world.is_empty)
    assert world.taken.total() == sent and not world.duplicates
    assert len(world.told(trace.BreakerClosed)) == 1


@pytest.mark.parametrize("name", of(Stops))
def test_what_a_reply_speaks_of_stops_and_nothing_else(stage: Stage, name: str) -> None:
    """Also over a restart; then one mail tries, when it is time, and fails; then one more, and all is well."""
    step, effect = stop_of(name)
    sent = len(STREAMS) + (3 if effect.is_suspected else 1)

    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            await stop(world, name)
            await send_all(world, name)
            taken = world.taken
        probe_s = effect.probe_s
        async with world.relaying():
            tries, stops = world.struck, len(world.stopped)
            world.answer(step, SAMPLES[name], times=0)
            await world.pass_by((DAY_S if probe_s is None else probe_s) - 0.5)
            assert (world.taken, world.struck) == (taken, tries), "nothing is tried before its time"
            if probe_s is not None:
                await world.pass_by(1.0)
                await world.until(lambda: len(world.stopped) > stops)
                await world.rest()
                assert (world.taken, world.struck) == (taken, tries + 1), "one mail alone tries"
                assert world.stopped[-1] == (effect.who.scope, effect.who.key)
                assert len(world.stopped) == stops + 1
                await world.pass_by(probe_s - 1.5)
                assert (world.taken, world.struck) == (taken, tries + 1)
                world.be_well()
                await world.pass_by(2.0)
                await until_all_is_taken(world, sent)
        if probe_s is None:
            world.be_well()
            async with world.relaying(acted_at=world.clock.now()):
                await until_all_is_taken(world, sent)
        check_attempts(world, name)

    stage.play(story)


@pytest.mark.parametrize("name", of(Pauses))
def test_a_session_that_is_not_to_be_had_is_tried_again_in_time(stage: Stage, name: str) -> None:
    step, effect = TABLE[name]
    assert isinstance(effect, Pauses)

    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer(step, SAMPLES[name], times=0)
            await world.send(effect.struck)
            await world.until(lambda: world.told(trace.ConnectionFailed))
            await world.pass_by(effect.least_s - 0.5)
            assert world.struck == 1 and not world.stopped and not world.attempts
            world.be_well()
            for stream in STREAMS:
                await world.send(stream)
            await world.until(lambda: world.taken["plain"])
            await world.pass_by(effect.most_s - effect.least_s + 1.0)
            await world.until(lambda: world.is_empty)
            assert world.taken.total() == len(STREAMS) + 1 and not world.stopped and not world.attempts

    stage.play(story)


@pytest.mark.parametrize("name", of(Defers))
def test_one_mail_or_recipient_is_tried_again_in_time(stage: Stage, name: str) -> None:
    step, effect = TABLE[name]
    assert isinstance(effect, Defers)

    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer(step, SAMPLES[name])
            further = ("further@contoso.example",) if step == "rcpt" else ()
            await world.send(effect.struck, *further)
            await world.until(lambda: world.told(trace.Deferred))
            [deferred] = world.told(trace.Deferred)
            assert deferred.recipients == (INSIDE,) and deferred.attempts == 1
            for stream in STREAMS:
                await world.send(stream)
            await world.until(lambda: world.taken.keys() == STREAMS.keys())
            await world.pass_by(effect.least_s - 0.25)
            already = len(STREAMS) + len(further)
            assert world.taken.total() == already and not world.stopped
            await world.pass_by(effect.most_s - effect.least_s + 0.5)
            await world.until(lambda: world.is_empty)
            assert world.taken.total() == already + 1 and world.attempts == 1
            assert world.struck == 1 and not world.stopped and not world.duplicates

    stage.play(story)


@pytest.mark.parametrize("name", of(Holds))
def test_one_mail_or_recipient_is_held_and_all_others_go(stage: Stage, name: str) -> None:
    step, effect = TABLE[name]
    assert isinstance(effect, Holds)

    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer(step, SAMPLES[name])
            further = ("further@contoso.example",) if step == "rcpt" else ()
            await world.send(effect.struck, *further)
            await world.until(lambda: world.told(trace.Held))
            [held] = world.told(trace.Held)
            assert held.recipients == (INSIDE,) and held.reply.startswith(SAMPLES[name][:3])
            for stream in STREAMS:
                await world.send(stream)
            await world.until(lambda: world.taken.total() == len(STREAMS) + len(further))
            await world.pass_by(DAY_S)
            assert world.taken.total() == len(STREAMS) + len(further)
            assert world.attempts == 1 and world.struck == 1 and not world.stopped and not world.duplicates

    stage.play(story)


@pytest.mark.parametrize("name", of(Splits))
def test_recipients_that_are_left_go_in_another_envelope_at_once(stage: Stage, name: str) -> None:
    step, _ = TABLE[name]

    async def story() -> None:
        world = World(stage.servers)
        async with world.relaying():
            world.answer(step, SAMPLES[name])
            await world.send("orders", "further@contoso.example")
            await world.until(lambda: world.is_empty)
            assert world.taken == {"orders": 2} and world.struck == 1
            assert not world.attempts and not world.stopped and not world.duplicates

    stage.play(story)


@pytest.mark.parametrize("name", of(TakesIpv4))
def test_mail_that_ipv6_is_not_good_enough_for_goes_over_ipv4(stage: Stage, name: str) -> None:
    step, _ = TABLE[name]
    over_ipv6 = stage.servers.over_ipv6
    if over_ipv6 is None:
        pytest.skip("this machine has no IPv6")

    async def story() -> None:
        world = World(stage.servers, stage.servers.routes(connector_hosts=("::1", "127.0.0.1")))
        async with world.relaying():
            stage.servers.simulator.faults.clear()
            world.answer(step, SAMPLES[name], times=0)
            stage.servers.simulator.faults.clear()
            before = over_ipv6.ledger.accepted
            for _ in range(5):
                await world.send("connector")
            await world.until(lambda: world.is_empty)
            assert world.taken == {"connector": 5} and over_ipv6.ledger.accepted == before
            # One may stand behind the first on the wire.
            assert 1 <= world.struck <= 2
            assert not world.attempts and not world.stopped and not world.duplicates

    stage.play(story)
