"""How much a client may send, and to whom, over a real socket and over several receivers."""

from contextlib import AsyncExitStack
from pathlib import Path

from relay.budget.ring import Counted, Per, Quota
from relay.errors import SpoolError
from relay.identity.client import Client, Policy
from relay.message.priority import Priority
from relay.receive.options import Auth, ListenerOptions
from relay.route.match import Match
from relay.route.route import Route
from relay.route.tenant import Tenant
from relay.spool.usage import Busy, OwnUsage, SharedUsage
from tests.fakes.clients import ERP, clients
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client as Wire
from tests.receive.harness import HeldCommitter, House, house, run, until
from tests.receive.test_auth import greeted, log_in, send

OPEN = (Route("world", ("mx.example",)),)


def local(policy: Policy) -> Client:
    return Client("local", networks=("127.0.0.1/32",), policy=policy)


async def rcpt(wire: Wire, *recipients: bytes) -> list[bytes]:
    """Replies to RCPT; the transaction is ended."""
    said = [await wire.say(b"MAIL FROM:<alice@example.com>\r\n")]
    assert said[0].startswith(b"250"), said
    said = [await wire.say(b"RCPT TO:<%b>\r\n" % each) for each in recipients]
    await wire.say(b"RSET\r\n")
    return said


def test_a_client_sends_to_whom_it_may() -> None:
    async def main() -> None:
        policy = Policy(recipients=("inside", "partner.example", "boss@else.example"))
        async with house(
            clients=clients(local(policy)), routes=OPEN, tenant=Tenant(("contoso.com", "*.contoso.com"))
        ) as h:
            wire = await greeted(h)
            taken = [b"a@contoso.com", b"a@x.CONTOSO.com", b"b@partner.example", b"Boss@else.example"]
            refused = [
                b"a@else.example",
                b"a@x.partner.example",
                b"a@inside",
                b"a@notcontoso.com",
                b"postmaster",
            ]
            assert all(said.startswith(b"250 2.1.5") for said in await rcpt(wire, *taken))
            for said in await rcpt(wire, *refused):
                assert said == b"550 5.7.1 You may not send to this recipient\r\n"
            await wire.close()

    run(main)


def test_a_client_takes_only_the_routes_it_may() -> None:
    async def main() -> None:
        routes = (
            Route("inside", ("mx.inside.example",), recipients=("inside.example",)),
            Route("dear", ("mx.dear.example",)),
            Route("cheap", ("mx.cheap.example",)),
        )
        bound = local(Policy(routes=("cheap",)))
        nothing = Client("erp", "erp", ERP.passwords, policy=Policy(routes=("inside",)))
        listener = ListenerOptions("test", auth=Auth.OPTIONAL, auth_without_tls=True)
        async with house(listener=listener, clients=clients(bound, nothing), routes=routes) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, _),) = h.mails()
            assert envelope.routes() == ("cheap",)
            await log_in(wire)
            (outside, inside) = await rcpt(wire, b"b@example.com", b"b@inside.example")
            assert outside == b"550 5.7.1 No route that you may use leads to this recipient\r\n"
            assert inside.startswith(b"250 2.1.5")
            await wire.close()

    run(main)


def test_a_route_that_no_client_could_take_is_not_said_to_be_another_clients() -> None:
    async def main() -> None:
        routes = (
            Route("inside", ("mx.inside.example",), recipients=("inside.example",)),
            Route("theirs", ("mx.example",), matches=(Match(clients=("other",)),)),
        )
        async with house(clients=clients(local(Policy(routes=("inside",)))), routes=routes) as h:
            wire = await greeted(h)
            assert await rcpt(wire, b"b@example.com") == [b"550 5.7.1 No route leads to this recipient\r\n"]
            await wire.close()

    run(main)


