"""The directory becomes a list: whole or not at all, and nobody refused by half of it."""

import asyncio
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relay.identity import recipients
from relay.identity.access import AccessToken, TokenRefused
from relay.identity.graph import GraphRefused
from relay.identity.recipients import Directory
from relay.receive.roll import load
from relay.route.oauth import OAuth
from relay.route.tenant import Tenant
from relay.trace import event as trace
from relay.trace.event import Event
from tests.fakes.clock import FakeClock
from tests.identity.test_message_trace import OPTIONS

BASE = "https://graph.test/v1.0"


def page(*entries: tuple[str | None, list[str]], next_link: str = "") -> str:
    value = [{"mail": mail, "proxyAddresses": aliases, "id": "x"} for mail, aliases in entries]
    return json.dumps({"value": value} | ({"@odata.nextLink": next_link} if next_link else {}))


PEOPLE = {
    "users": page(
        ("Bob@contoso.com", ["SMTP:Bob@contoso.com", "smtp:robert@contoso.com", "x500:/o=x/cn=bob", "sip:bob@contoso.com"]),
        (None, []),
        ("guest@fabrikam.com", ["SMTP:guest@fabrikam.com"]),
    ),
    "groups": page(("all@contoso.com", ["SMTP:all@contoso.com"])),
    "contacts": page(("partner@else.test", ["SMTP:partner@else.test", "smtp:partner@contoso.com"])),
}  # fmt: skip


@dataclass
class World:
    """A directory, and where its list goes."""

    folder: Path
    answer: Callable[[str], str] = lambda url: PEOPLE[url.removeprefix(f"{BASE}/").partition("?")[0]]
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Event] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    refusal: TokenRefused | None = None

    def __post_init__(self) -> None:
        self.path = self.folder / "recipients.list"
        tenant = Tenant(("contoso.com", "*.contoso.com"))
        self.directory = Directory(
            OPTIONS,
            self.path,
            1800.0,
            tenant.is_inside,
            self,
            self.events.append,
            self.clock,
            lambda: 0.5,
            self.get,
        )

    def get(self, options: object, token: str, url: str, now: float) -> str:
        self.urls.append(url)
        return self.answer(url)

    async def token(self, oauth: OAuth) -> AccessToken:
        if self.refusal is not None:
            raise self.refusal
        return AccessToken("token", 0, 0, 9e9)

    def forget(self, oauth: OAuth, token: AccessToken) -> None:
        pass

    def refresh(self) -> float:
        return asyncio.run(self.directory.refresh())

    @property
    def unavailable(self) -> list[trace.DirectoryUnavailable]:
        return [each for each in self.events if isinstance(each, trace.DirectoryUnavailable)]


def test_addresses_of_all_kinds_inside_the_tenant_are_listed(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.refresh() == 1800
    assert load(world.path) == {
        b"bob@contoso.com",
        b"robert@contoso.com",
        b"all@contoso.com",
        b"partner@contoso.com",
    }
    assert stat.S_IMODE(os.stat(world.path).st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["recipients.list"]
    [told] = world.events
    assert isinstance(told, trace.DirectoryRead) and told.addresses == 4
    assert world.urls[0] == f"{BASE}/users?$select=mail,proxyAddresses&$top=999"


def test_pages_are_followed(tmp_path: Path) -> None:
    def answer(url: str) -> str:
        if "/users?$select" in url:
            return page(("a@contoso.com", []), next_link=f"{BASE}/users?$skiptoken=1")
        return page(("b@contoso.com", []))

    world = World(tmp_path, answer)
    world.refresh()
    assert load(world.path) == {b"a@contoso.com", b"b@contoso.com"}
    assert len(world.urls) == 4


@pytest.mark.parametrize("broken", ["users", "groups", "contacts"])
def test_when_a_part_fails_the_list_before_stays_whole(tmp_path: Path, broken: str) -> None:
    world = World(tmp_path)
    world.refresh()
    before = world.path.read_bytes()

    def answer(url: str) -> str:
        if f"/{broken}?" in url:
            raise GraphRefused("403", is_fault=True)
        return page(("new@contoso.com", []))

    world.answer = answer
    world.clock.set_wall(os.stat(world.path).st_mtime + 600)
    assert world.refresh() == 60
    assert world.path.read_bytes() == before
    [told] = world.unavailable
    assert (told.reason, told.level) == ("403", "error")
    assert told.age_seconds == pytest.approx(600, abs=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (page(), "shows nobody in tenant.domains"),
        (page(("x@else.test", [])), "shows nobody in tenant.domains"),
        ("<html>", "no directory"),
        ("{}", "no directory"),
    ],
)
def test_an_empty_or_strange_answer_is_no_list(tmp_path: Path, text: str, said: str) -> None:
    world = World(tmp_path, lambda url: text)
    world.refresh()
    assert said in world.unavailable[0].reason and world.unavailable[0].age_seconds == -1
    assert not world.path.exists()


def test_an_address_that_would_break_the_list_is_left_out(tmp_path: Path) -> None:
    strange = [
        "smtp:a b@contoso.com",
        "smtp:#c@contoso.com",
        "smtp:d@contoso.com\nevil.test",
        "smtp:@contoso.com",
        "smtp:e",
    ]
    world = World(tmp_path, lambda url: page(("ok@contoso.com", strange)))
    world.refresh()
    assert load(world.path) == {b"ok@contoso.com"}


def test_pages_and_addresses_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipients, "PAGES_MAX", 5)
    world = World(tmp_path, lambda url: page(("a@contoso.com", []), next_link=f"{BASE}/users?again"))
    world.refresh()
    assert "more than 5 pages of users" in world.unavailable[0].reason and len(world.urls) == 5
    monkeypatch.setattr(recipients, "ADDRESSES_MAX", 2)
    world.answer = lambda url: page(*((f"{n}@contoso.com", []) for n in range(3)))
    world.refresh()
    assert "name domains in tenant.recipients_file" in world.unavailable[1].reason


def test_it_is_tried_again_later_and_later_and_trouble_is_told_once(tmp_path: Path) -> None:
    world = World(tmp_path, refusal=TokenRefused("AADSTS700016", is_fault=True))
    assert [world.refresh() for _ in range(6)] == [60, 120, 240, 480, 960, 1800]
    assert len(world.unavailable) == 1
    world.refusal = None
    assert world.refresh() == 1800 and world.path.exists()

    def answer(url: str) -> str:
        raise GraphRefused("429", is_fault=False, retry_after_s=3000.0)

    world.answer = answer
    assert world.refresh() == 3000


def test_a_disk_that_takes_nothing_leaves_the_list_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.refresh()
    before = world.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    world.answer = lambda url: page(("new@contoso.com", []))
    world.refresh()
    assert "No space left" in world.unavailable[0].reason
    assert world.path.read_bytes() == before


def test_a_list_says_how_old_it_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.directory.age_s() == float("inf")
    world.refresh()
    world.clock.set_wall(os.stat(world.path).st_mtime + 100)
    assert world.directory.age_s() == pytest.approx(100, abs=1)
