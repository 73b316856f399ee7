"""What people write for sizes, times and addresses, and what it means.

`"150 MB"` is 150,000,000 bytes and `"1 GiB"` is 2**30; `"5m"` is 300 seconds. A bare
number is bytes or seconds. What could mean two things (`"150 M"`) is refused.
"""

import datetime
import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from relay.route.match import network_like

SIZES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def size_bytes(value: object) -> object:
    """Bytes of `"150 MB"`; what is no text passes, for the type check to judge."""
    if not isinstance(value, str):
        return value
    number, unit = _split(value)
    factor = SIZES.get(unit.lower())
    if not number or factor is None:
        raise ValueError('write bytes as a number, or a size such as "150 MB" or "1 GiB"')
    return int(float(number) * factor)


def time_s(value: object) -> object:
    """Seconds of `"5m"` or `"1h30m"`; what is no text passes, for the type check to judge."""
    if not isinstance(value, str):
        return value
    seconds, rest = 0.0, value.strip()
    while rest:
        number, tail = _split(rest)
        unit = tail[: len(tail) - len(tail.lstrip("abcdefghijklmnopqrstuvwxyz"))]
        if not number or unit not in TIMES:
            break
        seconds += float(number) * TIMES[unit]
        rest = tail[len(unit) :].strip()
    if rest or not value.strip():
        raise ValueError('write seconds as a number, or a time such as "30s", "5m", "4h" or "5d"')
    return seconds


def written_time(seconds: float) -> str:
    """As a configuration says it: `14d`, `1h30m`, `0.5s`."""
    if seconds != int(seconds) or seconds <= 0:
        return f"{seconds:g}s"
    parts, rest = "", int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        parts += f"{count}{unit}" if count else ""
    return parts


def _date(value: object) -> object:
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise ValueError("write a date without quotes, such as 2027-01-31")
    return value


def endpoint(text: str) -> tuple[str, int]:
    """Address and port of `127.0.0.1:25` or `[::1]:25`; ValueError says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError('write address and port, such as "127.0.0.1:25" or "[::1]:25"')
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(
            f'"{host}" is no IP address; write one of this machine, 0.0.0.0 for all of IPv4, [::] for all of IPv6'
        ) from None
    if address.version == 6 and bare == host:
        raise ValueError(f'write the IPv6 address in brackets: "[{host}]:{port}"')
    return str(address), int(port)


def _endpoint_text(value: str) -> str:
    endpoint(value)
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        hint = _network_hint(value)
        raise ValueError(f'write a network such as "10.0.0.0/8" or "2001:db8::/32"{hint}') from None
    return value


def _network_hint(value: str) -> str:
    try:
        return f'; did you mean "{ipaddress.ip_network(value, strict=False)}"?'
    except ValueError:
        return ""


def address_pattern(value: str) -> str:
    """The value, when `relay.route.pattern` finds something in it; ValueError."""
    local, at, domain = value.rpartition("@")
    if not at:
        domain = value.removeprefix("*.")
    is_domain = all(domain.split(".")) and not set(domain) & set("*@<> ,;")
    if value != "<>" and (not is_domain or (at and not local) or "*" in local or value != value.strip()):
        raise ValueError(
            'write an address such as "orders@contoso.com", a domain "contoso.com", "*.contoso.com" for all '
            'below it, or "<>" for mail without a sender'
        )
    return value


def _recipient_pattern(value: str) -> str:
    if value == "<>":
        raise ValueError('every recipient has an address; "<>" is for senders')
    return address_pattern(value)


def _client(value: str) -> str:
    return _network(value) if network_like(value) else value


def _host(value: str) -> str:
    """A name or address for a connection; an underscore or a space is a slip of the pen."""
    labels = value.rstrip(".").split(".")
    if value and all(label and label.replace("-", "a").isalnum() for label in labels):
        return value
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("write a host name or an IP address, without a port or a scheme") from None
    return value


def _split(text: str) -> tuple[str, str]:
    """`"1.5 GiB"` → `("1.5", "GiB")`."""
    text = text.strip()
    end = len(text) - len(text.lstrip("0123456789."))
    number = text[:end]
    return (number if number.count(".") <= 1 and number != "." else ""), text[end:].strip()


Size = Annotated[int, BeforeValidator(size_bytes), Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(time_s), Field(ge=0, allow_inf_nan=False)]
Endpoint = Annotated[str, AfterValidator(_endpoint_text)]
Network = Annotated[str, AfterValidator(_network)]
SenderPattern = Annotated[str, AfterValidator(address_pattern)]
RecipientPattern = Annotated[str, AfterValidator(_recipient_pattern)]
Client = Annotated[str, Field(min_length=1), AfterValidator(_client)]
"""A network, or the name of a client."""
Host = Annotated[str, AfterValidator(_host)]
Count = Annotated[int, Field(ge=1)]
Date = Annotated[datetime.date, BeforeValidator(_date)]
Port = Annotated[int, Field(ge=1, le=65_535)]
ListenerTls = Literal["none", "starttls", "implicit"]
AuthMode = Literal["off", "optional", "required"]
TlsWord = Literal["1.0", "1.1", "1.2", "1.3"]
"""Of relay.tls.TlsVersion; a test compares."""
RouteTls = Literal["required", "opportunistic", "none", "implicit"]
RouteKind = Literal["submission", "connector", "direct", "high-volume", "acs", "smtp"]
"""Of relay.m365.preset.Kind; a test compares."""
CloudName = Literal["worldwide", "gcc-high", "dod", "21vianet"]
"""Of relay.m365.cloud.CLOUDS; likewise."""
PriorityWord = Literal["high", "normal", "bulk"]
"""Of relay.message.priority.PRIORITIES; likewise."""
SideWord = Literal["inside", "outside"]
"""Of relay.route.match.Side; likewise."""
ActionWord = Literal["off", "warn", "refuse"]
"""Of relay.receive.options.Action; likewise."""
LateWord = Literal["tell", "refuse"]
UncertainWord = Literal["retry", "hold", "ask"]
"""Of relay.message.uncertain.Uncertain; likewise."""
ThenWord = Literal["retry", "arrived", "fail"]
"""Of relay.message.uncertain.Then; likewise."""
UnknownWord = Literal["accept", "refuse"]
"""Of relay.route.tenant.Unknown; likewise."""
FailedWord = Literal["report", "hold"]
"""Of relay.route.route.Failed; likewise."""
KeptWord = Literal["full", "hashed", "domain"]
"""Of relay.trace.history.options.Kept; likewise."""
Level = Literal["debug", "info", "warning", "error"]
