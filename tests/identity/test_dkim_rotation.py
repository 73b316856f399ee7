"""Rotation: names that count up, moments that people can read, kinds that stay."""

import pytest

from relay.identity.dkim import DomainPolicy, Selector
from relay.identity.dkim_key import SigningKey
from relay.identity.dkim_new_key import KeyKind
from relay.identity.dkim_rotation import HOUR_S, KEEP_S, WAIT_S, coming, next_name, plan, same_kind
from tests.fakes.clock import FakeClock
from tests.identity.keys import ed25519_key, rsa_key, rsa_pem

NOW = FakeClock().now()


@pytest.mark.parametrize(
    ("current", "taken", "following"),
    [
        ("s1", (), "s2"),
        ("s1", ("s1", "s2", "s3"), "s4"),
        ("s9", (), "s10"),
        ("s09", (), "s10"),
        ("k01", (), "k02"),
        ("202611", (), "202612"),
        ("mail202612", (), "mail202701"),
        ("mail", (), "mail2"),
        ("mail", ("mail2",), "mail3"),
        ("a.b1", (), "a.b2"),
    ],
)
def test_the_next_name_counts_up(current: str, taken: tuple[str, ...], following: str) -> None:
    assert next_name(current, taken) == following


@pytest.mark.parametrize("now", [NOW, NOW + 0.5, NOW + 3599.9, NOW + 3600])
def test_the_moments_are_full_hours_and_not_too_early(now: float) -> None:
    moments = plan(now)
    assert moments.switch % HOUR_S == 0
    assert 0 <= moments.switch - (now + WAIT_S) < HOUR_S
    assert moments.retire - moments.switch == KEEP_S


def test_a_key_that_is_to_come_is_seen() -> None:
    old, other = Selector(b"s1", rsa_key()), Selector(b"e2", ed25519_key(), active_from=NOW + 5)
    new = Selector(b"s2", rsa_key(1), active_from=NOW + 10)
    assert coming(DomainPolicy(b"example.com", (old, other)), old, NOW) is None
    assert coming(DomainPolicy(b"example.com", (old, other, new)), old, NOW) is new
    assert coming(DomainPolicy(b"example.com", (old, new)), old, NOW + 10) is None


def test_a_key_is_followed_by_its_kind_and_a_short_one_by_a_good_one() -> None:
    assert same_kind(Selector(b"s", ed25519_key())) is KeyKind.ED25519
    assert same_kind(Selector(b"s", rsa_key())) is KeyKind.RSA2048
    assert same_kind(Selector(b"s", SigningKey(rsa_pem(4096), "k"))) is KeyKind.RSA4096
    assert same_kind(Selector(b"s", SigningKey(rsa_pem(1024), "k"))) is KeyKind.RSA2048
