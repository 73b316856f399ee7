"""Who logs in with a token: whose it is, by which name, remembered until it ends; what the log is told."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from msgspec import UNSET

from relay.identity.access import TokenRefused
from relay.identity.bearer import LEEWAY_S, Inbound, Issuers
from relay.identity.client import Client, Clients, Policy
from relay.identity.directory import Directory
from relay.identity.issuer_cache import ASK_AGAIN_S, WAITING_MAX, IssuerCache
from relay.receive.login_cache import KEY_BYTES, LoginCache
from relay.receive.logins import Logins
from relay.receive.options import Limits
from relay.receive.token_logins import NO_KEYS, TokenLogins
from relay.receive.verdict import BUSY, Granted, Refused, Verdict, login_event
from relay.smtp.sasl_server import WRONG_TOKEN, Login
from relay.trace.event import Event, LoginFailed, LoginSucceeded
from tests.fakes.clients import ERP, SEED
from tests.fakes.clock import FakeClock
from tests.fakes.tokens import APP, BOB, GONE, INBOUND, OBJECT, SHOP, USER, V2, claims, issuers, token
from tests.receive.harness import run, until

GOOD = token()
OTHER_APP = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee"


class Door:
    def __init__(self, *clients: Client, inbound: Inbound = INBOUND, remembered: int = 100) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.verdicts: list[Verdict] = []
        self.answer: Issuers | TokenRefused = issuers()
        self.fetches = 0
        loop = asyncio.get_running_loop()
        directory = Directory(Clients(clients or (ERP, SHOP, BOB, GONE), SEED), secrets.token_bytes)
        self.shown = directory.shown
        self.cache = LoginCache(secrets.token_bytes(KEY_BYTES), remembered, 300.0)
        keys = IssuerCache(inbound, self.fetch, self.events.append, self.clock, lambda: 0.5)
        self.tokens = TokenLogins(inbound, directory, keys, self.cache, loop, self.clock)
        self.logins = Logins(
            directory, Limits(), loop, self.clock, secrets.token_bytes, tokens=self.tokens
        )  # fmt: skip

    def fetch(self, inbound: Inbound) -> Issuers:
        self.fetches += 1
        if isinstance(self.answer, TokenRefused):
            raise self.answer
        return self.answer

    def knock(self, text: str, name: str = "", mechanism: str = "XOAUTH2") -> Verdict | None:
        login = Login(mechanism, name, text.encode())
        return self.logins.judge(login, "192.0.2.1", self.verdicts.append)

    async def ask(self, text: str, name: str = "") -> Verdict:
        """The verdict, however long it takes."""
        verdict = self.knock(text, name)
        if verdict is not None:
            return verdict
        count = len(self.verdicts)
        await until(lambda: len(self.verdicts) > count)
        return self.verdicts[-1]


def at_door(
    test: Callable[[Door], Awaitable[None]],
    *clients: Client,
    inbound: Inbound = INBOUND,
    remembered: int = 100,
) -> None:
    async def main() -> None:
        door = Door(*clients, inbound=inbound, remembered=remembered)
        try:
            await test(door)
        finally:
            door.logins.close()
            await door.tokens.close()

    run(main)


@pytest.mark.parametrize(
    ("text", "name", "verdict"),
    [
        (GOOD, "", Granted(SHOP)),
        (token(claims(iss=V2, appid=None, azp=APP)), "", Granted(SHOP)),
        (token(claims(appid=APP.upper())), "", Granted(SHOP)),
        (token(claims(scp="Mail.Send", oid=USER, sub="pairwise")), "", Granted(BOB)),
        # Whom it names itself: what it is called here, its application, or whom it may send as.
        (GOOD, "shop", Granted(SHOP)),
        (GOOD, "Shop", Granted(SHOP)),
        (GOOD, APP.upper(), Granted(SHOP)),
        (GOOD, "orders@example.com", Granted(SHOP)),
        (GOOD, "orders@sub.example.com", "wrong name"),
        (GOOD, "boss@example.org", "wrong name"),
        (GOOD, "erp", "wrong name"),
        (GOOD, "bob", "wrong name"),
        (token(claims(scp="Mail.Send", oid=USER)), "shop", "wrong name"),
        (token(claims(scp="Mail.Send", oid=OBJECT)), "", "unknown application"),
        (token(claims(idtyp="user")), "", "unknown application"),
        (token(claims(appid=OTHER_APP)), "", "unknown application"),
        (token(claims(appid="")), "", "unknown application"),
        (token(claims(appid=GONE.oauth_app)), "", "disabled"),
        (token(claims(aud="api://other")), "", "wrong audience"),
        (token(claims(exp=1)), "", "expired token"),
        (token(claims(iss="https://sts.test/other/")), "", "wrong issuer"),
        (token(key=1, kid="key 0"), "", "bad signature"),
        (token(b'{"iss":"%b"}' % V2.encode()), "", "malformed token"),
        ("", "", "malformed token"),
        ("a.b.c", "", "malformed token"),
    ],
)  # fmt: skip
def test_a_token_is_judged(text: str, name: str, verdict: Granted | str) -> None:
    async def main(door: Door) -> None:
        found = await door.ask(text, name)
        if isinstance(verdict, str):
            assert isinstance(found, Refused) and (found.reason, found.reply) == (verdict, WRONG_TOKEN)
        else:
            assert found == verdict

    at_door(main)


def test_who_may_send_as_anybody_may_be_called_by_any_address() -> None:
    async def main(door: Door) -> None:
        assert isinstance(await door.ask(GOOD, "anybody@anywhere.example"), Granted)
        assert isinstance(await door.ask(GOOD, "anybody"), Refused)

    at_door(main, Client("free", oauth_app=APP, policy=Policy()))


def test_a_token_is_remembered_until_it_ends_and_for_the_name_it_came_with() -> None:
    async def main(door: Door) -> None:
        text = token(claims(exp=int(door.clock.now()) + 100))
        assert await door.ask(text) == Granted(SHOP)
        assert door.knock(text) == Granted(SHOP, is_cached=True)
        assert door.knock(text, mechanism="OAUTHBEARER") == Granted(SHOP, is_cached=True)
        assert door.knock(text, "shop") == Granted(SHOP)
        assert isinstance(door.knock(text, "erp"), Refused)
        assert isinstance(door.knock(token(claims(exp=7), key=1, kid="key 0")), Refused)
        assert len(door.cache) == 2, "what failed is not remembered"
        door.clock.advance(99)
        assert door.knock(text) == Granted(SHOP, is_cached=True)
        door.clock.advance(1)
        # Verified anew; the leeway is for clocks.
        assert door.knock(text) == Granted(SHOP)
        door.clock.advance(LEEWAY_S)
        found = door.knock(text)
        assert isinstance(found, Refused) and found.reason == "expired token"

    at_door(main)


def test_what_is_remembered_is_bounded() -> None:
    async def main(door: Door) -> None:
        for number in range(100):
            assert isinstance(await door.ask(token(claims(uti=str(number)))), Granted)
            assert len(door.cache) <= 8

    at_door(main, remembered=8)


def test_a_token_is_no_password_and_a_password_no_token() -> None:
    async def main(door: Door) -> None:
        assert await door.ask(GOOD, "shop") == Granted(SHOP)
        login = Login("PLAIN", "shop", GOOD.encode())
        assert door.logins.judge(login, "192.0.2.1", door.verdicts.append) is None
        await until(lambda: len(door.verdicts) == 2)
        assert door.verdicts[-1] == Refused("unknown user")

    at_door(main)


def test_a_key_that_is_new_is_asked_for_once_and_all_who_wait_get_in() -> None:
    async def main(door: Door) -> None:
        await door.ask(GOOD)
        door.answer = issuers(0, 1)
        door.clock.advance(ASK_AGAIN_S)
        door.verdicts.clear()
        assert [door.knock(token(key=1)) for _ in range(50)] == [None] * 50
        await until(lambda: len(door.verdicts) == 50)
        assert {type(verdict) for verdict in door.verdicts} == {Granted}
        assert door.fetches == 2

    at_door(main)


def test_a_key_that_nobody_has_is_refused_and_asked_for_once_a_minute() -> None:
    async def main(door: Door) -> None:
        await door.ask(GOOD)
        for number in range(200):
            assert door.knock(token(kid=f"made up {number}")) == Refused("unknown key", WRONG_TOKEN)
        assert door.fetches == 1
        door.clock.advance(ASK_AGAIN_S)
        assert await door.ask(token(kid="made up")) == Refused("unknown key", WRONG_TOKEN)
        assert door.fetches == 2
        # Meanwhile those whose keys are known come in as ever.
        assert door.knock(token(claims(uti="another"))) == Granted(SHOP)

    at_door(main)


def test_without_keys_a_token_may_come_again() -> None:
    async def main(door: Door) -> None:
        door.answer = TokenRefused("down", is_fault=False)
        assert await door.ask(GOOD) == Refused("no signing keys", NO_KEYS)
        # Within the pause nobody asks.
        assert door.knock(GOOD) == Refused("no signing keys", NO_KEYS)
        assert door.fetches == 1 and NO_KEYS.code == 454
        door.answer = issuers()
        door.clock.advance(60)
        assert await door.ask(GOOD) == Granted(SHOP)

    at_door(main)


def test_a_key_that_cannot_be_asked_for_may_come_again_and_the_others_come_in() -> None:
    async def main(door: Door) -> None:
        await door.ask(GOOD)
        door.answer = TokenRefused("down", is_fault=False)
        door.clock.advance(ASK_AGAIN_S)
        assert await door.ask(token(key=1)) == Refused("no signing keys", NO_KEYS)
        assert door.knock(token(claims(uti="another"))) == Granted(SHOP)

    at_door(main)


def test_too_many_who_wait_are_told_to_come_again() -> None:
    async def main(door: Door) -> None:
        said = [door.knock(GOOD) for _ in range(WAITING_MAX + 2)]
        assert said == [None] * WAITING_MAX + [Refused("no signing keys", NO_KEYS)] * 2
        await until(lambda: len(door.verdicts) == WAITING_MAX)
        door.clock.advance(ASK_AGAIN_S)
        said = [door.knock(token(kid="x")) for _ in range(WAITING_MAX + 2)]
        assert said[-2:] == [Refused("busy", BUSY)] * 2

    at_door(main)


def test_one_sessions_fault_leaves_the_others_their_answer() -> None:
    async def main(door: Door) -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))

        def broken(verdict: Verdict) -> None:
            raise ZeroDivisionError

        assert door.tokens.judge(Login("XOAUTH2", "", GOOD.encode()), broken) is None
        assert await door.ask(GOOD) == Granted(SHOP)
        assert faults == ["a token was judged"]

    at_door(main)


def test_a_role_is_asked_for_where_one_is_named() -> None:
    async def main(door: Door) -> None:
        found = await door.ask(GOOD)
        assert isinstance(found, Refused) and found.reason == "missing role"
        assert await door.ask(token(claims(roles=["Relay.Send"]))) == Granted(SHOP)

    at_door(main, inbound=replace(INBOUND, roles=("Relay.Send",)))


def test_tokens_are_offered_where_somebody_has_one() -> None:
    async def main(door: Door) -> None:
        assert list(door.logins.mechanisms)[-2:] == ["OAUTHBEARER", "XOAUTH2"]

    at_door(main)


def test_the_log_is_told_what_was_wrong_and_whose_it_was_and_never_the_token() -> None:
    async def main(door: Door) -> None:
        wrong = token(claims(aud="api://other"))
        forged = token(claims(appid="evil\r\n"), key=1, kid="key 0")
        for text, name, about in ((wrong, "shop", f"application {APP}"), (forged, "a\r\nb" * 50, UNSET)):
            verdict = await door.ask(text, name)
            login = Login("XOAUTH2", name, text.encode())
            event = login_event(login, verdict, "192.0.2.1", "smtp", door.shown)
            assert isinstance(event, LoginFailed) and event.about == about
            assert event.username.isprintable() and len(event.username) < 100
            assert text not in repr(event) and text not in repr(login) and text not in repr(verdict)
        good = login_event(Login("XOAUTH2", "", GOOD.encode()), Granted(SHOP), "192.0.2.1", "smtp", str)
        assert good == LoginSucceeded("192.0.2.1", "smtp", "shop", "XOAUTH2")

    at_door(main)
