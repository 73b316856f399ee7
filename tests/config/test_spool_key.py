"""`spool.key_file`: the newest key first, outside of the spool, for nobody else's eyes."""

import time
from pathlib import Path

import pytest

from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.spool.cipher import SpoolKey
from tests.config.test_read import LEAST

A, B = "0a" * 32, "0b" * 32


def keys(folder: Path, text: str, *, name: str = "keys", mode: int = 0o600) -> tuple[SpoolKey, ...]:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    (folder / "relay.toml").write_text(
        LEAST.replace('path = "spool"', f'path = "spool"\nkey_file = "{name}"')
    )
    return read(folder / "relay.toml", time.time()).spool.keys


def test_the_first_is_the_newest(tmp_path: Path) -> None:
    assert keys(tmp_path, f"{A}\n{B.upper()}\n") == (SpoolKey(b"\n" * 32), SpoolKey(b"\x0b" * 32))


@pytest.mark.parametrize(
    ("text", "name", "mode", "says"),
    [
        ("", "keys", 0o600, "openssl rand -hex 32"),
        ("0a" * 31, "keys", 0o600, "openssl rand -hex 32"),
        ("x" * 64, "keys", 0o600, "openssl rand -hex 32"),
        (f"{A}\n{A}\n", "keys", 0o600, "twice"),
        (A, "keys", 0o644, "chmod 600"),
        (A, "keys", 0o660, "chmod 600"),
        (A, "spool/keys", 0o600, "lies in the spool"),
    ],
)
def test_what_is_wrong_is_named_and_never_the_key(
    tmp_path: Path, text: str, name: str, mode: int, says: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        keys(tmp_path, text, name=name, mode=mode)
    (problem,) = caught.value.problems
    assert problem.startswith("spool.key_file: ") and says in problem and A not in problem


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(LEAST.replace('path = "spool"', 'path = "spool"\nkey_file = "none"'))
    with pytest.raises(InvalidConfiguration, match="none"):
        read(tmp_path / "relay.toml", time.time())
