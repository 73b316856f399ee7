"""As much of an address is kept as was allowed, in rows, in replies and on the disk."""

from pathlib import Path

import pytest

from relay.trace.history.options import Kept
from relay.trace.history.privacy import Privacy
from tests.fakes.clock import FakeClock
from tests.trace.history.sample import NOT_FOUND, Telling

ANNA = "anna.schmidt@example.net"


def telling(folder: Path, kept: Kept, after_s: float = 0.0) -> Telling:
    telling = Telling(folder / "history.db", FakeClock(1.8e9 + after_s), changes={"recipients": kept})
    mail = telling.queued(ANNA, "bob@example.net")
    telling.write(
        mail,
        telling.deferred(mail, reply=f"450 4.2.1 <{ANNA.upper()}>: try later"),
        telling.held(mail, ANNA, reply=NOT_FOUND % "anna.alias@example.org"),
        telling.delivered(mail, "bob@example.net", reply=f"250 2.1.5 {ANNA} forwarded"),
    )
    return telling


@pytest.mark.parametrize("kept", [Kept.HASHED, Kept.DOMAIN])
def test_an_address_stands_nowhere_in_the_file(tmp_path: Path, kept: Kept) -> None:
    found = telling(tmp_path, kept)
    everything = found.everything().lower()
    assert b"anna" not in everything and b"bob" not in everything
    assert b"app@contoso.com" in everything, "of senders all is kept"


def test_a_hash_is_found_by_the_address(tmp_path: Path) -> None:
    found = telling(tmp_path, Kept.HASHED)
    [mail] = found.read(recipient="Anna.Schmidt@example.net")
    names = [each.address for each in mail.recipients]
    assert len(set(names)) == 2
    assert all(name.startswith("#") and name.endswith("@example.net") for name in names)
    assert found.find(recipient="@example.net") == [mail.id]
    assert found.find(recipient="carol@example.net") == []
    assert {each.outcome for each in mail.recipients} == {"held", "delivered"}


def test_of_a_domain_only_that_is_found(tmp_path: Path) -> None:
    found = telling(tmp_path, Kept.DOMAIN)
    [mail] = found.read(recipient="@example.net")
    assert [each.address for each in mail.recipients] == ["@example.net"]
    assert found.find(recipient=ANNA) == []


def test_addresses_written_before_the_setting_changed_are_found_too(tmp_path: Path) -> None:
    telling(tmp_path, Kept.FULL).writer.close()
    later = telling(tmp_path, Kept.HASHED, 60.0)
    assert len(later.find(recipient=ANNA)) == 2


def test_every_history_has_a_key_of_its_own(tmp_path: Path) -> None:
    names = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        [mail] = telling(tmp_path / name, Kept.HASHED).read()
        names.add(mail.recipients[0].address)
    assert len(names) == 2


def test_words_beside_an_address_stay() -> None:
    kept = Privacy(Kept.DOMAIN, b"key").without("550 5.1.1 <A@b.example>: user a@b.example unknown; see x@y.")
    assert kept == "550 5.1.1 <@b.example>: user @b.example unknown; see @y."
