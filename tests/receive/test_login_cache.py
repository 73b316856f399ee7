"""Logins that are remembered: for how long, how many, and what lies in memory."""

from relay.identity.client import Client
from relay.receive.login_cache import LoginCache
from tests.fakes.clients import ERP

WEB = Client("web", "web")


def cache(size: int = 10, seconds: float = 300.0) -> LoginCache:
    return LoginCache(b"k" * 32, size, seconds)


def test_a_login_is_remembered_for_a_while() -> None:
    known = cache()
    key = known.key("erp", b"sesame")
    assert known.get(key, 0.0) is None
    known.put(key, ERP, 10.0, float("inf"))
    assert known.get(key, 309.9) is ERP
    assert known.get(key, 310.0) is None and len(known) == 0


def test_no_longer_than_its_password_is_good() -> None:
    known = cache()
    key = known.key("erp", b"sesame")
    known.put(key, ERP, 0.0, 5.0)
    assert known.get(key, 4.9) is ERP and known.get(key, 5.0) is None


def test_another_name_or_password_is_another_login() -> None:
    known = cache()
    keys = {
        known.key(*login)
        for login in (("ab", b"c"), ("a", b"bc"), ("ab", b"C"), ("1:ab", b"c"), ("", b"abc"))
    }
    assert len(keys) == 5
    assert known.key("ERP", b"x") == known.key("erp", b"x")
    assert LoginCache(b"l" * 32, 10, 1.0).key("ab", b"c") not in keys


def test_the_oldest_make_room() -> None:
    known = cache(size=16)
    keys = [known.key(f"user{number}", b"x") for number in range(1000)]
    for moment, key in enumerate(keys):
        known.put(key, WEB, float(moment), 1e9)
        assert len(known) <= 16
    assert known.get(keys[-1], 1000.0) is WEB and known.get(keys[0], 0.0) is None


def test_neither_password_nor_name_lies_in_memory() -> None:
    known = cache()
    known.put(known.key("somebody", b"opensesame"), WEB, 0.0, 1e9)
    assert b"opensesame" not in b"".join(known._known) and b"somebody" not in b"".join(known._known)
