"""Microsoft's published limits, as rows; and the tenant's limit to the outside (TERRL).

A row says who is limited, what is counted, how many, and in which time. What is not
published (connectors, connections to MX hosts) has no row: it must be learnt.
"""

from dataclasses import dataclass
from enum import Enum

from relay.m365.preset import Kind
from relay.m365.row import READ_ON, Certainty, Scope

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400

TERRL_TRIAL = 5000
"""Tenants with trial licences only."""


class Counted(Enum):
    """What is counted."""

    CONNECTIONS = "connections"
    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    EXTERNAL_RECIPIENTS = "external recipients"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` in any time of `window_s`; without a window: at once, or in one message."""

    name: str
    kinds: tuple[Kind, ...]
    """The routes it holds for."""
    scope: Scope
    counted: Counted
    most: int
    window_s: int | None
    note: str
    source: str
    certainty: Certainty
    date: str = READ_ON


def terrl(licences: int) -> int:
    """External recipients a tenant may write to in 24 hours, by its paid e-mail licences; 0: a trial.

    500 × licences^0.7 + 9500 (TC 4372797). Microsoft's own examples are rounded up at
    10 licences and down at 500; down is at most one too few and never one too many.
    """
    if licences < 0:
        raise ValueError(f"a tenant has no {licences} licences")
    if licences == 0:
        return TERRL_TRIAL
    return int(500 * licences**0.7 + 9500)


_MX = (Kind.CONNECTOR, Kind.DIRECT)
_SUBMISSION = "learn: smtp-submission-improvements"
_SERVICE_LIMITS = "ACS: service-limits"
_HIGH_VOLUME = "learn: high-volume-mails-m365"
_NDR = "SUP: non-delivery-reports-in-exchange-online"

# One row a paragraph, in the order of Limit's fields: a table, not code.
# fmt: off
LIMITS = (
    Limit(
        "mailbox-connections", (Kind.SUBMISSION,), Scope.SENDER, Counted.CONNECTIONS, 3, None,
        "One more is refused, but only after its whole mail was sent.",
        _SUBMISSION, Certainty.PRIMARY,
    ),
    Limit(
        "mailbox-messages", (Kind.SUBMISSION,), Scope.SENDER, Counted.MESSAGES, 30, MINUTE_S,
        "Documented as delayed, reported as refused.",
        _SUBMISSION, Certainty.CONFLICT,
    ),
    Limit(
        "mailbox-recipients", (Kind.SUBMISSION,), Scope.SENDER, Counted.RECIPIENTS, 10_000, DAY_S,
        "Rolling; a group counts as one.",
        _SUBMISSION, Certainty.PRIMARY,
    ),
    Limit(
        "message-recipients", (Kind.SUBMISSION,), Scope.MESSAGE, Counted.RECIPIENTS, 500, None,
        "A mailbox's default; 1 to 1,000 can be set.",
        "PS: Set-Mailbox, Set-TransportConfig", Certainty.PRIMARY,
    ),
    Limit(
        "message-recipients-of-a-domain", _MX, Scope.MESSAGE, Counted.RECIPIENTS, 200, None,
        "Of one domain in one envelope.",
        _NDR, Certainty.PRIMARY,
    ),
    Limit(
        "message-size", (Kind.SUBMISSION,), Scope.MESSAGE, Counted.BYTES, 35 * 1024 * 1024, None,
        "A mailbox's default; up to 150 MB can be set.",
        "service description, copies", Certainty.PRESS,
    ),
    Limit(
        "message-size-announced", (Kind.SUBMISSION, *_MX), Scope.MESSAGE, Counted.BYTES, 157_286_400, None,
        "SIZE in the reply to EHLO.",
        "transcripts of 2022 to 2025", Certainty.LOG,
    ),
    Limit(
        "header-field-size", (Kind.SUBMISSION, *_MX), Scope.MESSAGE, Counted.BYTES, 32_768, None,
        "One header field.",
        "zammad issue #5334, chatmail issue #4370", Certainty.LOG,
    ),
    Limit(
        "header-size", (Kind.SUBMISSION, *_MX), Scope.MESSAGE, Counted.BYTES, 262_144, None,
        "All header fields.",
        "PS: Set-ReceiveConnector", Certainty.DERIVED,
    ),
    Limit(
        "tenant-external", (Kind.SUBMISSION, Kind.CONNECTOR), Scope.TENANT_EXTERNAL, Counted.EXTERNAL_RECIPIENTS,
        terrl(1), DAY_S,
        "Rolling; by the number of licences, here of one. Each recipient of each message counts, groups expanded.",
        "TC 4372797", Certainty.PRIMARY,
    ),
    Limit(
        "tenant-external-trial", (Kind.SUBMISSION, Kind.CONNECTOR), Scope.TENANT_EXTERNAL,
        Counted.EXTERNAL_RECIPIENTS, TERRL_TRIAL, DAY_S,
        "Rolling; a tenant with trial licences only.",
        "TC 4372797", Certainty.PRIMARY,
    ),
    Limit(
        "onmicrosoft-external", (Kind.SUBMISSION, Kind.CONNECTOR), Scope.SENDER_DOMAIN,
        Counted.EXTERNAL_RECIPIENTS, 100, DAY_S,
        "Rolling; all senders in *.onmicrosoft.com together, groups expanded.",
        "TC: limiting onmicrosoft domain usage", Certainty.PRESS,
    ),
    Limit(
        "recipient-messages", (Kind.SUBMISSION, *_MX, Kind.HIGH_VOLUME), Scope.RECIPIENT, Counted.MESSAGES,
        3600, HOUR_S,
        "What one mailbox takes from all senders.",
        _NDR, Certainty.PRIMARY,
    ),
    Limit(
        "recipient-messages-of-a-sender", (Kind.SUBMISSION, *_MX, Kind.HIGH_VOLUME), Scope.RECIPIENT,
        Counted.MESSAGES, 1200, HOUR_S,
        "What one mailbox takes from one sender: a third.",
        _NDR, Certainty.PRIMARY,
    ),
    Limit(
        "high-volume-message-recipients", (Kind.HIGH_VOLUME,), Scope.MESSAGE, Counted.RECIPIENTS, 50, None,
        "In one envelope.",
        _HIGH_VOLUME, Certainty.PRIMARY,
    ),
    Limit(
        "high-volume-message-size", (Kind.HIGH_VOLUME,), Scope.MESSAGE, Counted.BYTES, 10_000_000, None,
        "10 MB with attachments.",
        _HIGH_VOLUME, Certainty.PRESS,
    ),
    Limit(
        "acs-messages-a-minute", (Kind.COMMUNICATION,), Scope.ROUTE, Counted.MESSAGES, 30, MINUTE_S,
        "A subscription with a domain of its own, until it is raised; 5 with Azure's domain.",
        _SERVICE_LIMITS, Certainty.PRIMARY,
    ),
    Limit(
        "acs-messages-an-hour", (Kind.COMMUNICATION,), Scope.ROUTE, Counted.MESSAGES, 100, HOUR_S,
        "A subscription with a domain of its own, until it is raised; 10 with Azure's domain.",
        _SERVICE_LIMITS, Certainty.PRIMARY,
    ),
    Limit(
        "acs-connections", (Kind.COMMUNICATION,), Scope.ROUTE, Counted.CONNECTIONS, 250, None,
        "A subscription.",
        _SERVICE_LIMITS, Certainty.PRESS,
    ),
    Limit(
        "acs-message-recipients", (Kind.COMMUNICATION,), Scope.MESSAGE, Counted.RECIPIENTS, 50, None,
        "In one envelope.",
        _SERVICE_LIMITS, Certainty.PRIMARY,
    ),
    Limit(
        "acs-message-size", (Kind.COMMUNICATION,), Scope.MESSAGE, Counted.BYTES, 10_000_000, None,
        "10 MB; up to 30 on request.",
        _SERVICE_LIMITS, Certainty.PRIMARY,
    ),
)
