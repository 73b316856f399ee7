"""Where a route's hosts are, and which of their addresses are tried."""

import asyncio
import socket
from pathlib import Path

import pytest

from relay.deliver.address import Address, AddressBook, Unresolved, resolve
from relay.deliver.mx import STALE_MAX_S
from relay.deliver.options import DelivererOptions
from relay.route.route import Route
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop

OPTIONS = DelivererOptions("relay.test", handover_path=Path("unused"))


class Names:
    """A name server in a dictionary."""

    def __init__(self, **names: list[str] | OSError) -> None:
        self.names = names
        self.asked = 0

    async def resolve(self, host: str, ipv4_only: bool) -> list[str]:
        self.asked += 1
        found = self.names[host]
        if isinstance(found, OSError):
            raise found
        return found


def book(names: Names, clock: FakeClock, *hosts: str, ipv4_only: bool = False) -> AddressBook:
    route = Route("r", hosts or tuple(names.names), 25, ipv4_only=ipv4_only, connect_timeout_s=0.05)
    return AddressBook(route, OPTIONS, clock, lambda: 0.5, names.resolve)


async def ips(tested: AddressBook) -> list[str]:
    return [address.ip for address in await tested.candidates()]


@in_loop
async def test_hosts_and_their_addresses_come_in_order() -> None:
    names = Names(one=["192.0.2.2", "2001:db8::1"], two=["192.0.2.1"])
    assert await ips(book(names, FakeClock())) == ["192.0.2.2", "2001:db8::1", "192.0.2.1"]


@in_loop
async def test_ipv4_only_leaves_the_others_out() -> None:
    names = Names(one=["2001:db8::1", "192.0.2.2"])
    assert await ips(book(names, FakeClock(), ipv4_only=True)) == ["192.0.2.2"]
    with pytest.raises(Unresolved, match="ipv4_only"):
        await book(Names(one=["2001:db8::1"]), FakeClock(), ipv4_only=True).candidates()


@in_loop
async def test_an_address_that_failed_is_passed_over_for_a_while() -> None:
    clock, names = FakeClock(), Names(one=["192.0.2.1", "192.0.2.2"])
    tested = book(names, clock)
    tested.failed((await tested.candidates())[0])
    assert await ips(tested) == ["192.0.2.2"]
    clock.advance(OPTIONS.address_backoff_first_s + 0.1)
    assert await ips(tested) == ["192.0.2.1", "192.0.2.2"]


@in_loop
async def test_when_all_failed_all_are_tried() -> None:
    tested = book(Names(one=["192.0.2.1", "192.0.2.2"]), FakeClock())
    for address in await tested.candidates():
        tested.failed(address)
    assert len(await tested.candidates()) == 2


@in_loop
async def test_each_failure_doubles_the_time_and_a_success_forgets_them() -> None:
    clock = FakeClock()
    tested = book(Names(one=["192.0.2.1", "192.0.2.2"]), clock)
    first = (await tested.candidates())[0]
    for _ in range(2):
        tested.failed(first)
    clock.advance(OPTIONS.address_backoff_first_s + 0.1)
    assert await ips(tested) == ["192.0.2.2"]
    tested.worked(first)
    assert await ips(tested) == ["192.0.2.1", "192.0.2.2"]


@in_loop
async def test_names_are_looked_up_once_a_minute() -> None:
    clock, names = FakeClock(), Names(one=["192.0.2.1"])
    tested = book(names, clock)
    await tested.candidates()
    await tested.candidates()
    assert names.asked == 1
    clock.advance(OPTIONS.resolve_interval_s)
    names.names["one"] = ["192.0.2.9"]
    assert await ips(tested) == ["192.0.2.9"]


@pytest.mark.parametrize(
    ("error", "is_fault"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), True),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), False),
        (OSError("no network"), False),
    ],
)
@in_loop
async def test_a_name_that_does_not_exist_is_a_fault_and_a_silent_server_is_not(
    error: OSError, is_fault: bool
) -> None:
    with pytest.raises(Unresolved) as caught:
        await book(Names(one=error), FakeClock()).candidates()
    assert caught.value.is_fault is is_fault and "one" in str(caught.value)


@in_loop
async def test_a_name_server_that_fails_leaves_the_last_addresses_for_a_day() -> None:
    clock, names = FakeClock(), Names(one=["192.0.2.1"])
    tested = book(names, clock)
    await tested.candidates()
    names.names["one"] = socket.gaierror(socket.EAI_AGAIN, "try again")
    clock.advance(OPTIONS.resolve_interval_s)
    assert await ips(tested) == ["192.0.2.1"]
    assert await ips(tested) == ["192.0.2.1"]
    assert names.asked == 2, "not for each connection"
    clock.advance(STALE_MAX_S)
    with pytest.raises(Unresolved):
        await tested.candidates()
    names.names["one"] = ["192.0.2.9"]
    assert await ips(tested) == ["192.0.2.9"]


@in_loop
async def test_a_name_that_is_gone_takes_its_addresses_with_it() -> None:
    clock, names = FakeClock(), Names(one=["192.0.2.1"])
    tested = book(names, clock)
    await tested.candidates()
    names.names["one"] = socket.gaierror(socket.EAI_NONAME, "no such name")
    clock.advance(OPTIONS.resolve_interval_s)
    for _ in range(2):
        with pytest.raises(Unresolved) as caught:
            await tested.candidates()
        assert caught.value.is_fault


@in_loop
async def test_one_host_that_resolves_is_enough() -> None:
    names = Names(one=socket.gaierror(socket.EAI_NONAME, "no such name"), two=["192.0.2.1"])
    assert await ips(book(names, FakeClock())) == ["192.0.2.1"]


@in_loop
async def test_a_name_server_that_never_answers_is_not_waited_for() -> None:
    async def silent(host: str, ipv4_only: bool) -> list[str]:
        await asyncio.Event().wait()
        return []

    route = Route("r", ("one",), connect_timeout_s=0.01)
    with pytest.raises(Unresolved, match="no answer") as caught:
        await AddressBook(route, OPTIONS, FakeClock(), lambda: 0.5, silent).candidates()
    assert not caught.value.is_fault


@in_loop
async def test_addresses_are_not_looked_up() -> None:
    assert await resolve("192.0.2.1", True) == ["192.0.2.1"]
    assert await resolve("[2001:db8::1]", False) == ["2001:db8::1"]
    assert "127.0.0.1" in await resolve("localhost", True)


def test_an_address_reads_well() -> None:
    assert str(Address("h.test", "192.0.2.1", 25)) == "h.test (192.0.2.1:25)"
    assert str(Address("2001:db8::1", "2001:db8::1", 25)) == "[2001:db8::1]:25"
