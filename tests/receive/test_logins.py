"""Who logs in: the same work for everybody, off the loop, bounded, remembered."""

import asyncio
import secrets
import threading
from collections.abc import Awaitable, Callable

import pytest

from relay.identity.client import Client, Clients
from relay.identity.directory import Directory
from relay.identity.password import matches
from relay.receive.logins import Logins
from relay.receive.options import Limits
from relay.receive.verdict import BUSY, Granted, Refused, Verdict, login_event
from relay.smtp.sasl_server import WRONG, Login
from relay.trace.event import LoginFailed, LoginSucceeded
from tests.fakes.clients import ERP, LEFT, SEED, password
from tests.fakes.clock import FakeClock
from tests.receive.harness import run, until


class Checks:
    """Checks as argon2 does, counts, and waits while it is told to."""

    def __init__(self) -> None:
        self.hashes: list[str] = []
        self.threads: set[int] = set()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, text: str, word: bytes) -> bool:
        self.hashes.append(text)
        self.threads.add(threading.get_ident())
        assert self.free.wait(10)
        return matches(text, word)


class Door:
    def __init__(self, *clients: Client, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.checks = Checks()
        self.verdicts: list[Verdict] = []
        self.logins = Logins(
            Directory(Clients(clients or (ERP, LEFT), SEED), secrets.token_bytes),
            limits or Limits(),
            asyncio.get_running_loop(),
            self.clock,
            secrets.token_bytes,
            self.checks,
        )

    def knock(self, username: str, word: bytes, address: str = "192.0.2.1") -> Verdict | None:
        return self.logins.judge(Login("PLAIN", username, word), address, self.verdicts.append)

    async def ask(self, username: str, word: bytes) -> Verdict:
        """The verdict, however long it takes."""
        verdict = self.knock(username, word)
        if verdict is not None:
            return verdict
        count = len(self.verdicts)
        await until(lambda: len(self.verdicts) > count)
        return self.verdicts[-1]


def at_door(test: Callable[[Door], Awaitable[None]], *clients: Client, limits: Limits | None = None) -> None:
    async def main() -> None:
        door = Door(*clients, limits=limits)
        try:
            await test(door)
        finally:
            door.checks.free.set()
            door.logins.close()

    run(main)


@pytest.mark.parametrize(
    ("username", "word", "verdict"),
    [
        ("erp", b"sesame", Granted(ERP)),
        ("ERP", b"sesame", Granted(ERP)),
        ("erp", b"Sesame", Refused("wrong password")),
        ("erp", b"", Refused("wrong password")),
        ("left", b"sesame", Refused("disabled")),
        ("left", b"wrong", Refused("wrong password")),
        ("nobody", b"sesame", Refused("unknown user")),
        ("", b"sesame", Refused("unknown user")),
    ],
)
def test_a_login_is_judged(username: str, word: bytes, verdict: Verdict) -> None:
    async def main(door: Door) -> None:
        assert await door.ask(username, word) == verdict
        # Whoever it was: one hash was checked, and not in the loop.
        assert len(door.checks.hashes) == 1
        assert threading.get_ident() not in door.checks.threads
        if isinstance(verdict, Refused):
            assert verdict.reply is WRONG

    at_door(main)


def test_an_old_password_and_a_new_one_cost_the_same() -> None:
    client = Client("a", "a", (password("new"), password("old", until=1e12)))

    async def main(door: Door) -> None:
        for word in (b"new", b"old", b"wrong"):
            door.checks.hashes.clear()
            await door.ask("a", word)
            assert len(door.checks.hashes) == 2
        door.checks.hashes.clear()
        await door.ask("nobody", b"x")
        assert len(door.checks.hashes) == 2

    at_door(main, client)


def test_a_login_is_remembered_and_a_failure_is_not() -> None:
    async def main(door: Door) -> None:
        assert await door.ask("erp", b"sesame") == Granted(ERP)
        assert door.knock("Erp", b"sesame") == Granted(ERP, is_cached=True)
        assert len(door.checks.hashes) == 1
        for count in (2, 3):
            assert await door.ask("erp", b"wrong") == Refused("wrong password")
            assert len(door.checks.hashes) == count
        door.clock.advance(300.0)
        assert await door.ask("erp", b"sesame") == Granted(ERP)
        assert len(door.checks.hashes) == 4

    at_door(main)


def test_an_old_password_is_forgotten_when_it_ends() -> None:
    async def main(door: Door) -> None:
        client = Client("a", "a", (password("new"), password("old", until=door.clock.now() + 60.0)))
        door.logins = Logins(
            Directory(Clients((client,)), secrets.token_bytes), Limits(), asyncio.get_running_loop(), door.clock,
            secrets.token_bytes, door.checks,
        )  # fmt: skip
        assert await door.ask("a", b"old") == Granted(client)
        door.clock.advance(59.0)
        assert door.knock("a", b"old") == Granted(client, is_cached=True)
        door.clock.advance(1.0)
        assert await door.ask("a", b"old") == Refused("wrong password")

    at_door(main)


def test_a_hundred_connections_of_one_application_are_checked_once() -> None:
    async def main(door: Door) -> None:
        door.checks.free.clear()
        assert [door.knock("erp", b"sesame") for _ in range(100)] == [None] * 100
        door.checks.free.set()
        await until(lambda: len(door.verdicts) == 100)
        assert set(map(repr, door.verdicts)) == {repr(Granted(ERP))}
        assert len(door.checks.hashes) == 1

    at_door(main)


def test_who_guesses_does_not_shut_out_the_others() -> None:
    async def main(door: Door) -> None:
        door.checks.free.clear()
        guesses = [door.knock("erp", b"%d" % number, "192.0.2.66") for number in range(8)]
        # A quarter of eight places is for one address.
        assert guesses == [None, None] + [Refused("busy", BUSY)] * 6
        assert door.knock("erp", b"sesame", "192.0.2.1") is None
        more = [door.knock("nobody", b"x", f"198.51.100.{number}") for number in range(8)]
        assert more == [None] * 8, "the same login of many is checked once"
        door.checks.free.set()
        await until(lambda: len(door.verdicts) >= 4)
        assert Granted(ERP) in door.verdicts
        assert door.knock("erp", b"9", "192.0.2.66") is None

    at_door(main, limits=Limits(logins_waiting=8))


def test_too_many_waiting_logins_are_told_to_come_again() -> None:
    async def main(door: Door) -> None:
        door.checks.free.clear()
        said = [door.knock("erp", b"%d" % number, f"192.0.2.{number}") for number in range(12)]
        assert said == [None] * 8 + [Refused("busy", BUSY)] * 4
        assert BUSY.code == 454

    at_door(main, limits=Limits(logins_waiting=8))


def test_one_sessions_fault_leaves_the_others_their_answer() -> None:
    async def main(door: Door) -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))

        def broken(verdict: Verdict) -> None:
            raise ZeroDivisionError

        assert door.logins.judge(Login("PLAIN", "erp", b"sesame"), "192.0.2.1", broken) is None
        assert await door.ask("erp", b"sesame") == Granted(ERP)
        assert faults == ["a login was judged"]

    at_door(main)


