"""Is the published record the one that fits the key? And if not, what is wrong with it?

Pure but for the look-ups it is handed. What a verifier would trip over is an error,
what is unwise a warning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from relay.identity.dkim_dns import Lookup, TxtAnswer
from relay.identity.dkim_key import RSA_BITS_GOOD, RSA_BITS_MIN, SigningKey
from relay.message.dkim.record import STRING_MAX, KeyRecord, record_name

CNAMES_MAX = 4
"""Resolvers follow some ten; each costs the verifier a look-up that can fail."""


class Level(Enum):
    """How bad it is."""

    ERROR = "error"
    """Verifiers will not accept signatures of this key, or not all."""
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about a record."""

    level: Level
    text: str


def check(
    domain: str, selector: str, key: SigningKey, look_up: Lookup, identity_domain: str | None = None
) -> tuple[Finding, ...]:
    """Everything worth saying about the record of one selector; NoAnswer when the DNS cannot be asked.

    `identity_domain` is the domain of i=, when it is set.
    """
    name = record_name(domain, selector)
    answer = look_up(name)
    if not answer.texts:
        return (_missing(answer, domain, look_up),)
    return (*_road(answer), *_judge(answer, key, identity_domain not in (None, domain)))


def check_retired(domain: str, selector: str, look_up: Lookup) -> tuple[Finding, ...]:
    """A key that signs no more should verify no more."""
    answer = look_up(record_name(domain, selector))
    for record in _records(answer):
        if not record.is_revoked:
            return (
                Finding(
                    Level.WARNING,
                    "is retired and still published; revoke it: set its record to v=DKIM1; p=, or delete it",
                ),
            )
    return ()


def _records(answer: TxtAnswer) -> Iterator[KeyRecord]:
    for text in answer.texts:
        try:
            yield KeyRecord.parse(text)
        except ValueError:
            continue


def _missing(answer: TxtAnswer, domain: str, look_up: Lookup) -> Finding:
    if answer.cnames:
        chain = " → ".join((answer.name, *answer.cnames))
        return Finding(Level.ERROR, f"missing: {chain} leads to a name without a TXT record")
    doubled = f"{answer.name}.{domain}"
    if len(doubled) < 254 and look_up(doubled).texts:
        left = answer.name.removesuffix(f".{domain}")
        return Finding(
            Level.ERROR,
            f"stands at {doubled}: your DNS provider adds the domain by itself; name the record {left}",
        )
    return Finding(Level.ERROR, f"missing: there is no TXT record at {answer.name}")


def _road(answer: TxtAnswer) -> Iterator[Finding]:
    if not answer.cnames:
        return
    chain = " → ".join((answer.name, *answer.cnames))
    if len(answer.cnames) > CNAMES_MAX:
        yield Finding(
            Level.WARNING, f"is reached by {len(answer.cnames)} CNAMEs: {chain}; verifiers may give up"
        )
    else:
        yield Finding(Level.NOTE, f"is reached by CNAME: {chain}")


def _judge(answer: TxtAnswer, key: SigningKey, uses_subdomain: bool) -> Iterator[Finding]:
    if len(answer.texts) > 1:
        # RFC 6376 section 3.6.2.2: "TXT RRs MUST be unique for a particular selector name".
        yield Finding(
            Level.ERROR,
            f"there are {len(answer.texts)} TXT records at {answer.name}, and verifiers take any of them; leave one",
        )
        return
    text = answer.texts[0]
    try:
        record = KeyRecord.parse(text)
    except ValueError as error:
        yield Finding(Level.ERROR, f"syntax: {error}{_slip(text)}")
        return
    yield from _judge_key(record, key)
    yield from _judge_terms(record, uses_subdomain)


def _slip(text: bytes) -> str:
    """What has probably been done, for the slips that are made most."""
    if b'"' in text:
        return '; quotes stand within the value: paste the plain value, or as two strings "…" "…" only in a zone file'
    if b"\\" in text:
        return "; a backslash stands within the value: only zone files need it, web forms do not"
    if b"-----" in text:
        return "; it was pasted with the lines of the PEM file: paste what m365-relay prints"
    if len(text) == STRING_MAX:
        return f"; it ends after {STRING_MAX} characters: the provider cut it, split it into several strings"
    return ""


def _judge_key(record: KeyRecord, key: SigningKey) -> Iterator[Finding]:
    if record.is_revoked:
        yield Finding(
            Level.ERROR, "revoked: p= is empty, so no verifier accepts a signature of this selector"
        )
        return
    if record.key_type != key.key_type:
        yield Finding(
            Level.ERROR, f"other key: the record says k={record.key_type}, the key is {key.key_type}"
        )
        return
    same, bits = _compare(record, key)
    if bits is None:
        yield Finding(Level.ERROR, "syntax: p= is base64, but no RSA public key; it may be cut short")
    elif not same:
        yield Finding(
            Level.ERROR,
            f"other key: the record does not hold the public part of {key.source}; publish that, or name the right file",
        )
    elif record.key_type == "rsa" and bits < RSA_BITS_MIN:
        yield Finding(Level.ERROR, f"key too short: {bits} bits, verifiers want {RSA_BITS_MIN} (RFC 8301)")
    elif record.key_type == "rsa" and bits < RSA_BITS_GOOD:
        yield Finding(Level.WARNING, f"the key has {bits} bits; {RSA_BITS_GOOD} are usual today (RFC 8301)")


def _compare(record: KeyRecord, key: SigningKey) -> tuple[bool, int | None]:
    """Whether both are one key, in whichever form it was published, and its bits; None: no RSA key."""
    if record.key_type == "ed25519":
        return record.public_key == key.public_key, key.bits
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

    try:
        public = load_der_public_key(record.public_key)
    except (ValueError, UnsupportedAlgorithm):
        return False, None
    if not isinstance(public, RSAPublicKey):
        return False, None
    form = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return form == key.public_key, public.key_size


def _judge_terms(record: KeyRecord, uses_subdomain: bool) -> Iterator[Finding]:
    if record.is_testing:
        yield Finding(
            Level.WARNING,
            "t=y: verifiers treat mail with a broken signature as unsigned; remove it after testing",
        )
    if record.is_strict and uses_subdomain:
        yield Finding(Level.ERROR, "t=s: the record forbids subdomains in i=, and the identity is of one")
    if not record.takes_sha256:
        yield Finding(Level.ERROR, f"h={':'.join(record.hashes)}: sha256 is not among the accepted hashes")
    if not record.takes_email:
        yield Finding(Level.ERROR, f"s={':'.join(record.services)}: the key is not for email")
