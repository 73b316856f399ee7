"""`[audit]`, and what of a configuration is known by fingerprints and marks."""

import time
from pathlib import Path

import pytest

from relay.cli.check_config import in_force
from relay.config import marks
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from tests.config.test_read import LEAST
from tests.fakes.certificate import Authority

KEY = "0123456789abcdef" * 4


def configure(folder: Path, text: str) -> Configuration:
    (folder / "relay.toml").write_text(text)
    return read(folder / "relay.toml", time.time())


def secret(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o600)


def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert configure(tmp_path, LEAST).audit is None


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    secret(tmp_path, "key", KEY + "\n")
    found = configure(
        tmp_path,
        LEAST
        + '[audit]\npath = "audit"\nkey_file = "key"\nrotate_size = "1 MiB"\nrotate_age = "7d"\nrows_a_minute = 5',
    )
    assert found.audit is not None
    assert (found.audit.path, found.audit.key) == (tmp_path / "audit", KEY.encode())
    assert (found.audit.rotate_bytes, found.audit.rotate_age_s, found.audit.rows_a_minute) == (
        1_048_576,
        604_800,
        5,
    )
    assert KEY not in repr(found) and KEY not in repr(in_force(found))
    assert ("audit.key", "is set") in in_force(found)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ('path = "audit"\nkey_file = "short"', "openssl rand -hex 32"),
        ('path = "audit"\nkey_file = "none"', "none"),
        ('path = "audit"\nrotate_size = 10', "rotate_size"),
        ("", "path"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, rest: str, says: str) -> None:
    secret(tmp_path, "short", "0123")
    with pytest.raises(InvalidConfiguration) as caught:
        configure(tmp_path, f"{LEAST}[audit]\n{rest}")
    (problem,) = caught.value.problems
    assert problem.startswith("audit") and says in problem


CLIENT = '[[client]]\nname = "erp"\nusername = "erp"\npassword_hash = "{}"\n'


def test_secrets_and_certificates_are_known_by_what_they_are(tmp_path: Path) -> None:
    from relay.identity.password import hash_password

    authority = Authority(tmp_path)
    certificate, key = authority.issue("relay.example.com")
    secret(tmp_path, "password", "hunter2")
    (tmp_path / "password").write_text("hunter2")
    text = LEAST.replace(
        'address = "127.0.0.1:2525"',
        f'address = "127.0.0.1:2525"\ntls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"',
    ).replace(
        'host = "smtp.example.net"', 'host = "smtp.example.net"\nusername = "u"\npassword_file = "password"'
    )
    text += CLIENT.format(hash_password("secret", lambda count: b"s" * count))
    first = configure(tmp_path, text)
    assert marks.secrets(first).keys() == {"route[0].secret", "client.erp.passwords"}
    before = marks.fingerprints(first)
    assert before.keys() == {"listener[0].certificate.fingerprint"}

    fresh, fresh_key = authority.issue("relay.example.com")
    certificate.write_bytes(fresh.read_bytes())
    key.write_bytes(fresh_key.read_bytes())
    (tmp_path / "password").write_text("hunter3")
    second = configure(tmp_path, text)
    assert marks.fingerprints(second) != before
    assert marks.secrets(second)["route[0].secret"] != marks.secrets(first)["route[0].secret"]
    assert marks.secrets(second)["client.erp.passwords"] == marks.secrets(first)["client.erp.passwords"]
    certificate.unlink()
    assert marks.fingerprints(second) == {"listener[0].certificate.fingerprint": "(not readable)"}
