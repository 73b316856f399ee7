"""Which signatures that a mail bears already look valid and aligned."""

import pytest

from relay.message.dkim.existing import MAX_LOOKED_AT, has_aligned_signature
from relay.message.header import Header

NOW = 1_795_000_000.0
GOOD = b"v=1; a=rsa-sha256; d=example.com; s=x; h=to:From; bh=YWJj; b=YWJj\r\n\tYWJj"


def looks_valid(value: bytes, domain: bytes = b"example.com") -> bool:
    return has_aligned_signature(Header.of(b"DKIM-Signature: %b\r\n\r\n" % value), domain, NOW)


def test_a_complete_signature_of_the_same_domain_does() -> None:
    assert looks_valid(GOOD)


@pytest.mark.parametrize("domain", [b"mail.example.com", b"example.com"])
def test_a_parent_is_aligned(domain: bytes) -> None:
    assert looks_valid(GOOD, domain)


def test_a_subdomain_is_aligned() -> None:
    assert looks_valid(GOOD.replace(b"d=", b"d=News."))


@pytest.mark.parametrize("domain", [b"example.org", b"badexample.com", b"xample.com"])
def test_another_domain_is_not(domain: bytes) -> None:
    assert not looks_valid(GOOD, domain)


def test_a_top_level_domain_signs_for_nobody() -> None:
    assert not looks_valid(GOOD.replace(b"d=example.com", b"d=com"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v=1", b"v=2"), (b"rsa-sha256", b"rsa-sha1"), (b"s=x", b"s="), (b"to:From", b"to"), (b"bh=YWJj", b"bh="),
        (b"bh=YWJj", b"bh=?"), (b"; b=YWJj\r\n\tYWJj", b""), (b"s=x", b"s=x; x=1794999999"), (b"s=x", b"s=x; x=soon"),
        (b"s=x", b"s=x; s=y"), (b"s=x", b"nonsense"), (b"v=1; ", b""),
    ],
)  # fmt: skip
def test_a_flawed_one_does_not(old: bytes, new: bytes) -> None:
    assert old in GOOD
    assert not looks_valid(GOOD.replace(old, new, 1))


def test_one_that_has_not_expired_does() -> None:
    assert looks_valid(GOOD.replace(b"s=x", b"s=x; x=1795000001"))


def test_the_second_may_be_the_good_one() -> None:
    header = Header.of(b"DKIM-Signature: v=1\r\nDKIM-Signature: %b\r\n\r\n" % GOOD)
    assert has_aligned_signature(header, b"example.com", NOW)


def test_a_mail_without_signature_has_none() -> None:
    assert not has_aligned_signature(Header.of(b"From: x\r\n\r\n"), b"example.com", NOW)


def test_not_more_than_so_many_are_looked_at() -> None:
    header = b"DKIM-Signature: v=1\r\n" * MAX_LOOKED_AT + b"DKIM-Signature: %b\r\n\r\n" % GOOD
    assert not has_aligned_signature(Header.of(header), b"example.com", NOW)