def test_scram_is_judged_at_once() -> None:
    async def main(door: Door) -> None:
        def said(username: str, is_proved: bool) -> Verdict | None:
            login = Login("SCRAM-SHA-256", username, is_proved=is_proved)
            return door.logins.judge(login, "192.0.2.1", door.verdicts.append)

        assert said("erp", True) == Granted(ERP)
        assert said("erp", False) == Refused("wrong password")
        assert said("left", True) == Refused("disabled")
        assert said("nobody", False) == Refused("unknown user")
        assert door.logins.nonce() != door.logins.nonce() and "," not in door.logins.nonce()
        assert list(door.logins.mechanisms) == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]

    at_door(main)


def test_scram_is_offered_only_where_somebody_has_a_verifier() -> None:
    async def main(door: Door) -> None:
        assert list(door.logins.mechanisms) == ["PLAIN", "LOGIN"]

    at_door(main, Client("a", "a"))


def _shown(name: str) -> str:
    return f"({name})"


def test_the_log_is_told_what_was_wrong_and_no_more() -> None:
    login = Login("PLAIN", "anna@example.com", b"sesame")
    event = login_event(login, Refused("wrong password"), "192.0.2.1", "smtp", _shown)
    assert isinstance(event, LoginFailed)
    assert event == LoginFailed("192.0.2.1", "smtp", event.username, "PLAIN", "wrong password")
    assert event.username == "(anna@example.com)"
    fresh, again = (
        login_event(login, Granted(ERP, is_cached), "a", "l", _shown) for is_cached in (False, True)
    )
    assert isinstance(fresh, LoginSucceeded) and fresh.account == "erp" and fresh.level == "info"
    assert again.level == "debug"
