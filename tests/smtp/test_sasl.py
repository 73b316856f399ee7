"""The client's side of AUTH."""

from base64 import b64decode

import pytest

from relay.errors import ProtocolError
from relay.smtp import sasl


def test_plain_says_all_at_once() -> None:
    plain = sasl.Plain("user@example.com", "pässword")
    line = plain.initial()
    assert line is not None and b64decode(line) == "\0user@example.com\0pässword".encode()
    with pytest.raises(ProtocolError):
        plain.answer()


def test_login_gives_the_name_then_the_password() -> None:
    login = sasl.Login("user", "secret")
    assert login.initial() is None
    assert [b64decode(login.answer()) for _ in range(2)] == [b"user", b"secret"]
    with pytest.raises(ProtocolError):
        login.answer()


@pytest.mark.parametrize(
    ("offered", "name"),
    [({"PLAIN", "LOGIN"}, b"PLAIN"), ({"LOGIN", "XOAUTH2"}, b"LOGIN"), ({"XOAUTH2"}, None), (set(), None)],
)
def test_plain_goes_before_login(offered: set[str], name: bytes | None) -> None:
    chosen = sasl.choose(offered, "user", "secret")
    assert (chosen and chosen.name) == name
