"""The shape of `[[dkim]]` and its `[[dkim.selector]]`; what the values may be, one by one.

A key that is left out is None here: its default stands in `relay.identity.dkim`.
"""

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from relay.config.table import Table
from relay.config.value import time_s

LABEL_MAX = 63
NAME_MAX = 253
"""Of a DNS name, as text (RFC 1035 section 2.3.4)."""
LDH = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
FIELD_NAME = frozenset(chr(code) for code in range(33, 127)) - {":", ";"}
"""RFC 5322 section 2.2; ";" would end h= (RFC 6376 section 3.5)."""
NEVER_SIGNED = {
    "return-path": "is taken off at delivery",
    "received": "is added by each hop",
    "bcc": "is taken off on the way",
    "resent-bcc": "is taken off on the way",
    "dkim-signature": "is added by each signer",
    "authentication-results": "is taken off and added on the way",
}
"""RFC 6376 section 5.4.1 names those that do not survive."""


def dns_labels(text: str) -> list[str]:
    """The labels of a domain or a selector, lower case; ValueError says what is wrong."""
    if not text.isascii():
        raise ValueError(
            'write the form with "xn--" that your registrar or DNS provider shows beside this one'
        )
    labels = text.lower().split(".")
    for label in labels:
        if not label or len(label) > LABEL_MAX or not LDH.issuperset(label) or label.strip("-") != label:
            shown = label or "nothing between two dots"
            raise ValueError(f'"{shown}" is no DNS label: letters, digits and inner hyphens, 63 at most')
    return labels


def domain_name(text: str) -> str:
    """A whole domain, lower case, without a final dot; ValueError says what is wrong."""
    if "@" in text:
        raise ValueError("write the domain alone, without what stands before the @")
    labels = dns_labels(text.removesuffix("."))
    if len(labels) < 2:
        # RFC 6376 section 3.5: "domain-name = sub-domain 1*("." sub-domain)".
        raise ValueError('write a whole domain, such as "example.com"')
    return ".".join(labels)


def selector_name(text: str) -> str:
    """What stands before `._domainkey`, lower case; ValueError says what is wrong."""
    if "_domainkey" in text.lower():
        raise ValueError('write the selector alone, what stands before "._domainkey"')
    return ".".join(dns_labels(text))


def _moment(value: object) -> object:
    """A time with its zone; TOML's own, or the same in quotes."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        # A bare date or a time without a zone means another moment on another machine.
        raise ValueError("write a time with its zone, such as 2026-12-01T00:00:00Z")
    return value


def _identity(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at:
        raise ValueError('write an identity such as "@example.com" or "newsletter@example.com"')
    if not all("!" <= c <= "~" and c not in ";=" for c in local):
        raise ValueError("the part before the @ may hold visible ASCII without ; and = alone")
    return f"{local}@{domain_name(domain)}"


def _field(text: str) -> str:
    if not text or not FIELD_NAME.issuperset(text):
        raise ValueError(f'"{text}" is no field name')
    if reason := NEVER_SIGNED.get(text.lower()):
        raise ValueError(f"{text} {reason}, and the signature would break; leave it out")
    return text


Domain = Annotated[str, AfterValidator(domain_name)]
SelectorName = Annotated[str, AfterValidator(selector_name)]
Moment = Annotated[datetime.datetime, BeforeValidator(_moment)]
Identity = Annotated[str, AfterValidator(_identity)]
FieldName = Annotated[str, AfterValidator(_field)]
Lifetime = Annotated[float, BeforeValidator(time_s), Field(ge=60, allow_inf_nan=False)]


class SelectorTable(Table):
    """`relay.identity.dkim.Selector`."""

    name: SelectorName
    key_file: Annotated[str, Field(min_length=1)]
    active_from: Moment | None = None
    retire_at: Moment | None = None


class DkimTable(Table):
    """`relay.identity.dkim.DomainPolicy`."""

    domain: Domain
    selector: Annotated[list[SelectorTable], Field(min_length=1)]
    subdomains: bool | None = None
    canonicalization: (
        Literal["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"] | None
    ) = None
    oversign: list[FieldName] | None = None
    existing: Literal["sign", "leave"] | None = None
    on_failure: Literal["defer", "unsigned", "refuse"] | None = None
    identity: Identity | None = None
    lifetime: Lifetime | None = None
