"""Trace events: what happened to a mail, a session, a connection or the spool.

An event is written where the fact becomes true, once. The log and the metrics
(and later the history) are all made from it; nothing else counts or logs.
Events never hold a secret, and of a mail's content only its Message-ID.
"""

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from relay.trace.directory_event import DirectoryRead as DirectoryRead
from relay.trace.directory_event import DirectoryUnavailable as DirectoryUnavailable
from relay.trace.doubt_event import TraceAsked as TraceAsked
from relay.trace.doubt_event import TraceUnavailable as TraceUnavailable
from relay.trace.event_kind import Kind
from relay.trace.event_kind import Level as Level
from relay.trace.learning_event import DeviceAdmitted as DeviceAdmitted
from relay.trace.learning_event import DeviceRefused as DeviceRefused
from relay.trace.learning_event import LearningBegan as LearningBegan
from relay.trace.learning_event import LearningEnded as LearningEnded
from relay.trace.learning_event import SeenDropped as SeenDropped
from relay.trace.learning_event import SeenTrouble as SeenTrouble
from relay.trace.repeat_event import IdempotencyKeysFull, MailRepeated
from relay.trace.signing_keys_event import SigningKeysRead
from relay.trace.turned_away_event import SessionsRefused as SessionsRefused
from relay.trace.webhook_event import (
    WebhookFailed,
    WebhookGap,
    WebhookLag,
    WebhookMoved,
    WebhookSent,
    WebhookTrouble,
)

_Event = Kind


class SessionRefused(_Event, frozen=True):
    """A client was turned away before its first command."""

    client: str
    listener: str
    reason: str
    level: Level = "warning"


class SessionEnded(_Event, frozen=True):
    """A client's connection is over."""

    client: str
    listener: str
    reason: str
    mails: int
    seconds: float
    tls: str = ""
    account: str | UnsetType = UNSET
    """Name of the client that sent the last mail, where it has one."""
    level: Level = "info"


class CommandRefused(_Event, frozen=True):
    """A command or a mail got a 4xx or 5xx reply."""

    client: str
    listener: str
    command: str
    reply: str
    level: Level = "info"


class Accepted(_Event, frozen=True):
    """A mail is on the disk and its 250 is about to leave."""

    id: str
    message_id: str
    sender: str
    recipients: int
    size: int
    client: str
    helo: str
    seconds: float
    """From the end of the data to the end of the commit."""
    priority: str = "normal"
    campaign: str = ""
    original_sender: str | UnsetType = UNSET
    """What the client gave, where `sender` is ours."""
    original_from: str | UnsetType = UNSET
    """The address in From before it was rewritten."""
    from_left: str | UnsetType = UNSET
    """Why From could not be rewritten although a rule speaks of the sender."""
    account: str | UnsetType = UNSET
    """Name of the client that sent it, where it has one."""
    not_before: float | UnsetType = UNSET
    deadline: float | UnsetType = UNSET
    level: Level = "info"


class LoginSucceeded(_Event, frozen=True):
    """A client logged in; told at debug when it has done so a moment ago."""

    client: str
    listener: str
    account: str
    mechanism: str
    level: Level = "info"


class LoginFailed(_Event, frozen=True):
    """Somebody did not get in."""

    client: str
    listener: str
    username: str
    """A client's, or an address, as given; a keyed hash of any other: it may be a password in the wrong place."""
    mechanism: str
    reason: str
    about: str | UnsetType = UNSET
    """Whose a token is, once its signature has been verified."""
    level: Level = "warning"


class SpoofingSuspected(_Event, frozen=True):
    """A mail breaks a rule about whose name it may bear, and the rule only warns."""

    id: str
    client: str
    rule: str
    """The key in `[spoofing]`."""
    author: str
    """The address in From, or its domain; empty: there is not just one."""
    reason: str
    account: str = ""
    level: Level = "warning"


