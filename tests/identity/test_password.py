"""Passwords: made, hashed, checked; what is no hash, or costs too much."""

import secrets

import pytest
from argon2 import PasswordHasher, extract_parameters

from relay.identity.password import check_hash, decoy, hash_password, matches, new_password

CHEAP = PasswordHasher(1, 8, 1).hash("sesame")


def test_a_new_password_can_be_typed_and_is_long() -> None:
    password = new_password(secrets.token_bytes)
    assert len(password) == 32 and password.isalnum() and password == password.lower()
    assert password != new_password(secrets.token_bytes)


def test_a_hash_fits_its_password_alone() -> None:
    text = hash_password("sesame", secrets.token_bytes)
    assert check_hash(text).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert matches(text, b"sesame")
    assert not matches(text, b"Sesame") and not matches(text, b"") and not matches("nothing", b"sesame")


def test_a_decoy_costs_as_much_and_fits_nothing() -> None:
    fake = decoy(CHEAP, secrets.token_bytes)
    assert extract_parameters(fake) == extract_parameters(CHEAP)
    assert fake != CHEAP and len(fake) == len(CHEAP)
    assert not matches(fake, b"sesame")


@pytest.mark.parametrize(
    "text",
    ["", "sesame", "$2b$12$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA",
     "$argon2id$v=19$m=19456$c29tZXNhbHQ$aGFzaA", CHEAP + "x" * 256],
)  # fmt: skip
def test_what_is_no_argon2id_hash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no argon2id hash"):
        check_hash(text)


@pytest.mark.parametrize("cost", ["m=262145,t=2,p=1", "m=19456,t=11,p=1", "m=19456,t=2,p=17"])
def test_a_hash_that_would_hold_up_logins_is_refused(cost: str) -> None:
    with pytest.raises(ValueError, match="costs too much"):
        check_hash(CHEAP.replace("m=8,t=1,p=1", cost))