def test_mail_that_names_no_campaign_has_that_of_its_client() -> None:
    async def main() -> None:
        async with house(clients=clients(local(Policy(campaign="Letters")))) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"250 2.0.0")
            assert (await send(wire, mail=b"X-Relay-Campaign: May\r\n\r\nx\r\n")).startswith(b"250 2.0.0")
            assert [envelope.campaign for envelope, _ in h.mails()] == ["Letters", "May"]
            await wire.close()

    run(main)


def test_priority_is_the_clients_and_never_above_its_or_the_listeners_highest() -> None:
    async def main() -> None:
        listener = ListenerOptions(
            "test", auth=Auth.OPTIONAL, auth_without_tls=True, priority_max=Priority.NORMAL
        )
        bulk = local(Policy(priority=Priority.BULK))
        capped = Client("erp", "erp", ERP.passwords, policy=Policy(priority_max=Priority.BULK))
        async with house(listener=listener, clients=clients(bulk, capped)) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"250 2.0.0")
            assert (await wire.say(b"MAIL FROM:<alice@example.com> MT-PRIORITY=4\r\n")).startswith(
                b"250 2.3.6 0 "
            )
            await wire.say(b"RSET\r\n")
            assert (await send(wire, mail=b"X-Relay-Priority: high\r\n\r\nx\r\n")).startswith(b"250 2.0.0")
            await log_in(wire)
            assert (await wire.say(b"MAIL FROM:<alice@example.com> MT-PRIORITY=0\r\n")).startswith(
                b"250 2.3.6 -4 "
            )
            await wire.say(b"RSET\r\n")
            assert (await send(wire)).startswith(b"250 2.0.0")
            assert {envelope.campaign for envelope, _ in h.mails()} == {""}
            priorities = [envelope.priority for envelope, _ in h.mails()]
            assert priorities == [Priority.BULK, Priority.NORMAL, Priority.BULK]
            await wire.close()

    run(main)


def test_a_mail_that_is_larger_than_the_client_may_send_is_refused_early_and_kept_nowhere() -> None:
    async def main() -> None:
        async with house(clients=clients(local(Policy(message_bytes=600_000)))) as h:
            wire = await greeted(h)
            reply = b"552 5.3.4 A mail of yours may have 600000 bytes\r\n"
            assert await wire.say(b"MAIL FROM:<alice@example.com> SIZE=600001\r\n") == reply
            for size, said in ((599_000, b"250 2.0.0"), (600_100, reply), (3_000_000, reply)):
                line = b"x" * 98 + b"\r\n"
                head = b"From: alice@example.com\r\n\r\n"
                answer = await send(wire, mail=head + line * ((size - len(head)) // 100))
                assert answer.startswith(said), (size, answer)
            assert len(h.mails()) == 1
            await until(lambda: not h.receiver.content_bytes)
            await wire.close()

    run(main)


def test_recipients_of_a_mail_are_bounded_and_the_rest_goes_in_another() -> None:
    async def main() -> None:
        async with house(clients=clients(local(Policy(recipients_per_message=2)))) as h:
            wire = await greeted(h)
            said = await rcpt(wire, *(b"b%d@example.com" % number for number in range(3)))
            assert [each[:9] for each in said] == [b"250 2.1.5", b"250 2.1.5", b"452 4.5.3"]
            await wire.close()

    run(main)


def test_messages_of_a_quota_are_used_up_and_come_back() -> None:
    async def main() -> None:
        clock = FakeClock()
        policy = Policy(quotas=(Quota(Counted.MESSAGES, Per.HOUR, 2), Quota(Counted.RECIPIENTS, Per.DAY, 9)))
        async with house(clients=clients(local(policy)), clock=clock) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"250 2.0.0")
            # A mail that is refused uses nothing.
            assert (await send(wire, mail=b"X-Relay-Priority: soon\r\n\r\n")).startswith(b"550 5.6.0")
            assert (await send(wire)).startswith(b"250 2.0.0")
            said = await send(wire)
            assert said.startswith(b"450 4.7.1 Your messages for this hour are used up; try again in 36"), (
                said
            )
            clock.advance(int(said.split()[-2]) + 0.5)
            assert (await send(wire)).startswith(b"250 2.0.0")
            await wire.close()

    run(main)


def test_recipients_of_a_quota_are_counted_while_they_are_named() -> None:
    async def main() -> None:
        policy = Policy(quotas=(Quota(Counted.RECIPIENTS, Per.MINUTE, 3),))
        async with house(clients=clients(local(policy)), clock=FakeClock()) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"250 2.0.0")
            said = await rcpt(wire, *(b"b%d@example.com" % number for number in range(3)))
            assert [each[:9] for each in said] == [b"250 2.1.5", b"250 2.1.5", b"450 4.7.1"]
            assert said[2].startswith(b"450 4.7.1 Your recipients for this minute are used up; try again in ")
            await wire.close()

    run(main)


