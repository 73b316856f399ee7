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


def test_xoauth2_says_mailbox_and_token_when_it_is_asked() -> None:
    xoauth2 = sasl.XOAuth2("orders@contoso.example", "a.b-c_d")
    assert xoauth2.initial() is None
    assert b64decode(xoauth2.answer("")) == b"user=orders@contoso.example\x01auth=Bearer a.b-c_d\x01\x01"
    assert xoauth2.complaint == ""


@pytest.mark.parametrize(
    ("challenge", "complaint"),
    [
        ("eyJzdGF0dXMiOiI0MDAiLA0KICJzY29wZSI6IngifQ==", '{"status":"400", "scope":"x"}'),
        ("not base64", "not base64"),
        ("/w==", "/w=="),
        ("é", "é"),
        ("", "no reason"),
        ("eHh4" * 1000, "xxx" * 166 + "xx"),
    ],
)
def test_xoauth2_answers_a_complaint_with_an_empty_line_and_keeps_it(challenge: str, complaint: str) -> None:
    xoauth2 = sasl.XOAuth2("orders@contoso.example", "token")
    xoauth2.answer("")
    assert xoauth2.answer(challenge) == b""
    assert xoauth2.complaint == complaint
    with pytest.raises(ProtocolError):
        xoauth2.answer("")
