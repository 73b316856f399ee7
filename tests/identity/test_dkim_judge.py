"""Verdicts on signed mail: dkimpy judges, we say why."""

import base64
import time

import dkim  # type: ignore[import-untyped]  # dkimpy has no types
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.identity.dkim_dns import NoAnswer, TxtAnswer
from relay.identity.dkim_judge import SIGNATURES_MAX, Result, Verdict, judge
from tests.identity.keys import ed25519_key, ed25519_pem, rsa_key, rsa_pem

MAIL = b"From: a@example.com\r\nTo: b@example.net\r\nSubject: Hello\r\n\r\nOne line.\r\n"
RSA, ED = rsa_key(), ed25519_key()
HEADERS = [b"From", b"To", b"Subject", b"From"]


def signed(mail: bytes = MAIL, algorithm: bytes = b"rsa-sha256", **options: object) -> bytes:
    """The mail with a signature dkimpy made: the one who judges has nothing to say about our own code."""
    pem = rsa_pem()
    if algorithm == b"ed25519-sha256":
        raw = load_pem_private_key(ed25519_pem(), None).private_bytes(
            Encoding.Raw, PrivateFormat.Raw, NoEncryption()
        )
        pem = base64.b64encode(raw)
    else:
        pem = load_pem_private_key(pem, None).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
    options = {"include_headers": HEADERS, "canonicalize": (b"relaxed", b"relaxed"), **options}
    field: bytes = dkim.sign(mail, b"s1", b"example.com", pem, signature_algorithm=algorithm, **options)
    return field + mail


def published(*texts: str) -> dict[str, tuple[bytes, ...]]:
    return {"s1._domainkey.example.com": tuple(text.encode() for text in texts)}


def verdicts(mail: bytes, records: dict[str, tuple[bytes, ...]]) -> list[Verdict]:
    return judge(mail, lambda name: TxtAnswer(name, records.get(name, ())))


def verdict(mail: bytes, *texts: str) -> Verdict:
    (only,) = verdicts(mail, published(*texts))
    return only


RSA_VALUE, ED_VALUE = RSA.public_record_value(), ED.public_record_value()


def test_a_signature_that_holds_passes() -> None:
    assert verdict(signed(), RSA_VALUE) == Verdict(
        "example.com", "s1", "rsa-sha256", Result.PASS, "the signature holds"
    )


def test_an_ed25519_signature_that_holds_passes() -> None:
    found = verdict(signed(algorithm=b"ed25519-sha256"), ED_VALUE)
    assert (found.algorithm, found.result) == ("ed25519-sha256", Result.PASS)


def test_each_signature_gets_its_verdict_from_top_to_bottom() -> None:
    found = verdicts(signed(signed(algorithm=b"ed25519-sha256")), published(RSA_VALUE))
    assert [(each.algorithm, each.result) for each in found] == [
        ("rsa-sha256", Result.PASS),
        ("ed25519-sha256", Result.PERMERROR),
    ]


def test_a_mail_saved_with_unix_line_ends_is_judged_alike() -> None:
    assert verdict(signed().replace(b"\r\n", b"\n"), RSA_VALUE).result is Result.PASS


def test_a_mail_without_a_signature_has_no_verdict() -> None:
    assert verdicts(MAIL, {}) == []
    assert verdicts(b"", {}) == []
    assert verdicts(b"Subject: a\r\n\r\nDKIM-Signature: v=1\r\n", {}) == []


def test_a_changed_body_is_told_from_a_changed_header() -> None:
    body = verdict(signed().replace(b"One line", b"Two lines"), RSA_VALUE)
    assert (body.result, "the body was changed" in body.reason) == (Result.FAIL, True)
    header = verdict(signed().replace(b"Hello", b"Goodbye"), RSA_VALUE)
    assert (header.result, "header fields were changed" in header.reason) == (Result.FAIL, True)


def test_another_key_fails() -> None:
    assert verdict(signed(), rsa_key(1).public_record_value()).result is Result.FAIL


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM1; p=!", "cannot be read"),
        ("v=DKIM1; p=AAEC", "could not parse RSA public key"),
        (ED_VALUE, "the signature is rsa-sha256, the key ed25519"),
        (RSA_VALUE + "; h=sha1", "not for SHA-256"),
        (RSA_VALUE + "; s=tlsrpt", "not for email"),
    ],
)
def test_a_record_that_is_of_no_use_says_why(record: str, words: str) -> None:
    found = verdict(signed(), record)
    assert found.result is Result.PERMERROR
    assert words in found.reason


def test_a_strict_record_forbids_an_identity_of_a_subdomain() -> None:
    mail = signed(identity=b"@news.example.com")
    assert verdict(mail, RSA_VALUE).result is Result.PASS
    assert "t=s" in verdict(mail, RSA_VALUE + "; t=s").reason


def test_what_is_weak_is_noted_beside_a_pass() -> None:
    found = verdict(signed(length=True, include_headers=[b"From", b"Subject"]), RSA_VALUE + "; t=y")
    assert found.result is Result.PASS
    assert [note.split()[0] for note in found.notes] == ["l=", "From", "the"]


def test_no_record_is_permanent_and_no_answer_is_not() -> None:
    assert verdicts(signed(), {})[0].reason == "no key is published at s1._domainkey.example.com"

    def silent(name: str) -> TxtAnswer:
        raise NoAnswer("nobody answered")

    (found,) = judge(signed(), silent)
    assert (found.result, found.reason) == (Result.TEMPERROR, "nobody answered")


def test_an_expired_signature_fails() -> None:
    field, _, rest = signed().partition(b"; h=")
    mail = field + b"; x=%d" % (time.time() - 100_000) + b"; h=" + rest
    found = verdict(mail.replace(b"; t=", b"; y="), RSA_VALUE)
    assert (found.result, "has expired" in found.reason) == (Result.FAIL, True)


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"v=1",
        b"v=1; v=1",
        b"nonsense",
        b"v=1; d=example.com; s=s1",
        b"v=1; d=\xff\xfe; s=s1",
        b"d=a..b; s=;",
        b"v=1; d=a@b.c; s=s1",
        b"v=1; d=\x1b[2J.example.com; s=s1",
    ],
)
def test_a_signature_that_cannot_be_read_is_an_error_and_no_crash(field: bytes) -> None:
    found = verdict(b"DKIM-Signature: " + field + b"\r\n" + MAIL, RSA_VALUE)
    assert found.result is Result.PERMERROR
    assert found.reason


def test_a_thousand_signatures_are_not_all_judged() -> None:
    assert len(verdicts(b"DKIM-Signature: v=1\r\n" * 1000 + MAIL, {})) == SIGNATURES_MAX


WHOLE = signed()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=6), st.integers(0, 6))
def test_damage_anywhere_is_judged_and_never_crashes(at: int, inserted: bytes, removed: int) -> None:
    whole = WHOLE
    at %= len(whole)
    for found in verdicts(whole[:at] + inserted + whole[at + removed :], published(RSA_VALUE)):
        assert found.reason
