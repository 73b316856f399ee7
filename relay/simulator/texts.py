"""What Exchange Online says, word for word, in the course of a dialogue.

Captured from smtp.office365.com and from MX hosts (transcripts of 2022 to November
2025) or read in Microsoft's pages; docs/microsoft365.md has the sources. A reply is
bytes without CRLF. Texts marked (ours) are not known: only their codes are.
"""

from datetime import UTC, datetime

FRONT = "SIMP282CA0097.outlook.office365.com"
"""The host that greets on the submission ports; it has the shape of a real one and names none."""
MX_FRONT = "SIM01FT0064.mail.protection.outlook.com"
BACK = "SIMP282MB2635.SIMP282.PROD.OUTLOOK.COM"
"""The mailbox server that takes the mail."""

STARTTLS_READY = b"220 2.0.0 SMTP server ready"
AUTH_USERNAME = b"334 VXNlcm5hbWU6"
AUTH_PASSWORD = b"334 UGFzc3dvcmQ6"
AUTH_GO_ON = b"334 "
AUTHENTICATED = b"235 2.7.0 Authentication successful"
SENDER_OK = b"250 2.1.0 Sender OK"
RECIPIENT_OK = b"250 2.1.5 Recipient OK"
START_MAIL = b"354 Start mail input; end with <CRLF>.<CRLF>"
RESETTING = b"250 2.0.0 Resetting"
OK = b"250 2.0.0 OK"
CANNOT_VERIFY = b"252 2.1.5 Cannot VRFY user"
HELP = b"214-This server supports the following commands:\r\n214 HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH BDAT VRFY NOOP"
BYE = b"221 2.0.0 Service closing transmission channel"

STARTTLS_FIRST = b"530 5.7.0 Must issue a STARTTLS command first"
NOT_AUTHENTICATED = b"530 5.7.57 Client not authenticated to send mail."
AUTH_ALREADY = b"503 5.5.2 Auth command already specified"
AUTH_UNKNOWN = b"504 5.7.4 Unrecognized authentication type"
BAD_SEQUENCE = b"503 5.5.1 Bad sequence of commands"
HELLO_FIRST = b"503 5.5.2 Send hello first"
NEED_RCPT = b"503 5.5.2 Need rcpt command"
NEED_MAIL = b"503 5.5.2 Need mail command"
SENDER_ALREADY = b"503 5.5.2 Sender already specified"
UNRECOGNIZED = b"500 5.3.3 Unrecognized command"
TOO_LONG = b"500 5.5.2 Command too long"
BAD_ARGUMENTS = b"501 5.5.4 Invalid arguments"
BAD_DOMAIN = b"501 5.5.4 Invalid domain name"
BAD_RECIPIENT = b"501 5.1.3 Invalid address"
BAD_SENDER = b"501 5.1.7 Invalid address"
TOO_MANY_ERRORS = b"421 4.7.0 Too many errors on this connection, closing transmission channel"
TIMED_OUT = b"451 4.7.0 Timeout waiting for client input"
SESSION_CUT = b"421 4.4.1 Connection timed out"
FOREST_FULL = (
    b"421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, "
    b"closing transmission channel"
)

MESSAGE_TOO_LARGE = b"552 5.3.4 Message size exceeds fixed maximum message size"
HEADER_TOO_LARGE = b"552 5.3.4 Header size exceeds fixed maximum size"
BAD_CONTENT = b"554 5.6.0 Invalid message content"
TOO_MANY_RECIPIENTS = b"452 4.5.3 Too many recipients"
TOO_MANY_CONNECTIONS = (
    b"432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more "
    b"information. [Hostname=" + BACK.encode() + b"]"
)
TOO_MANY_MESSAGES = (
    b"432 4.3.2 STOREDRV.ClientSubmit; exceeded the message limit per account [Hostname="
    + BACK.encode()
    + b"]"
)
QUOTA_EXCEEDED = (
    b"554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due "
    b"to a permanent exception with message The message can't be submitted because the sender's submission "
    b"quota was exceeded. [Hostname=" + BACK.encode() + b"]"
)
TENANT_LIMIT = (
    b"550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit for sending email "
    b"to external recipients (tenant external recipient rate limit)"
)
MAILBOX_FULL = (
    b"554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException [Hostname="
    + BACK.encode()
    + b"]"
)
UNLICENSED = b"430 4.2.0 STOREDRV.Submission; mailbox logon failure [Hostname=" + BACK.encode() + b"]"
NOT_ATTRIBUTED = b"550 5.7.64 TenantAttribution; Relay Access Denied (SMTP)"
NOT_ACCEPTED_DOMAIN = b"550 5.7.64 Relay Access Denied ATTR36"
DIRECT_SEND_LOCKED = b"550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from unauthorized sources"
NO_SUCH_USER = b"550 5.1.10 Recipient not found"
BLOCKED_AT_EDGE = b"550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"

