"""Who it is: by address, by certificate, by name; and that a name nobody has looks like one."""

import secrets
from collections.abc import Sequence

import pytest
from argon2 import PasswordHasher, extract_parameters

from relay.identity.client import Client, Clients, Password
from relay.identity.directory import Directory
from relay.identity.password import matches
from relay.smtp.scram import verifier_of

HASH = PasswordHasher(1, 8, 1).hash("sesame")
OTHER = PasswordHasher(2, 16, 1).hash("open")
VERIFIER = verifier_of("sesame", b"salt of 16 bytes")
ERP = Client("erp", "ERP@example.com", (Password(HASH, VERIFIER), Password(OTHER, None, until=100.0)))
OFFICE = Client("office", networks=("10.0.0.0/8", "2001:db8::/32"))
PRINTER = Client("printer", networks=("10.0.0.7/32",))
WEB = Client("web", certificates=("web.example.com", "ab" * 32))
GONE = Client("gone", "gone", (Password(OTHER),), ("gone.example.com",), ("10.9.0.0/16",), is_disabled=True)


def directory(*clients: Client, seed: str = "") -> Directory:
    return Directory(Clients(clients or (ERP, OFFICE, PRINTER, WEB, GONE), seed), secrets.token_bytes)


@pytest.mark.parametrize("name", ["erp", "ERP@example.com", "Erp@Example.com", "gone", "web", ""])
def test_a_name_of_a_client_may_be_written_down(name: str) -> None:
    assert directory().shown(name) == name


@pytest.mark.parametrize(
    "name",
    ["sesame", "Tr0ub4dor&3", "correct horse", "p@ssword", "@", "a@b", "x" * 10_000, "a\r\nb\x00\u202eü", "ä@b.example",
     "a@b.example\n", "\udcff", "anna.b+c@mail.example.com", "Summer@2026.com"],
)  # fmt: skip
def test_any_other_name_may_be_a_password_and_is_written_down_as_a_keyed_hash(name: str) -> None:
    one, same = directory(seed="s" * 32), directory(seed="s" * 32)
    shown = one.shown(name)
    assert shown.startswith("unknown:") and len(shown) == 16 and shown.isprintable()
    assert name not in shown
    assert shown == same.shown(name)
    assert shown != directory(seed="t" * 32).shown(name)
    assert shown != one.shown(name + "1")


def cost(words: Sequence[Password]) -> str:
    return " ".join(str(extract_parameters(word.hash)) for word in words)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.8", OFFICE),
        ("10.0.0.7", PRINTER),
        ("::ffff:10.0.0.7", PRINTER),
        ("2001:db8::1", OFFICE),
        ("192.0.2.1", None),
        # A network of one who is disabled is nobody's; the wider one goes on.
        ("10.9.1.1", OFFICE),
        ("fe80::1%eth0", None),
        ("", None),
        ("elsewhere", None),
    ],
)
def test_the_narrowest_network_says_who_it_is(address: str, client: Client | None) -> None:
    known = directory()
    assert known.by_address(address) is client
    assert known.by_address(address) is client


def test_addresses_are_remembered_within_a_bound() -> None:
    known = directory()
    for number in range(10_000):
        known.by_address(f"10.1.{number >> 8}.{number & 255}")
    assert len(known._known) <= 4_096


@pytest.mark.parametrize(
    ("names", "fingerprint", "client"),
    [
        (("web.example.com",), "00" * 32, WEB),
        (("a.example.com", "WEB.example.com"), "00" * 32, WEB),
        ((), "ab" * 32, WEB),
        (("a.web.example.com", "*.example.com"), "00" * 32, None),
        (("gone.example.com",), "00" * 32, None),
    ],
)
def test_a_certificate_says_who_it_is(
    names: tuple[str, ...], fingerprint: str, client: Client | None
) -> None:
    assert directory().by_certificate(names, fingerprint) is client


def test_a_user_name_says_who_it_is() -> None:
    known = directory()
    assert known.by_username("erp@EXAMPLE.com") is ERP and known.by_username("gone") is GONE
    assert known.by_username("erp") is None and known.by_username("") is None


def test_a_password_is_good_until_its_end() -> None:
    known = directory()
    assert [word.hash for word in known.passwords("erp@example.com", 99.0)] == [HASH, OTHER]
    assert [word.hash for word in known.passwords("erp@example.com", 100.0)] == [HASH]


def test_a_name_that_nobody_has_costs_what_somebodys_does() -> None:
    known = directory()
    costs = set()
    for number in range(100):
        decoys = known.passwords(f"nobody{number}", 0.0)
        assert not any(matches(word.hash, b"sesame") or matches(word.hash, b"open") for word in decoys)
        costs.add(cost(decoys))
    assert costs == {cost(ERP.passwords), cost(GONE.passwords)}
    later = {cost(known.passwords(f"nobody{number}", 100.0)) for number in range(100)}
    assert later == {cost(ERP.passwords[:1]), cost(GONE.passwords)}
    assert known.passwords("nobody1", 0.0) == known.passwords("NOBODY1", 0.0)


def test_without_clients_there_is_a_decoy_all_the_same() -> None:
    known = directory(PRINTER)
    (word,) = known.passwords("nobody", 0.0)
    assert extract_parameters(word.hash).memory_cost == 19_456 and not matches(word.hash, b"")
    assert not known.has_scram


def test_scram_is_told_the_same_salt_for_a_name_always() -> None:
    here, later = directory(seed="secret"), directory(seed="secret")
    assert here.verifiers("erp@example.com", 0.0) == [VERIFIER]
    (one,), (two,) = here.verifiers("nobody", 0.0), later.verifiers("Nobody", 0.0)
    assert (one.salt, one.iterations) == (two.salt, two.iterations) and len(one.salt) == len(VERIFIER.salt)
    assert one.stored_key != two.stored_key
    assert directory(seed="other").verifiers("nobody", 0.0)[0].salt != one.salt
    # Who has a hash alone is answered like one who is not known.
    assert here.verifiers("gone", 0.0)[0].iterations == VERIFIER.iterations


def test_nothing_of_a_client_shows_its_secrets() -> None:
    shown = repr(directory().clients) + repr(Clients((ERP,), "seed")) + repr(ERP)
    assert HASH not in shown and "seed" not in shown


def test_a_token_says_who_it_is() -> None:
    app, other = "a" * 36, "b" * 36
    shop, bob = Client("shop", oauth_app=app), Client("bob", oauth_app=app, oauth_users=("u1", "u2"))
    gone = Client("gone", oauth_app=other, is_disabled=True)
    directory = Directory(Clients((shop, bob, gone)), secrets.token_bytes)
    assert directory.has_tokens
    assert directory.by_token(app, "") is shop
    assert directory.by_token(app, "u1") is directory.by_token(app, "u2") is bob
    # That it is disabled is the caller's matter: the log says so.
    assert directory.by_token(other, "") is gone
    for application, user in ((app, "u3"), (other, "u1"), ("", ""), ("", "u1")):
        assert directory.by_token(application, user) is None
    assert not Directory(Clients((Client("erp", networks=("10.0.0.0/8",)),)), secrets.token_bytes).has_tokens
