"""What of an event is recorded, and as what: the audit log's choice from the trace.

Recorded is who got in and who did not, what a rule refused, who sent and how it was
protected, what changed, and when the relay ran. Mail itself is the history's matter.
"""

from msgspec import UNSET, to_builtins

from relay.trace import event as trace
from relay.trace.event import Event

Row = dict[str, object]
"""The fields of a row; `event` is one of them."""

ALWAYS = (
    trace.ConfigurationRead,
    trace.ConfigurationRefused,
    trace.Ready,
    trace.ProcessEnded,
    trace.ProcessFailed,
    trace.CredentialExpiring,
    trace.CertificateReloaded,
    trace.CertificateRefused,
    trace.ClientBraked,
    trace.LearningBegan,
    trace.LearningEnded,
    trace.DeviceAdmitted,
    trace.DeviceRefused,
)
STRANGERS = frozenset(
    {"login_failed", "session_refused", "command_refused", "client_braked", "device_refused", "sender_seen"}
)
"""What anybody can cause, as often as he likes."""
SENDER_SEEN = "sender_seen"
TEXT_MAX = 1_000
"""Characters of one value: a reply, a list of problems; more is cut."""
ITEMS_MAX = 20


def row_of(event: Event) -> Row | None:
    """The row of an event; None: it is not recorded."""
    return _plain(event) if _is_recorded(event) else None


def sender_of(event: Event) -> Row | None:
    """Who sent mail in a session that is over, and how it was protected; None: it was none, or nobody did."""
    if not isinstance(event, trace.SessionEnded) or not event.mails:
        return None
    account = "" if event.account is UNSET else event.account
    return {
        "event": SENDER_SEEN,
        "client": event.client,
        "listener": event.listener,
        "account": account,
        "tls": event.tls,
    }


def is_policy(reply: str) -> bool:
    """Has a rule refused? RFC 3463 section 3.8: X.7.Z is "Security or Policy Status"."""
    _, _, rest = reply.partition(" ")
    return rest[1:4] == ".7." and rest[:1] in "45"


def cut(value: object) -> object:
    """A value within its bounds."""
    match value:
        case str() if len(value) > TEXT_MAX:
            return f"{value[:TEXT_MAX]}… ({len(value)} characters)"
        case list() | tuple() if len(value) > ITEMS_MAX:
            return [*map(cut, value[:ITEMS_MAX]), f"… ({len(value)} in all)"]
        case list() | tuple():
            return [*map(cut, value)]
        case dict():
            return {str(key): cut(each) for key, each in value.items()}
    return value


def _is_recorded(event: Event) -> bool:
    match event:
        case trace.LoginSucceeded():
            # One that is remembered comes for every mail.
            return event.level != "debug"
        case trace.LoginFailed() | trace.SessionRefused():
            return True
        case trace.CommandRefused():
            return is_policy(event.reply)
        case trace.Draining():
            return event.role == "supervisor"
        case trace.Steered():
            # One a mail, of a million at once: commanded and command_ended say who, which and how many.
            return False
        case trace.HistoryErased():
            # The command has recorded it, before it ended and whether a relay ran or not.
            return False
    # Whatever somebody has done says who: `by`.
    return isinstance(event, ALWAYS) or isinstance(getattr(event, "by", None), str)


def _plain(event: Event) -> Row:
    fields = to_builtins(event)
    assert isinstance(fields, dict)
    del fields["level"]
    return {str(key): cut(value) for key, value in fields.items()}
