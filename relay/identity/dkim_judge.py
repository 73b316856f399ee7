"""A mail's signatures, judged by dkimpy; the only importer of it.

dkimpy says whether a signature holds. Around it stands what it does not look at
(h=, s= and t=s of the record, k= against a=), and the reason in words.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from relay.identity.dkim_dns import Lookup, NoAnswer
from relay.identity.dkim_key import RSA_BITS_MIN
from relay.message.dkim import tags
from relay.message.dkim.record import KeyRecord, record_name

SIGNATURES_MAX = 50
"""Looked at; more is an attack on the verifier (RFC 6376 section 8.4)."""


class Result(Enum):
    """As Authentication-Results says it (RFC 8601 section 2.7.1)."""

    PASS = "pass"
    FAIL = "fail"
    PERMERROR = "permerror"
    """Signature or record cannot be used, now or later."""
    TEMPERROR = "temperror"
    """The DNS did not answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one signature; names are empty where the signature does not say them."""

    domain: str
    selector: str
    algorithm: str
    result: Result
    reason: str
    notes: tuple[str, ...] = ()


def judge(message: bytes, look_up: Lookup) -> list[Verdict]:
    """A verdict for each DKIM-Signature, from top to bottom; line ends may be CRLF or LF."""
    message = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    signatures = list(_signatures(message))[:SIGNATURES_MAX]
    return [_verdict(message, index, value, look_up) for index, value in enumerate(signatures)]


def _signatures(message: bytes) -> Iterator[bytes]:
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    for field in re.finditer(rb"(?im)^dkim-signature[ \t]*:((?:.*\n)(?:[ \t].*\n)*)", header):
        yield field[1]


def _verdict(message: bytes, index: int, value: bytes, look_up: Lookup) -> Verdict:
    try:
        found = tags.parse(value)
    except ValueError as error:
        return Verdict("", "", "", Result.PERMERROR, f"the signature cannot be read: {error}")
    domain, selector, algorithm = (_text(found, name) for name in (b"d", b"s", b"a"))
    notes = tuple(_signature_notes(found))

    def verdict(result: Result, reason: str, *more: str) -> Verdict:
        return Verdict(domain, selector, algorithm, result, reason, notes + more)

    name = record_name(domain, selector)
    if not _is_name(name):
        return verdict(Result.PERMERROR, "the signature does not name a domain (d=) and a selector (s=)")
    try:
        texts = look_up(name).texts
    except NoAnswer as error:
        return verdict(Result.TEMPERROR, str(error))
    if not texts:
        return verdict(Result.PERMERROR, f"no key is published at {name}")
    try:
        record = KeyRecord.parse(texts[0])
    except ValueError as error:
        return verdict(Result.PERMERROR, f"the key at {name} cannot be read: {error}")
    if (objection := _objection(record, algorithm, domain, found)) is not None:
        return verdict(Result.PERMERROR, objection)
    more = ("the key is published for testing (t=y)",) if record.is_testing else ()
    return verdict(*_ask_dkimpy(message, index, texts[0]), *more)


def _text(found: dict[bytes, bytes], name: bytes) -> str:
    # UTF-8: domains in other alphabets (RFC 8616).
    return tags.joined(found.get(name, b"")).decode("utf-8", "replace")


def _is_name(name: str) -> bool:
    """Whether the DNS may be asked for it: what a hostile signature says is no name."""
    labels = name.split(".")
    return len(name) < 254 and all(
        0 < len(label) < 64 and all(each.isalnum() or each in "-_" for each in label) for label in labels
    )


def _signature_notes(found: dict[bytes, bytes]) -> Iterator[str]:
    if b"l" in found:
        yield "l= leaves the end of the body unsigned: anything may have been added"
    fields = tags.colon_list(found.get(b"h", b""))
    if fields and fields.count("from") < 2:
        yield "From is not oversigned: a second one can be added"


def _objection(record: KeyRecord, algorithm: str, domain: str, found: dict[bytes, bytes]) -> str | None:
    """What RFC 6376 section 3.6.1 forbids and dkimpy does not look at."""
    if record.is_revoked:
        return "the key has been revoked (p= is empty)"
    if not algorithm.startswith(f"{record.key_type}-"):
        return f"the signature is {algorithm}, the key {record.key_type}"
    if not record.takes_email:
        return f"the key is not for email (s={':'.join(record.services)})"
    if not record.takes_sha256 and algorithm.endswith("-sha256"):
        return f"the key is not for SHA-256 (h={':'.join(record.hashes)})"
    identity = _text(found, b"i").rpartition("@")[2]
    if record.is_strict and identity and identity.lower() != domain.lower():
        return f"the key forbids subdomains in i= (t=s), and i= is of {identity}"
    return None


class _Complaints(logging.Handler):
    """Keeps what dkimpy logs instead of raising."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _ask_dkimpy(message: bytes, index: int, record: bytes) -> tuple[Result, str]:
    import dkim  # type: ignore[import-untyped]  # dkimpy has no types

    complaints = _Complaints()
    logger = logging.Logger("dkimpy", logging.ERROR)
    logger.addHandler(complaints)
    try:
        verifier = dkim.DKIM(message, logger=logger, minkey=RSA_BITS_MIN)
        holds: bool = verifier.verify(idx=index, dnsfunc=lambda name, timeout: record)
    except dkim.DKIMException as error:
        text = str(error)
        if text.startswith("body hash mismatch"):
            return Result.FAIL, "the body was changed after it was signed (its hash is another)"
        if text.startswith("x= value is past"):
            return Result.FAIL, f"the signature has expired ({text})"
        return Result.PERMERROR, text
    # Hostile bytes meet dkimpy's parsers; whatever they raise means that the signature is of no use.
    except Exception as error:
        return Result.PERMERROR, f"dkimpy cannot judge it: {type(error).__name__}: {error}"
    if holds:
        return Result.PASS, "the signature holds"
    if complaints.texts:
        return Result.PERMERROR, complaints.texts[0]
    return Result.FAIL, "signed header fields were changed, or it was signed with another key"
