"""What domains ask for: looked up within bounds, by a real name server too."""

import asyncio
from collections.abc import Coroutine

import pytest

from relay.identity import dmarc, dmarc_dns
from relay.identity.dkim_dns import NoAnswer
from relay.identity.dmarc import Demands
from relay.identity.dmarc_dns import Texts
from relay.message.dmarc import NOTHING, Demand
from tests.fakes.clock import FakeClock
from tests.fakes.name_server import NameServer


class Office:
    def __init__(self, look_up: dmarc_dns.LookUp) -> None:
        self.clock = FakeClock()
        self.failures: list[tuple[str, str]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.demands = Demands(look_up, self.spawn, self.clock, lambda *why: self.failures.append(why))

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def ask(self, domain: str) -> Demand:
        answer: asyncio.Future[Demand] = asyncio.get_running_loop().create_future()
        known = self.demands.get(domain, answer.set_result)
        return await asyncio.wait_for(answer, 20) if known is None else known


def test_a_real_name_server_is_asked_up_the_tree() -> None:
    with NameServer() as server:
        server.publish(
            "_dmarc.contoso.com", "v=DMARC1; p=none; sp=reject; " + "rua=mailto:x@contoso.com," * 30
        )
        server.texts["_dmarc.empty.example"] = []

        async def main() -> None:
            office = Office(lambda name: dmarc_dns.ask(name, server.address))
            assert await office.ask("a.contoso.com") == Demand(True, "contoso.com")
            assert await office.ask("contoso.com") == Demand(False, "contoso.com")
            assert await office.ask("nowhere.example") == NOTHING
            assert office.failures == []
            server.is_broken = True
            assert await office.ask("other.example") == NOTHING
            assert office.failures[0][0] == "other.example"

        asyncio.run(main())
        assert server.questions[:3] == ["_dmarc.a.contoso.com", "_dmarc.contoso.com", "_dmarc.com"]


def test_a_name_that_is_none_is_no_answer() -> None:
    with NameServer() as server:

        async def main() -> None:
            for name in ("_dmarc." + "x" * 70 + ".example", "_dmarc.a..b", "_dmarc." + "a." * 200):
                with pytest.raises(NoAnswer):
                    await dmarc_dns.ask(name, server.address)

        asyncio.run(main())


def test_no_more_are_asked_at_once_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc, "LOOKUPS_MAX", 2)

    async def main() -> None:
        gate = asyncio.Event()

        async def look_up(name: str) -> Texts:
            await gate.wait()
            return Texts((b"v=DMARC1; p=reject; psd=n",), 300.0)

        office = Office(look_up)
        answers: list[Demand] = []
        for _ in range(3):
            assert office.demands.get("a.example", answers.append) is None
        assert office.demands.get("b.example", answers.append) is None
        assert office.demands.get("c.example", answers.append) is NOTHING
        gate.set()
        await asyncio.gather(*office.tasks)
        assert len(answers) == 4 and len(office.tasks) == 2
        assert office.demands.get("a.example", answers.append) == Demand(True, "a.example")

    asyncio.run(main())


def test_who_never_answers_is_waited_for_no_longer_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc, "WAIT_S", 0.02)

    async def main() -> None:
        async def look_up(name: str) -> Texts:
            await asyncio.Event().wait()
            return Texts()

        office = Office(look_up)
        assert await office.ask("a.example") == NOTHING
        assert office.failures == [("a.example", "no answer within 0.02 s")]

    asyncio.run(main())


def test_a_receiver_that_ends_leaves_nobody_waiting() -> None:
    async def main() -> None:
        async def look_up(name: str) -> Texts:
            await asyncio.Event().wait()
            return Texts()

        office = Office(look_up)
        answers: list[Demand] = []
        office.demands.get("a.example", answers.append)
        await asyncio.sleep(0)
        office.tasks[0].cancel()
        await asyncio.gather(*office.tasks, return_exceptions=True)
        assert answers == [NOTHING]

    asyncio.run(main())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc, "REMEMBERED_MAX", 3)

    async def main() -> None:
        async def look_up(name: str) -> Texts:
            return Texts()

        office = Office(look_up)
        for number in range(10):
            await office.ask(f"{number}.example")
        assert len(office.demands._known) <= 3

    asyncio.run(main())