class AlignmentUnknown(_Event, frozen=True):
    """Nobody answered what a domain asks for by DMARC: its mail goes on, unjudged or by the last answer."""

    domain: str
    reason: str
    level: Level = "warning"


class ClientBraked(_Event, frozen=True):
    """A client gets too much wrong and is held back or banned from now on."""

    client: str
    """Its address; its /64 in IPv6."""
    listener: str
    reason: str
    """logins, name, recipients, connections or sessions."""
    seconds: float
    """For so long, if it does not go on."""
    level: Level = "warning"


class SigningFailed(_Event, frozen=True):
    """A mail from a domain with a DKIM policy could not be signed."""

    id: str
    domain: str
    reason: str
    action: str
    """What was done with the mail: defer, unsigned or refuse."""
    level: Level = "error"


class MailQueued(_Event, frozen=True):
    """The deliverer has put a mail in its queue: what the history keeps of it."""

    id: str
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    client: str
    account: str
    priority: str
    campaign: str
    received_at: float
    """Seconds since the epoch, as `not_before`."""
    not_before: float = 0.0
    subject: str = ""
    """Where the history is asked to keep it."""
    level: Level = "debug"


class Delivered(_Event, frozen=True):
    """The next hop took the mail for these recipients."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    seconds: float
    """From the acceptance to the next hop's reply."""
    identity: str = ""
    """The mailbox that sent it."""
    session: str = ""
    """Microsoft's id of the session: its support finds the mail by it."""
    internal_id: str = ""
    """Microsoft's number of the mail."""
    remote: str = ""
    """The server of Microsoft's that has it."""
    level: Level = "info"


class Deferred(_Event, frozen=True):
    """These recipients will be tried again."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    next_attempt: float
    """Seconds since the epoch."""
    identity: str = ""
    session: str = ""
    level: Level = "warning"


class Held(_Event, frozen=True):
    """These recipients are kept, and not tried again, until somebody decides."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    identity: str = ""
    session: str = ""
    level: Level = "error"


class Failed(_Event, frozen=True):
    """These recipients will not get the mail, and it does not wait for anybody's decision."""

    id: str
    recipients: tuple[str, ...]
    route: str
    host: str
    reply: str
    attempts: int
    report: str
    """Who has been told, or why nobody."""
    identity: str = ""
    session: str = ""
    is_expired: bool = False
    """What was said last may still pass, but the mail is too old."""
    level: Level = "error"


class Reported(_Event, frozen=True):
    """A mail of our own tells a sender what became of his."""

    id: str
    """Of the report."""
    about: str
    """Of the mail it tells of; empty: of many."""
    sender: str
    """Who is told."""
    kind: str
    """failed, delayed, relayed, or digest."""
    recipients: int
    """Told of; in a digest mails."""
    route: str
    level: Level = "info"


class RecipientSuppressed(_Event, frozen=True):
    """An address failed for good: for a time no mail is taken for it."""

    recipient: str
    until: float
    """Seconds since the epoch."""
    reply: str
    level: Level = "info"


class Unreported(_Event, frozen=True):
    """A sender should be told and cannot be: what failed is held."""

    id: str
    """Of the mail he should be told of; empty: of many, whose digest waits."""
    sender: str
    reason: str
    level: Level = "warning"


class Steered(_Event, frozen=True):
    """An order of somebody's was carried out on a mail: it was held, released, retried, cancelled, rebound."""

    id: str
    do: str
    recipients: tuple[str, ...]
    by: str
    reason: str = ""
    delivered: int = 0
    """To so many of them it was delivered before the order could hold: it was under way."""
    level: Level = "info"


class Commanded(_Event, frozen=True):
    """Somebody wants something of the deliverer that changes something; what came of it follows."""

    do: str
    by: str
    uid: int
    pid: int
    detail: str
    """Which mails, or what is stopped or goes on."""
    level: Level = "info"


class CommandEnded(_Event, frozen=True):
    """What came of it."""

    do: str
    by: str
    uid: int
    pid: int
    detail: str
    selected: int
    changed: int
    under_way: int
    failed: int
    problem: str
    """Why not all was done; empty: it was."""
    seconds: float
    level: Level = "info"


