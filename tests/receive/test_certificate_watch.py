"""A certificate that is replaced on the disk is taken; one that cannot be used leaves the old one."""

import asyncio
import os
from pathlib import Path

import pytest

from relay import tls
from relay.errors import ConfigurationError
from relay.receive.certificate import CertificateWatch, ContextFiles
from relay.tls import ServerContext, fingerprint
from relay.trace.event import CertificateRefused, CertificateReloaded, Event
from tests.fakes.certificate import Authority
from tests.fakes.clock import FakeClock


class Shown:
    """Where a listener is."""

    def __init__(self, context: ServerContext) -> None:
        self.context: ServerContext | None = context


class House:
    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.certificate, self.key = self.authority.issue("relay.example.com")
        self.clock = FakeClock()
        # The fake clock stands at a day that the certificates know.
        self.clock.set_wall(self.certificate.stat().st_mtime)
        self.events: list[Event] = []
        self.loaded = ContextFiles(str(self.certificate), str(self.key)).load()
        self.listener = Shown(self.loaded.context)
        self.watch = CertificateWatch(self.loaded, self.listener, "l", self.events.append, self.clock)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            asyncio.run(self.watch.look())
            self.clock.advance(1)

    def replace(self, *, key: bool = True, days: int = 30) -> str:
        """As a robot does; the new fingerprint."""
        certificate, new_key = self.authority.issue("relay.example.com", days=days)
        text = certificate.read_text()
        certificate.rename(self.certificate)
        if key:
            new_key.rename(self.key)
        return fingerprint(text)

    def is_old(self) -> bool:
        return self.listener.context is self.loaded.context


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_new_pair_is_taken_when_two_looks_saw_it(house: House) -> None:
    house.look(3)
    assert house.is_old() and house.events == []
    new = house.replace()
    house.look()
    assert house.is_old()
    house.look()
    assert not house.is_old()
    taken = CertificateReloaded("l", str(house.certificate), new, house.loaded.fingerprint)
    house.look(20)
    assert house.events == [taken]


def test_key_and_certificate_may_come_one_after_the_other(house: House) -> None:
    new = house.replace(key=False)
    house.look(5)
    assert house.is_old() and house.events == []
    # The key that belongs to it comes 5 s later.
    number = len(list(house.authority.folder.glob("*.key"))) - 1
    (house.authority.folder / f"leaf{number}.key").rename(house.key)
    house.look(2)
    assert not house.is_old()
    (event,) = house.events
    assert isinstance(event, CertificateReloaded) and event.fingerprint == new


def test_a_pair_that_does_not_fit_leaves_the_old_one_and_is_told_once(house: House) -> None:
    house.replace(key=False)
    house.look(60)
    assert house.is_old()
    (event,) = house.events
    assert isinstance(event, CertificateRefused) and "does not belong" in event.reason
    # The next change is looked at again.
    house.replace()
    house.look(2)
    assert not house.is_old() and len(house.events) == 2


@pytest.mark.parametrize("content", [b"", b"nothing of a certificate"])
def test_a_broken_file_leaves_the_old_one(house: House, content: bytes) -> None:
    house.certificate.write_bytes(content)
    house.look(60)
    assert house.is_old() and len(house.events) == 1


def test_a_file_that_is_gone_leaves_the_old_one(house: House) -> None:
    house.key.unlink()
    house.look(60)
    (event,) = house.events
    assert house.is_old() and isinstance(event, CertificateRefused) and "cannot read" in event.reason


def test_one_that_is_out_of_date_is_not_taken(house: House) -> None:
    house.clock.set_wall(house.clock.now() + 40 * 86_400)
    house.replace()
    house.look(60)
    (event,) = house.events
    assert house.is_old() and isinstance(event, CertificateRefused) and "expired" in event.reason


def test_a_link_that_points_elsewhere_is_a_change(house: House, tmp_path: Path) -> None:
    """As certbot's `live` folder does it."""
    link, key_link = tmp_path / "live.pem", tmp_path / "live.key"
    link.symlink_to(house.certificate)
    key_link.symlink_to(house.key)
    loaded = ContextFiles(str(link), str(key_link)).load()
    watch = CertificateWatch(loaded, house.listener, "l", house.events.append, house.clock)
    certificate, key = house.authority.issue("relay.example.com")
    for name, target in ((link, certificate), (key_link, key)):
        name.unlink()
        name.symlink_to(target)
    for _ in range(2):
        asyncio.run(watch.look())
    assert len(house.events) == 1 and not house.is_old()


def test_a_new_revocation_list_is_taken_too(house: House) -> None:
    listed = house.authority.revoke()
    files = ContextFiles(str(house.certificate), str(house.key), str(house.authority.ca_file), str(listed))
    loaded = files.load()
    watch = CertificateWatch(loaded, house.listener, "l", house.events.append, house.clock)
    listed.unlink()
    house.authority.revoke(house.certificate)
    for _ in range(2):
        asyncio.run(watch.look())
    assert house.listener.context is not loaded.context
    (event,) = house.events
    assert isinstance(event, CertificateReloaded) and event.fingerprint == event.before


def test_files_that_change_while_they_are_read_are_not_taken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tls.server_context
    stamp = house.key.stat().st_mtime_ns

    def meanwhile(*arguments: str | None, **more: object) -> ServerContext:
        nonlocal stamp
        stamp += 1_000_000
        os.utime(house.key, ns=(stamp, stamp))
        return make(str(arguments[0]), arguments[1])

    monkeypatch.setattr(tls, "server_context", meanwhile)
    with pytest.raises(ConfigurationError, match="changes while it is read"):
        house.loaded.files.load()
