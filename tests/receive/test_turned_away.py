"""Who is turned away: named once in a while, counted in any case."""

from collections import Counter

from relay.receive.brake import BANNED
from relay.receive.options import Limits
from relay.receive.turned_away import NAMED_MAX, REASONS_MAX, WINDOW_S, TurnedAway
from relay.trace.event import Event, SessionRefused, SessionsRefused
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client, house, run

FULL = "421 4.3.2 Too many connections; try again later"


class Place:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.turned_away = TurnedAway(self.events.append)
        self.turned_away.sweep(0.0)

    def tell(self, client: str, reason: str = FULL, listener: str = "smtp") -> str:
        """The level at which it is told."""
        self.turned_away.tell(client, listener, reason)
        event = self.events[-1]
        assert isinstance(event, SessionRefused) and (event.client, event.reason) == (client, reason)
        return event.level

    def sweep(self, now: float) -> list[Event]:
        """What is said then."""
        before = len(self.events)
        self.turned_away.sweep(now)
        return self.events[before:]


def test_an_address_is_named_once_for_each_reason_and_listener() -> None:
    place = Place()
    assert [place.tell("192.0.2.1") for _ in range(3)] == ["warning", "debug", "debug"]
    assert place.tell("192.0.2.2") == "warning"
    assert place.tell("192.0.2.1", "554 5.7.1 no") == "warning"
    assert place.tell("192.0.2.1", listener="submission") == "warning"
    # Another address of the same site's is no other client.
    assert [place.tell(f"2001:db8::{host}") for host in (1, 2)] == ["warning", "debug"]


def test_how_many_more_there_were_is_said_when_the_window_is_over_and_then_it_begins_anew() -> None:
    place = Place()
    for _ in range(3):
        place.tell("192.0.2.1")
    assert place.sweep(WINDOW_S - 0.1) == []
    assert place.tell("192.0.2.1") == "debug"
    assert place.sweep(WINDOW_S) == [SessionsRefused("smtp", FULL, 3)]
    assert place.tell("192.0.2.1") == "warning"
    assert place.sweep(2 * WINDOW_S) == [], "nobody came beside the one that was named"


def test_a_flood_is_told_in_few_lines_and_counted_whole() -> None:
    place = Place()
    levels = Counter(place.tell(f"10.{number >> 8}.{number & 255}.1") for number in range(10_000))
    assert levels == {"warning": NAMED_MAX, "debug": 10_000 - NAMED_MAX}
    assert place.sweep(float("inf")) == [SessionsRefused("smtp", FULL, 10_000 - NAMED_MAX)]


def test_reasons_without_end_take_no_memory() -> None:
    place = Place()
    for number in range(10_000):
        place.tell("192.0.2.1", f"broken in way {number}")
    told = [event for event in place.sweep(WINDOW_S) if isinstance(event, SessionsRefused)]
    assert len(told) == REASONS_MAX + 1
    assert sum(event.sessions for event in told) == 10_000 - NAMED_MAX
    assert [event.sessions for event in told if not event.reason] == [10_000 - NAMED_MAX - REASONS_MAX]


def test_who_is_banned_is_neither_named_nor_counted() -> None:
    place = Place()
    assert {place.tell("192.0.2.1", str(BANNED)) for _ in range(3)} == {"debug"}
    assert place.sweep(WINDOW_S) == []


def test_a_receiver_that_is_full_says_so_once_and_the_number_at_its_end() -> None:
    async def main() -> None:
        async with house(limits=Limits(connections_per_address=1), clock=FakeClock()) as h:
            first = await Client.connect(h.port)
            assert (await first.reply()).startswith(b"220 ")
            for _ in range(5):
                client = await Client.connect(h.port)
                assert (await client.rest()).startswith(b"421 4.7.0 Too many connections from your address")
                await client.close()
            refused = [event.level for event in h.events if isinstance(event, SessionRefused)]
            assert refused == ["warning"] + ["debug"] * 4
            await h.receiver.drain(1.0)
            assert [event.sessions for event in h.events if isinstance(event, SessionsRefused)] == [4]
            await first.close()

    run(main)