class ControlUnavailable(_Event, frozen=True):
    """There is no control socket: no command reaches the deliverer. Mail flows."""

    reason: str
    level: Level = "error"


class Suspended(_Event, frozen=True):
    """Somebody has stopped a route, a mailbox, a campaign or a domain; its mail waits."""

    kind: str
    name: str
    by: str
    reason: str
    until: float
    """Seconds since the epoch, when it goes on by itself; 0: when somebody says so."""
    level: Level = "warning"


class Resumed(_Event, frozen=True):
    """It goes on."""

    kind: str
    name: str
    by: str
    """Who said so; empty: its time had come."""
    seconds: float
    """How long it was suspended."""
    level: Level = "info"


class Uncertain(_Event, frozen=True):
    """The connection died between the final dot and its reply: the mail may have arrived."""

    id: str
    route: str
    host: str
    reason: str
    decision: str = "retry"
    """What becomes of it: retry (rather twice), hold (rather never), or ask (the message trace knows)."""
    level: Level = "warning"


class ConnectionOpened(_Event, frozen=True):
    """A connection to a next hop is ready for mail."""

    route: str
    host: str
    tls: str
    seconds: float
    level: Level = "info"


class ConnectionFailed(_Event, frozen=True):
    """A connection to a next hop could not be made or was lost with trouble."""

    route: str
    host: str
    reason: str
    level: Level = "warning"


class ConnectionClosed(_Event, frozen=True):
    """A connection to a next hop is over, as planned."""

    route: str
    host: str
    reason: str
    mails: int
    level: Level = "debug"


class TokenFetched(_Event, frozen=True):
    """An authority gave a token; every route of the application uses it."""

    application: str
    lifetime: float
    """Seconds."""
    seconds: float
    """How long it took."""
    level: Level = "info"


class TokenFailed(_Event, frozen=True):
    """An authority gave no token; told once for each reason. A token there is goes on being used until it ends."""

    application: str
    reason: str
    level: Level = "error"


class CredentialExpiring(_Event, frozen=True):
    """A secret or a certificate ends soon, or has ended."""

    credential: str
    reason: str
    days: int
    """Whole days left; negative when it has ended."""
    level: Level = "warning"


class CredentialEnds(_Event, frozen=True):
    """When a secret or a certificate ends; told at the start and every hour, for the metrics."""

    credential: str
    at: float
    """Seconds since the epoch."""
    level: Level = "debug"


class MxFound(_Event, frozen=True):
    """The MX hosts of a route are known, are others now, or cannot be looked up while those of before are used."""

    route: str
    domain: str
    hosts: tuple[str, ...]
    reason: str = ""
    """What is not as it should be."""
    level: Level = "info"


class RecipientsRead(_Event, frozen=True):
    """The list of the tenant's recipients was read, or could not be: then the one before stays in force."""

    path: str
    recipients: int
    """Lines in force; 0: nobody is refused."""
    reason: str = ""
    """What is wrong."""
    level: Level = "info"


class Throttled(_Event, frozen=True):
    """Mail waits for a limit to give way; told for waits of a second or more, of each limit once a minute at most."""

    route: str
    limit: str
    """Which, and whose."""
    until: float
    """Seconds since the epoch; 0: until something that is under way has ended."""
    level: Level = "info"


class BreakerOpened(_Event, frozen=True):
    """Something stopped: its mail waits, and uses up no attempt."""

    scope: str
    """What: sender, sender as, sender domain, route, source address, forest, tenant; tenant, external."""
    key: str
    """Whose."""
    route: str
    """Where it was told."""
    reason: str
    """The reply, and the next step."""
    until: float
    """Seconds since the epoch, when one mail tries; 0: not before the administrator has acted."""
    level: Level = "warning"


class BreakerClosed(_Event, frozen=True):
    """It goes on."""

    scope: str
    key: str
    seconds: float
    """How long it had stopped."""
    level: Level = "info"