HIGH_VOLUME_SENDER = b"550 5.7.62 Client is not permitted to send as this address"  # (ours)
HIGH_VOLUME_FROM = b"550 5.6.241 The From header is not the High Volume Email account"  # (ours)
HIGH_VOLUME_USER = b"550 5.2.240 The mailbox is not a High Volume Email account"  # (ours)
HIGH_VOLUME_OUTSIDE = b"550 5.7.1 High Volume Email reaches internal recipients only"  # (ours)
TOKEN_ENDS_SOON = b"535 5.7.142 XOAUTH2 authentication failed. The token will expire soon"  # (ours)
TOKEN_EXPIRED = b"535 5.7.143 XOAUTH2 authentication failed. The token has expired"  # (ours)
TOKEN_LACKS_ROLE = b"535 5.7.144 XOAUTH2 authentication failed. Invalid API permissions"
TOKEN_REFUSED = b"535 5.7.127 XOAUTH2 authentication failed"
XOAUTH2_MALFORMED = b"501 5.5.121 The XOAUTH2 response is malformed"  # (ours)
APPLICATION_REFUSED = (
    b"550 5.7.240 The application is not allowed for use with this High Volume Email account"
)

TENANT_DISABLED = "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information."
MAILBOX_DISABLED = "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information."
BASIC_DISABLED = "5.7.139 Authentication unsuccessful, basic authentication is disabled."
WRONG = "5.7.3 Authentication unsuccessful"


def banner(host: str, now: float, session_id: str) -> bytes:
    """The first line; Support asks for the session id in it."""
    date = f"{datetime.fromtimestamp(now, UTC):%a, %d %b %Y %H:%M:%S} +0000"
    return f"220 {host} Microsoft ESMTP MAIL Service ready at {date} [{session_id}]".encode()


def login_refused(why: str, now: float, session_id: str) -> bytes:
    """A 535 with the host, date and session id that all of them end with."""
    date = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return f"535 {why} [{BACK} {date}Z {session_id}]".encode()


def send_as_denied(mailbox: str, other: str) -> bytes:
    """The mailbox may not send as the other."""
    return (
        f"554 5.2.252 SendAsDenied; {mailbox} not allowed to send as {other}; STOREDRV.Submission.Exception:"
        f"SendAsDeniedException.MapiExceptionSendAsDenied [Hostname={BACK}]"
    ).encode()


def throttled(number: int, trouble: str) -> bytes:
    """The mailbox is blocked after repeated errors of one kind."""
    return f"550 5.2.{number} Sender throttled due to continuous {trouble} errors.".encode()


def submitted(message_id: bytes) -> bytes:
    """A mail was taken on a submission port."""
    return b"250 2.0.0 OK %b [Hostname=%b]" % (message_id, BACK.encode())


def queued(message_id: bytes, internal_id: int, size: int, seconds: float) -> bytes:
    """A mail was taken on the MX."""
    kib_s = size / 1024 / max(seconds, 0.001)
    return (
        b"250 2.6.0 %b [InternalId=%d, Hostname=%b] %d bytes in %.3f, %.3f KB/sec Queued mail for delivery"
    ) % (message_id, internal_id, BACK.encode(), size, seconds, kib_s)
