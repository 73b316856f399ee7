"""Who is learnt, and who never: by address, by time, by the number of places. Without a socket."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from relay.identity.client import INSIDE, Client, Clients
from relay.identity.directory import Directory
from relay.receive.learning import FULL, FULL_S, Learning, canonical, give_back_places, learning_bounds
from relay.receive.learning_options import LearningOptions
from relay.receive.learning_watch import LearningWatch
from relay.spool.usage import OwnUsage, SharedUsage, Usage
from relay.trace.event import DeviceAdmitted, DeviceRefused, Event, LearningBegan, LearningEnded
from tests.fakes.clock import FakeClock

DAY_S = 86_400.0
NOW = 1_800_000_000.0
OPTIONS = LearningOptions(
    ("10.20.0.0/16", "2001:db8:7::/64"), "printers", NOW + 30 * DAY_S, ("contoso.com",), devices=3
)


class Place:
    """A learning mode, its clock and what it said."""

    def __init__(
        self,
        options: LearningOptions = OPTIONS,
        clients: tuple[Client, ...] = (),
        proxies: tuple[str, ...] = (),
        usage: Usage | None = None,
    ) -> None:
        self.clock = FakeClock(NOW)
        self.events: list[Event] = []
        self.usage = usage or OwnUsage()
        directory = Directory(Clients(clients, "seed"), lambda count: b"x" * count)
        self.learning = Learning(options, directory, proxies, self.usage, self.clock, self.events.append)

    def is_let_in(self, address: str) -> bool:
        """Does its MAIL pass? Whether it may connect must be the same question."""
        client = self.learning.client_at(address)
        assert self.learning.serves(address, "l") is (client is not None)
        return client is not None and self.learning.admit(client, address, "l") is None


def test_an_unknown_device_inside_is_a_client_with_a_tight_policy() -> None:
    place = Place()
    client = place.learning.client_at("10.20.0.7")
    assert client is not None
    policy = client.policy
    assert client.name == "learning:10.20.0.7"
    assert policy.senders == policy.authors == ("contoso.com",)
    assert (policy.recipients, policy.routes) == ((INSIDE,), ("printers",))
    assert policy.message_bytes and policy.recipients_per_message and policy.connections and policy.quotas
    assert replace(OPTIONS, outside=True).policy().recipients is None


@pytest.mark.parametrize(
    "address",
    [
        "10.21.0.1",
        "192.0.2.1",
        "127.0.0.1",
        "2001:db8:8::1",
        "::ffff:10.21.0.1",
        "",
        "unix",
        "10.20.0.7.evil",
    ],
)
def test_nobody_outside_is_let_in(address: str) -> None:
    assert not Place().is_let_in(address)


@pytest.mark.parametrize("address", ["10.20.255.255", "2001:db8:7::1", "::ffff:10.20.0.7"])
def test_everybody_inside_is(address: str) -> None:
    assert Place().is_let_in(address)


def test_one_address_is_one_device_however_it_is_written() -> None:
    place = Place()
    names = {
        client.name
        for client in map(place.learning.client_at, ("10.20.0.7", "::ffff:10.20.0.7", "::ffff:0a14:0007"))
        if client is not None
    }
    assert names == {"learning:10.20.0.7"}
    assert canonical("2001:DB8:7:0::7%eth0") == "2001:db8:7::7"


def test_who_is_a_client_is_never_learnt_and_a_disabled_one_is_not_let_in_by_this_door() -> None:
    known = Client("printer", networks=("10.20.0.7/32",))
    assert not Place(clients=(known,)).is_let_in("10.20.0.7")
    disabled = replace(known, is_disabled=True)
    assert not Place(clients=(disabled,)).is_let_in("10.20.0.7")
    assert Place(clients=(disabled,)).is_let_in("10.20.0.8")


def test_a_proxy_is_never_learnt_for_anybody_may_stand_behind_it() -> None:
    place = Place(proxies=("10.20.0.1/32",))
    assert not place.is_let_in("10.20.0.1")
    assert place.is_let_in("10.20.0.2")


def test_it_ends_by_itself_at_its_moment_and_says_who_still_comes() -> None:
    place = Place()
    assert place.is_let_in("10.20.0.7")
    place.clock.advance(30 * DAY_S - 1)
    assert place.is_let_in("10.20.0.7")
    place.clock.advance(1)
    assert not place.is_let_in("10.20.0.7") and place.learning.is_over
    for _ in range(3):
        place.is_let_in("10.20.0.7")
    place.is_let_in("10.21.0.7")
    refused = [event for event in place.events if isinstance(event, DeviceRefused)]
    assert refused == [DeviceRefused("10.20.0.7", "l", "over")]


def test_a_wall_clock_that_is_set_back_gives_no_more_time() -> None:
    place = Place()
    place.clock.set_wall(NOW - 300 * DAY_S)
    place.clock.advance(30 * DAY_S)
    assert not place.is_let_in("10.20.0.7")


def test_a_wall_clock_that_was_ahead_for_a_moment_has_ended_it() -> None:
    """What is told as ended must not begin again by itself."""
    place = Place()
    place.clock.set_wall(NOW + 40 * DAY_S)
    assert not place.is_let_in("10.20.0.7")
    place.clock.set_wall(NOW)
    assert not place.is_let_in("10.20.0.7")


def test_one_that_is_over_when_it_begins_lets_nobody_in() -> None:
    assert not Place(replace(OPTIONS, until=NOW)).is_let_in("10.20.0.7")


@pytest.fixture(params=["memory", "disk"])
def usage(request: pytest.FixtureRequest, tmp_path: Path) -> Usage:
    return OwnUsage() if request.param == "memory" else SharedUsage(tmp_path)


def test_places_are_bounded_and_those_who_have_one_keep_it(usage: Usage) -> None:
    place = Place(usage=usage)
    assert [place.is_let_in(f"10.20.0.{n}") for n in range(5)] == [True, True, True, False, False]
    client = place.learning.client_at("10.20.0.4")
    assert client is not None and place.learning.admit(client, "10.20.0.4", "l") is FULL
    assert place.is_let_in("10.20.0.0")
    admitted = [event.account for event in place.events if isinstance(event, DeviceAdmitted)]
    assert admitted == [f"learning:10.20.0.{n}" for n in range(3)]
    refused = [event.client for event in place.events if isinstance(event, DeviceRefused)]
    assert refused == ["10.20.0.3", "10.20.0.4"]


def test_to_connect_takes_no_place() -> None:
    place = Place()
    for n in range(100):
        assert place.learning.serves(f"10.20.1.{n}", "l")
    assert place.is_let_in("10.20.0.1")


def test_places_are_counted_over_receivers_and_restarts(tmp_path: Path) -> None:
    first, second = Place(usage=SharedUsage(tmp_path)), Place(usage=SharedUsage(tmp_path))
    assert first.is_let_in("10.20.0.1") and second.is_let_in("10.20.0.2") and first.is_let_in("10.20.0.3")
    assert not first.is_let_in("10.20.0.4") and not second.is_let_in("10.20.0.4")
    assert second.is_let_in("10.20.0.1")
    assert not any(
        isinstance(event, DeviceAdmitted) and event.client == "10.20.0.1" for event in second.events
    )
    third = Place(usage=SharedUsage(tmp_path))
    # Known to have no room, it looks for those that have a place all the same.
    assert not third.is_let_in("10.20.0.4") and third.is_let_in("10.20.0.3")


def test_room_that_is_made_is_found_when_it_looks_again(tmp_path: Path) -> None:
    usage = SharedUsage(tmp_path)
    place = Place(usage=usage)
    for n in range(4):
        place.is_let_in(f"10.20.0.{n}")
    usage.give_up("learning:", lambda name: name != "learning:10.20.0.0")
    assert not place.is_let_in("10.20.0.9")
    place.clock.advance(FULL_S)
    assert place.is_let_in("10.20.0.9")


def test_places_go_when_the_device_is_a_client_or_outside_and_not_when_it_is_over(usage: Usage) -> None:
    place = Place(usage=usage)
    for n in range(3):
        assert place.is_let_in(f"10.20.0.{n}")
    usage.page("erp")
    adopted = Place(clients=(Client("printer", networks=("10.20.0.1/32",)),), usage=usage)
    adopted.clock.advance(31 * DAY_S)
    give_back_places(usage, adopted.learning)
    again = Place(usage=usage)
    assert again.is_let_in("10.20.0.9") and not again.is_let_in("10.20.0.8")
    assert again.is_let_in("10.20.0.0") and again.is_let_in("10.20.0.2")
    give_back_places(usage, None)
    assert [Place(usage=usage).is_let_in(f"10.20.5.{n}") for n in range(1)] == [True]


def test_ten_thousand_addresses_take_bounded_memory() -> None:
    place = Place()
    addresses = [f"10.20.{n // 250}.{n % 250}" for n in range(10_000)]
    for address in addresses[:5_000]:
        place.is_let_in(address)
    tracemalloc.start()
    for address in addresses * 2:
        place.is_let_in(address)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 4_000_000
    assert len(place.learning._known) <= 4_096 and len(place.learning._told) <= 4_096
    assert len(place.learning._admitted) == 3


def test_the_one_route_holds_for_all_of_them() -> None:
    assert learning_bounds(OPTIONS) == {"learning:": ("printers",)}
    assert learning_bounds(None) == {}


def test_that_it_is_on_is_said_once_and_that_it_has_ended_too() -> None:
    clock, events = FakeClock(NOW), list[Event]()
    watch = LearningWatch(OPTIONS, events.append, clock)
    assert watch.look() and watch.look()
    clock.advance(30 * DAY_S)
    assert not watch.look()
    until = "2027-02-14 08:00 UTC"
    assert events == [
        LearningBegan(OPTIONS.networks, "printers", until, OPTIONS.until),
        LearningEnded(OPTIONS.networks, until),
    ]


def test_one_that_was_over_before_the_start_is_said_to_be() -> None:
    events = list[Event]()
    watch = LearningWatch(replace(OPTIONS, until=NOW - 1), events.append, FakeClock(NOW))
    assert not watch.look()
    assert [type(event) for event in events] == [LearningEnded]