class LimitLearnt(_Event, frozen=True):
    """A limit that nobody publishes is believed to be another one."""

    scope: str
    key: str
    unit: str
    before: int
    after: int
    reply: str
    """What the next hop said."""
    level: Level = "info"


class Spilled(_Event, frozen=True):
    """A mail takes another route than its own, which has used up a limit or has stopped."""

    id: str
    route: str
    to: str
    reason: str
    level: Level = "info"


class CampaignEnded(_Event, frozen=True):
    """Nothing of a campaign waits any more."""

    campaign: str
    mails: int
    delivered: int
    """Recipients, as all that follow."""
    failed: int
    held: int
    cancelled: int
    seconds: float
    """Since its first mail came."""
    forecast_error: float | None
    """How much later than was foreseen first, as part of its time; below 0: earlier; None: it was not."""
    level: Level = "info"


class SpoolRefusing(_Event, frozen=True):
    """The spool takes no new mail; clients get 452 until SpoolAccepting."""

    reason: str
    level: Level = "error"


class SpoolAccepting(_Event, frozen=True):
    """The spool takes mail again."""

    level: Level = "info"


class SpoolTrouble(_Event, frozen=True):
    """A commit failed; every mail in it was answered with 4xx."""

    reason: str
    mails: int
    level: Level = "error"


class Committed(_Event, frozen=True):
    """One durable commit."""

    changes: int
    size: int
    seconds: float
    level: Level = "debug"


class RecordQuarantined(_Event, frozen=True):
    """A damaged spool record was moved aside with its reason."""

    table: str
    id: str
    reason: str
    level: Level = "error"


class QueueRebuilt(_Event, frozen=True):
    """The deliverer has read what the spool holds."""

    queued: int
    held: int
    damaged: int
    seconds: float
    level: Level = "info"


class QueueDepth(_Event, frozen=True):
    """How much waits, sampled once a second for the metrics."""

    ready: int
    deferred: int
    """Those that their senders do not want to leave yet (`postponed`) among them."""
    held: int
    connections: int
    oldest_seconds: float
    throttled: int = 0
    """Lanes in which mail waits for a limit, or for its hours."""
    stopped: int = 0
    """Mailboxes, routes, hosts and the like that have stopped for a trouble."""
    suspended: int = 0
    """Routes, mailboxes, campaigns and domains that somebody has stopped."""
    postponed: int = 0
    level: Level = "debug"


class ProcessStarted(_Event, frozen=True):
    """A process of the relay is at work."""

    role: str
    detail: str = ""
    level: Level = "info"


class ProcessEnded(_Event, frozen=True):
    """A child process ended; `restart_in` is negative when it will not be started again."""

    role: str
    status: int
    restart_in: float
    level: Level = "warning"


class Ready(_Event, frozen=True):
    """The relay accepts mail on these addresses."""

    listeners: tuple[str, ...]
    level: Level = "info"


class Draining(_Event, frozen=True):
    """The process was told to end: it accepts nothing new and finishes what is in flight."""

    role: str
    level: Level = "info"


class ConfigurationRead(_Event, frozen=True):
    """The configuration is in force."""

    path: str
    warnings: tuple[str, ...] = ()
    level: Level = "info"


class ConfigurationRefused(_Event, frozen=True):
    """A new configuration is wrong; the old one stays in force."""

    path: str
    problems: tuple[str, ...]
    level: Level = "error"


class Waiting(_Event, frozen=True):
    """A process cannot begin yet."""

    role: str
    reason: str
    level: Level = "warning"


class ProcessFailed(_Event, frozen=True):
    """A process ends because of this."""

    role: str
    reason: str
    level: Level = "error"


class Fault(_Event, frozen=True):
    """A fault of this program, with its trail; what it was about to do was not done."""

    role: str
    reason: str
    level: Level = "error"


