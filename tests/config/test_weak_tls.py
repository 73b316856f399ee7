"""A listener below TLS 1.2: for named networks only, with a key of its own."""

import time
import typing
from pathlib import Path

import pytest

from relay.config import value
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.tls import TlsVersion
from tests.config.test_read import LEAST
from tests.fakes.certificate import Authority


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = Authority(path)
        self.own = self.authority.issue("old.example.com")
        self.other = self.authority.issue("relay.example.com")

    def read(self, keys: str, *, certificate: tuple[Path, Path] | None = None) -> Configuration:
        """Two listeners: a modern one, and one with these keys."""
        text = LEAST + _listener("127.0.0.1:2526", self.other, "")
        text += _listener("127.0.0.1:2527", certificate or self.own, keys)
        (self.path / "relay.toml").write_text(text)
        return read(self.path / "relay.toml", time.time())

    def problem(self, keys: str, certificate: tuple[Path, Path] | None = None) -> str:
        with pytest.raises(InvalidConfiguration) as caught:
            self.read(keys, certificate=certificate)
        (problem,) = caught.value.problems
        return problem


def _listener(address: str, files: tuple[Path, Path], keys: str) -> str:
    return (
        f'[[listener]]\naddress = "{address}"\ntls = "starttls"\n'
        f'certificate = "{files[0]}"\nkey = "{files[1]}"\n{keys}\n'
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


OLD = 'tls_min = "1.0"\nnetworks = ["10.20.0.0/28"]'


def test_it_is_taken_for_named_networks_and_warned_of(folder: Folder) -> None:
    found = folder.read(OLD)
    assert found.listeners[2].options.tls_min is TlsVersion.TLS_1_0
    assert found.listeners[1].options.tls_min is TlsVersion.TLS_1_2
    (warning,) = found.warnings
    assert warning.startswith("listener[2].tls_min: ") and "RFC 8996" in warning


def test_nobody_may_use_it_who_is_not_named(folder: Folder) -> None:
    assert "must name the machines" in folder.problem('tls_min = "1.0"')
    assert "must name the machines" in folder.problem('tls_min = "1.1"\nnetworks = []')
    with pytest.raises(InvalidConfiguration) as caught:
        folder.read('tls_min = "1.1"\nnetworks = ["0.0.0.0/0", "::/0"]\nauth = "required"')
    assert len(caught.value.problems) == 2 and all("everybody" in each for each in caught.value.problems)


def test_its_key_is_no_other_listeners(folder: Folder, tmp_path: Path) -> None:
    problem = folder.problem(OLD, folder.other)
    assert "127.0.0.1:2526 has the same key" in problem
    # Nor in a copy that holds both.
    copy = tmp_path / "copy.pem"
    copy.write_bytes(folder.other[1].read_bytes() + folder.other[0].read_bytes())
    assert "has the same key" in folder.problem(OLD, (copy, copy))


def test_more_than_the_default_may_be_asked_for_anywhere(folder: Folder) -> None:
    found = folder.read('tls_min = "1.3"\nsession_tickets = false')
    options = found.listeners[2].options
    assert (options.tls_min, options.session_tickets) == (TlsVersion.TLS_1_3, False)
    assert found.listeners[1].options.session_tickets


def test_a_version_that_is_none_is_refused(folder: Folder) -> None:
    assert "tls_min" in folder.problem('tls_min = "1"')
    assert typing.get_args(value.TlsWord) == tuple(each.value for each in TlsVersion)


def test_without_tls_it_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(
        LEAST.replace("[[route]]", 'tls_min = "1.0"\nsession_tickets = false\n[[route]]')
    )
    warnings = read(tmp_path / "relay.toml", time.time()).warnings
    assert [each.partition(":")[0] for each in warnings] == [
        "listener[0].tls_min",
        "listener[0].session_tickets",
    ]
