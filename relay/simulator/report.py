"""What the simulator says in the end, or when asked: what was accepted, and which limit was violated how often."""

from collections.abc import Mapping

from msgspec import Struct

from relay.simulator.ledger import Ledger
from relay.simulator.mx import Mx
from relay.simulator.tenant import Account, Tenant


class OfMailbox(Struct, frozen=True):
    """One mailbox."""

    accepted: int
    refused: int
    """After the end of the data."""
    peak_connections: int
    peak_messages: int
    """The most it got through in any window of `messages_per`."""
    peak_recipients: int
    recipients_left: int | None
    """In the window that ends now; None where there is no limit."""


class Report(Struct, frozen=True):
    """All of it. Times are the simulator's."""

    began: float
    ended: float
    accepted: int
    recipients: int
    external_recipients: int
    bytes: int
    duplicates: int
    """Recipients that a mail with the same Message-ID was taken for before."""
    violations: Mapping[str, int]
    mailboxes: Mapping[str, OfMailbox]
    peak_external_recipients: int
    external_recipients_left: int | None
    peak_mx_connections: int
    sessions: Mapping[str, int]
    refusals: Mapping[str, int]
    faults: Mapping[str, int]
    tokens: Mapping[str, int]
    mails_kept: int
    """How many of the accepted are listed one by one."""


def make(ledger: Ledger, tenant: Tenant, mx: Mx, began: float, now: float) -> Report:
    """As things stand."""
    external = tenant.external
    return Report(
        began=began,
        ended=now,
        accepted=ledger.accepted,
        recipients=ledger.recipients,
        external_recipients=ledger.external_recipients,
        bytes=ledger.bytes,
        duplicates=ledger.duplicates,
        violations=dict(ledger.violations),
        mailboxes={each.address: _of(each, now) for each in tenant.accounts.values()},
        peak_external_recipients=external.peak,
        external_recipients_left=external.limit - external.count(now) if external.limit else None,
        peak_mx_connections=mx.peak,
        sessions=dict(ledger.sessions),
        refusals=dict(ledger.refusals),
        faults=dict(ledger.faults),
        tokens=dict(ledger.tokens),
        mails_kept=len(ledger.mails),
    )


def _of(account: Account, now: float) -> OfMailbox:
    recipients = account.recipients
    return OfMailbox(
        accepted=account.accepted,
        refused=account.refused,
        peak_connections=account.peak_sessions,
        peak_messages=account.messages.peak,
        peak_recipients=recipients.peak,
        recipients_left=recipients.limit - recipients.count(now) if recipients.limit else None,
    )