class HistoryDropped(_Event, frozen=True):
    """The history's disk was too slow, or failed: so many steps are missing there; mail went on."""

    steps: int
    reason: str
    level: Level = "warning"


class HistoryMovedAside(_Event, frozen=True):
    """The history's file was damaged or gone: a new one was begun."""

    path: str
    aside: str
    """Where the damaged one is now; empty when it was gone."""
    reason: str
    level: Level = "error"


class AuditTrouble(_Event, frozen=True):
    """The audit log cannot be written; mail goes on, and rows wait for it within a bound. Told once until it can."""

    reason: str
    waiting: int
    """Rows."""
    level: Level = "error"


class AuditHead(_Event, frozen=True):
    """Where the audit log's chain stands: known here too, an end that is cut off shows."""

    seq: int
    hash: str
    level: Level = "info"


class CertificateReloaded(_Event, frozen=True):
    """A listener shows a new certificate; sessions that are open keep theirs."""

    listener: str
    certificate: str
    """The file."""
    fingerprint: str
    """SHA-256 of the certificate."""
    before: str
    """That of the old one."""
    level: Level = "info"


class CertificateRefused(_Event, frozen=True):
    """A listener's certificate or key was changed and cannot be used; the old ones go on. Told once a change."""

    listener: str
    certificate: str
    reason: str
    level: Level = "error"


class HistoryErased(_Event, frozen=True):
    """Somebody erased a person from the history (`trace erase`)."""

    by: str
    """Which user of this machine."""
    person: str
    """A keyed hash of the address: the log is not to keep what the history forgot."""
    mails: int
    steps: int
    level: Level = "warning"


class HistorySize(_Event, frozen=True):
    """How much the history holds, sampled for the metrics."""

    rows: int
    size: int
    level: Level = "debug"


class LogDropped(_Event, frozen=True):
    """The log's reader was too slow: so many lines are missing here."""

    lines: int
    level: Level = "warning"


Event = (
    SessionRefused
    | SessionsRefused
    | SessionEnded
    | CommandRefused
    | Accepted
    | LoginSucceeded
    | LoginFailed
    | SpoofingSuspected
    | AlignmentUnknown
    | ClientBraked
    | SigningFailed
    | MailQueued
    | Delivered
    | Deferred
    | Held
    | Failed
    | Reported
    | RecipientSuppressed
    | Unreported
    | Steered
    | Commanded
    | CommandEnded
    | ControlUnavailable
    | Suspended
    | Resumed
    | Uncertain
    | ConnectionOpened
    | ConnectionFailed
    | ConnectionClosed
    | TokenFetched
    | TokenFailed
    | CredentialExpiring
    | CredentialEnds
    | MxFound
    | RecipientsRead
    | Throttled
    | BreakerOpened
    | BreakerClosed
    | LimitLearnt
    | Spilled
    | CampaignEnded
    | SpoolRefusing
    | SpoolAccepting
    | SpoolTrouble
    | Committed
    | RecordQuarantined
    | QueueRebuilt
    | QueueDepth
    | ProcessStarted
    | ProcessEnded
    | Ready
    | Draining
    | ConfigurationRead
    | ConfigurationRefused
    | Waiting
    | ProcessFailed
    | Fault
    | HistoryDropped
    | HistoryMovedAside
    | HistoryErased
    | HistorySize
    | AuditTrouble
    | AuditHead
    | CertificateReloaded
    | CertificateRefused
    | LearningBegan
    | LearningEnded
    | DeviceAdmitted
    | DeviceRefused
    | SeenTrouble
    | SeenDropped
    | LogDropped
    | TraceAsked
    | TraceUnavailable
    | DirectoryRead
    | DirectoryUnavailable
    | WebhookSent
    | WebhookFailed
    | WebhookGap
    | WebhookMoved
    | WebhookTrouble
    | WebhookLag
    | MailRepeated
    | IdempotencyKeysFull
    | SigningKeysRead
)

Record = Callable[[Event], None]
"""Where events go. Called in the process's main thread; returns at once."""
