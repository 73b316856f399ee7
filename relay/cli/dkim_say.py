"""What the dkim commands have to say in the same words: arguments, records, TOML."""

import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

from relay.config.dkim_table import domain_name, selector_name
from relay.config.value import endpoint
from relay.errors import ConfigurationError
from relay.identity.dkim_dns import Lookup, lookup_by
from relay.identity.dkim_key import SigningKey
from relay.message.dkim.record import record_name, zone_text

Result = TypeVar("Result")
MAIL_MAX_BYTES = 256 * 1024 * 1024
"""More than any mail Microsoft takes (150 MB, after encoding)."""


def domain_of(text: str) -> str:
    """The domain of an argument."""
    return _argument(domain_name, text)


def selector_of(text: str) -> str:
    """The selector of an option."""
    return _argument(selector_name, text)


def lookup_of(resolver: str | None) -> Lookup:
    """The look-up that `--resolver` asks for."""
    return lookup_by(None if resolver is None else _argument(endpoint, resolver))


def read_mail(file: Path) -> bytes:
    """The mail in a file or, for `-`, on standard input."""
    if str(file) == "-":
        data = sys.stdin.buffer.read(MAIL_MAX_BYTES + 1)
    else:
        with open(file, "rb") as opened:
            data = opened.read(MAIL_MAX_BYTES + 1)
    if len(data) > MAIL_MAX_BYTES:
        raise ConfigurationError(f"{file} is larger than {MAIL_MAX_BYTES} bytes; that is no mail")
    return data


def key_words(key: SigningKey) -> str:
    """`RSA, 2048 bits`."""
    return f"RSA, {key.bits} bits" if key.key_type == "rsa" else "Ed25519"


def printable(text: str) -> str:
    """Without control characters: what mails and the DNS say must not steer a terminal."""
    return "".join(each if each.isprintable() else "�" for each in text)


def record_text(domain: str, selector: str, key: SigningKey) -> str:
    """The record both ways; lines to be copied begin at the margin."""
    name, value = record_name(domain, selector), key.public_record_value()
    return (
        f"For a web form (type TXT; name {name}, or {name.removesuffix(f'.{domain}')} where the form adds the domain):\n\n"
        f"{value}\n\nFor a zone file:\n\n{zone_text(name, value)}\n"
    )


def selector_toml(selector: str, key: Path, active_from: float | None = None) -> str:
    """The `[[dkim.selector]]` to paste."""
    lines = ["[[dkim.selector]]", f"name = {quoted(selector)}", f"key_file = {quoted(str(key))}"]
    if active_from is not None:
        lines.append(f"active_from = {toml_time(active_from)}")
    return "\n".join(lines) + "\n"


def toml_time(moment: float) -> str:
    """`2026-12-01T00:00:00Z`."""
    return f"{datetime.datetime.fromtimestamp(moment, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are all TOML's too (TOML 1.0, section String)."""
    return json.dumps(text, ensure_ascii=False)


def _argument(parse: Callable[[str], Result], text: str) -> Result:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}") from None
