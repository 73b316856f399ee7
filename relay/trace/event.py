"""Trace events: what happened to a mail, a session, a connection or the spool.

An event is written where the fact becomes true, once. The log and the metrics
(and later the history) are all made from it; nothing else counts or logs.
Events never hold a secret, and of a mail's content only its Message-ID, and its
subject where the history is asked to keep it. Each kind stands in the file of its
noun, `*_event.py`; here they come together.
"""

from collections.abc import Callable

from relay.trace.connection_event import ConnectionClosed as ConnectionClosed
from relay.trace.connection_event import ConnectionFailed as ConnectionFailed
from relay.trace.connection_event import ConnectionOpened as ConnectionOpened
from relay.trace.connection_event import MxFound as MxFound
from relay.trace.credential_event import CertificateRefused as CertificateRefused
from relay.trace.credential_event import CertificateReloaded as CertificateReloaded
from relay.trace.credential_event import CredentialEnds as CredentialEnds
from relay.trace.credential_event import CredentialExpiring as CredentialExpiring
from relay.trace.credential_event import TokenFailed as TokenFailed
from relay.trace.credential_event import TokenFetched as TokenFetched
from relay.trace.directory_event import DirectoryRead as DirectoryRead
from relay.trace.directory_event import DirectoryUnavailable as DirectoryUnavailable
from relay.trace.directory_event import RecipientsRead as RecipientsRead
from relay.trace.doubt_event import TraceAsked as TraceAsked
from relay.trace.doubt_event import TraceUnavailable as TraceUnavailable
from relay.trace.event_kind import Level as Level
from relay.trace.learning_event import DeviceAdmitted as DeviceAdmitted
from relay.trace.learning_event import DeviceRefused as DeviceRefused
from relay.trace.learning_event import LearningBegan as LearningBegan
from relay.trace.learning_event import LearningEnded as LearningEnded
from relay.trace.learning_event import SeenDropped as SeenDropped
from relay.trace.learning_event import SeenTrouble as SeenTrouble
from relay.trace.limit_event import BreakerClosed as BreakerClosed
from relay.trace.limit_event import BreakerOpened as BreakerOpened
from relay.trace.limit_event import LimitLearnt as LimitLearnt
from relay.trace.limit_event import Throttled as Throttled
from relay.trace.login_event import LoginFailed as LoginFailed
from relay.trace.login_event import LoginSucceeded as LoginSucceeded
from relay.trace.mail_event import Accepted as Accepted
from relay.trace.mail_event import AlignmentUnknown as AlignmentUnknown
from relay.trace.mail_event import MailQueued as MailQueued
from relay.trace.mail_event import SigningFailed as SigningFailed
from relay.trace.mail_event import SpoofingSuspected as SpoofingSuspected
from relay.trace.order_event import Commanded as Commanded
from relay.trace.order_event import CommandEnded as CommandEnded
from relay.trace.order_event import ControlUnavailable as ControlUnavailable
from relay.trace.order_event import Resumed as Resumed
from relay.trace.order_event import Steered as Steered
from relay.trace.order_event import Suspended as Suspended
from relay.trace.outcome_event import Deferred as Deferred
from relay.trace.outcome_event import Delivered as Delivered
from relay.trace.outcome_event import Failed as Failed
from relay.trace.outcome_event import Held as Held
from relay.trace.outcome_event import Spilled as Spilled
from relay.trace.outcome_event import Uncertain as Uncertain
from relay.trace.process_event import ConfigurationRead as ConfigurationRead
from relay.trace.process_event import ConfigurationRefused as ConfigurationRefused
from relay.trace.process_event import Draining as Draining
from relay.trace.process_event import Fault as Fault
from relay.trace.process_event import ProcessEnded as ProcessEnded
from relay.trace.process_event import ProcessFailed as ProcessFailed
from relay.trace.process_event import ProcessStarted as ProcessStarted
from relay.trace.process_event import Ready as Ready
from relay.trace.process_event import Waiting as Waiting
from relay.trace.queue_event import CampaignEnded as CampaignEnded
from relay.trace.queue_event import QueueDepth as QueueDepth
from relay.trace.queue_event import QueueRebuilt as QueueRebuilt
from relay.trace.record_event import AuditHead as AuditHead
from relay.trace.record_event import AuditTrouble as AuditTrouble
from relay.trace.record_event import HistoryDropped as HistoryDropped
from relay.trace.record_event import HistoryErased as HistoryErased
from relay.trace.record_event import HistoryMovedAside as HistoryMovedAside
from relay.trace.record_event import HistorySize as HistorySize
from relay.trace.record_event import LogDropped as LogDropped
from relay.trace.repeat_event import IdempotencyKeysFull as IdempotencyKeysFull
from relay.trace.repeat_event import MailRepeated as MailRepeated
from relay.trace.report_event import RecipientSuppressed as RecipientSuppressed
from relay.trace.report_event import Reported as Reported
from relay.trace.report_event import Unreported as Unreported
from relay.trace.session_event import ClientBraked as ClientBraked
from relay.trace.session_event import CommandRefused as CommandRefused
from relay.trace.session_event import SessionEnded as SessionEnded
from relay.trace.session_event import SessionRefused as SessionRefused
from relay.trace.signing_keys_event import SigningKeysRead as SigningKeysRead
from relay.trace.spool_event import Committed as Committed
from relay.trace.spool_event import RecordQuarantined as RecordQuarantined
from relay.trace.spool_event import SpoolAccepting as SpoolAccepting
from relay.trace.spool_event import SpoolRefusing as SpoolRefusing
from relay.trace.spool_event import SpoolTrouble as SpoolTrouble
from relay.trace.turned_away_event import SessionsRefused as SessionsRefused
from relay.trace.webhook_event import WebhookFailed as WebhookFailed
from relay.trace.webhook_event import WebhookGap as WebhookGap
from relay.trace.webhook_event import WebhookLag as WebhookLag
from relay.trace.webhook_event import WebhookMoved as WebhookMoved
from relay.trace.webhook_event import WebhookSent as WebhookSent
from relay.trace.webhook_event import WebhookTrouble as WebhookTrouble

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