def test_two_sessions_that_end_at_once_do_not_share_the_last_mail_of_a_quota() -> None:
    async def main() -> None:
        held = HeldCommitter()
        policy = Policy(quotas=(Quota(Counted.MESSAGES, Per.DAY, 1),))
        async with house(clients=clients(local(policy)), held=held) as h:
            one, two = await Wire.connect(h.port), await Wire.connect(h.port)
            await one.open_mail()
            await two.open_mail()
            one.writer.write(b"\r\nx\r\n.\r\n")
            await until(lambda: bool(held.changes))
            assert (await two.say(b"\r\nx\r\n.\r\n")).startswith(b"450 4.7.1 Your messages for this day")
            # The disk fails: the mail is not used up.
            held.release(SpoolError("the disk fails"))
            assert (await one.reply()).startswith(b"451 4.3.0")
            held.eager = True
            assert (await send(two)).startswith(b"250 2.0.0")
            await one.close()
            await two.close()

    run(main)


def test_receivers_count_together(tmp_path: Path) -> None:
    async def main() -> None:
        policy = Policy(connections=2, quotas=(Quota(Counted.MESSAGES, Per.DAY, 3),))
        async with AsyncExitStack() as stack:
            homes: list[House] = []
            for _ in range(2):
                usage = SharedUsage(tmp_path)
                stack.callback(usage.close)
                homes.append(
                    await stack.enter_async_context(house(clients=clients(local(policy)), usage=usage))
                )
            wires = [await greeted(h) for h in homes]
            said = [await send(wire) for wire in (*wires, *wires)]
            assert [each[:9] for each in said] == [b"250 2.0.0"] * 3 + [b"450 4.7.1"]
            third = await greeted(homes[1])
            assert (await send(third)) == b"421 4.7.0 Too many connections of yours send at once\r\n"
            assert await third.rest() == b""
            await wires[0].close()
            await until(lambda: not homes[0].receiver.sessions)
            fourth = await greeted(homes[1])
            assert (await send(fourth)).startswith(b"450 4.7.1")
            for wire in (wires[1], third, fourth):
                await wire.close()

    run(main)


def test_a_session_that_turns_into_another_client_leaves_its_place() -> None:
    async def main() -> None:
        listener = ListenerOptions("test", auth=Auth.OPTIONAL, auth_without_tls=True)
        async with house(listener=listener, clients=clients(ERP, local(Policy(connections=1)))) as h:
            one = await greeted(h)
            assert (await send(one)).startswith(b"250 2.0.0")
            await log_in(one)
            assert (await send(one)).startswith(b"250 2.0.0")
            two = await greeted(h)
            assert (await send(two)).startswith(b"250 2.0.0")
            await one.close()
            await two.close()

    run(main)


class Stuck(OwnUsage):
    """Somebody was stopped in his turn."""

    def __enter__(self) -> None:
        raise Busy("stuck")


def test_counts_that_cannot_be_looked_at_put_the_mail_off() -> None:
    async def main() -> None:
        policy = Policy(quotas=(Quota(Counted.MESSAGES, Per.DAY, 3),))
        async with house(clients=clients(local(policy)), usage=Stuck()) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"450 4.7.1 Your quota cannot be looked at")
            await wire.close()

    run(main)
