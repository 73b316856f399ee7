"""The shape of a client: of `[[client]]`, and of a line of the clients file."""

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from relay.budget.ring import COUNT_MAX
from relay.config.oauth_inbound_table import Guid
from relay.config.table import Table
from relay.config.value import Count, Network, PriorityWord, Size
from relay.identity.client import INSIDE
from relay.identity.password import check_hash
from relay.message.own_field import MAX_CAMPAIGN, is_campaign
from relay.smtp.sasl_server import NAME_MAX_BYTES
from relay.smtp.scram import read_verifier

NAME_MAX = 64
CONNECTIONS_MAX = 1_000
"""Each is a lock that is looked for: a thousand take a millisecond."""
WEIGHT_MAX = 100
"""One that weighs more shuts the others out, which is what priorities are for."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]*[A-Za-z0-9])?")
_NO_LETTERS = frozenset("0123456789._@-")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def client_name(value: str) -> str:
    """The value, when it may be a client's name; ValueError."""
    # Rules of routes name clients and networks side by side: a name is told from an address by a letter.
    if len(value) > NAME_MAX or not _NAME.fullmatch(value) or not set(value) - _NO_LETTERS:
        raise ValueError(
            f'write a name of letters, digits and . _ @ - (at most {NAME_MAX}), such as "erp" or "scanner-2"'
        )
    return value


def username(value: str) -> str:
    """The value, when a client could log in so; ValueError."""
    if not value or len(value.encode()) > NAME_MAX_BYTES or not value.isprintable() or value != value.strip():
        raise ValueError("write a user name of visible characters, 255 bytes at most")
    return value


def certificate(value: str) -> str:
    """A fingerprint as 64 hexadecimal digits, or a name; lower case. ValueError."""
    bare = value.lower().removeprefix("sha256:").replace(":", "")
    if _FINGERPRINT.fullmatch(bare):
        return bare
    local, at, domain = value.lower().rpartition("@")
    if bool(at) is bool(local) and _DOMAIN.fullmatch(domain) and local.isprintable() and " " not in local:
        return value.lower()
    raise ValueError(
        "write a DNS name or e-mail address of the certificate (subjectAltName), or its SHA-256 fingerprint: "
        "openssl x509 -noout -fingerprint -sha256 -in client.pem"
    )


def address_rule(value: str) -> str:
    """The value, when it is a rule as routes have them; ValueError."""
    local, at, domain = value.rpartition("@")
    is_address = bool(at) and bool(local)
    bare = domain if is_address else value.removeprefix("*.")
    if value == "<>" or ((is_address or not at) and _DOMAIN.fullmatch(bare.lower())):
        return value
    raise ValueError(
        'write an address, a domain, "*.example.com" for all below it, or "<>" for the null sender'
    )


def recipient_rule(value: str) -> str:
    """The value, when it is a rule about recipients; ValueError."""
    if value == "<>":
        raise ValueError('every recipient has an address; "<>" is for senders')
    # `inside` is a word of ours here, and would be a domain without a dot.
    return value if value == INSIDE else address_rule(value)


def _verifier(value: str) -> str:
    read_verifier(value)
    return value


Name = Annotated[str, AfterValidator(client_name)]
Username = Annotated[str, AfterValidator(username)]
Certificate = Annotated[str, AfterValidator(certificate)]
Rule = Annotated[str, AfterValidator(address_rule)]
Recipient = Annotated[str, AfterValidator(recipient_rule)]
Amount = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Hash = Annotated[str, AfterValidator(check_hash)]
Scram = Annotated[str, AfterValidator(_verifier)]


def _campaign(value: str) -> str:
    if not is_campaign(value):
        raise ValueError(f"write a name of 1 to {MAX_CAMPAIGN} printable ASCII characters")
    return value


class AnyClient(Table):
    """What both have; `from` is no name for an attribute."""

    model_config = ConfigDict(populate_by_name=True)

    name: Name
    username: Username | None = None
    certificates: list[Certificate] | None = None
    networks: list[Network] | None = None
    oauth_app: Guid | None = None
    oauth_users: Annotated[list[Guid], Field(min_length=1)] | None = None
    senders: list[Rule] | None = None
    authors: list[Rule] | None = Field(default=None, alias="from")
    recipients: Annotated[list[Recipient], Field(min_length=1)] | None = None
    routes: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    priority: PriorityWord | None = None
    priority_max: PriorityWord | None = None
    message_size: Annotated[Size, Field(ge=1)] | None = None
    recipients_per_message: Count | None = None
    connections: Annotated[int, Field(ge=1, le=CONNECTIONS_MAX)] | None = None
    weight: Annotated[int, Field(ge=1, le=WEIGHT_MAX)] | None = None
    campaign: Annotated[str, AfterValidator(_campaign)] | None = None
    messages_per_minute: Amount | None = None
    messages_per_hour: Amount | None = None
    messages_per_day: Amount | None = None
    recipients_per_minute: Amount | None = None
    recipients_per_hour: Amount | None = None
    recipients_per_day: Amount | None = None
    disabled: bool | None = None


class ClientTable(AnyClient):
    """`relay.identity.client.Client`."""

    password_hash: Hash | None = None
    password_hash_file: Annotated[str, Field(min_length=1)] | None = None


class StoredPassword(Table):
    """`relay.identity.client.Password`."""

    hash: Hash
    scram: Scram | None = None
    until: float | None = None


class StoredClient(AnyClient):
    """A line of the clients file."""

    passwords: list[StoredPassword] = Field(default_factory=list)
