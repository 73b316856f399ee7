"""Replies about the sending mailbox: its limits, its rights, its being blocked.

Microsoft blocks a mailbox that repeats an error (5.2.251 to 5.2.255), for a time it
does not tell and that its support cannot shorten. So the first denial already stops
what was denied.
"""

from relay.m365.row import (
    Certainty,
    Fail,
    OpenBreaker,
    ReduceConnections,
    ReduceRate,
    RetryLater,
    Row,
    Scope,
    Stop,
)

_NDR = "SUP: non-delivery-reports-in-exchange-online"
_SUBMISSION = "learn: smtp-submission-improvements"
_THROTTLING = "learn: continuous-error-throttling-smtp-auth-submissions"
_LOGS = "public logs of smtp.office365.com"
_HIGH_VOLUME = "github: ercankskn/postfix-entra-relay"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "concurrent-connections",
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more "
        "information. [Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]",
        (432,), ("4.3.2",), ("concurrent connections limit exceeded", "sender thread limit exceeded"),
        Scope.SENDER, ReduceConnections(5, 30),
        "More than 3 connections send for this mailbox; said after the whole mail has been sent.",
        "Set connections = 3 or less for the route; look for another program that sends as this mailbox.",
        _SUBMISSION, Certainty.PRIMARY,
    ),
    Row(
        "message-rate", "432 4.3.2 STOREDRV.ClientSubmit; exceeded the message limit per account",
        (432,), ("4.3.2",), ("exceeded the message limit per account",),
        Scope.SENDER, ReduceRate(60, 60),
        "More than 30 messages in a minute.",
        "Spread the mail over more mailboxes, or look for another program that sends as this one.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "submission-rate",
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        (421,), ("4.4.2",), ("submission rate for this client has exceeded",),
        Scope.SENDER, ReduceRate(60, 120),
        "Too many messages from this client.",
        "Spread the mail over more mailboxes, or lower the route's rate.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "daily-recipients", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
        (), ("5.2.0", "5.2.2", "5.1.90"),
        ("submissionquotaexceededexception", "submission quota exceeded", "daily limit for message recipients"),
        Scope.SENDER, RetryLater(3600, 86_400),
        "The mailbox has reached 10,000 recipients in 24 hours; mail goes again as the window moves on.",
        "Spread the mail over more mailboxes; if you did not send so much, the mailbox may be abused.",
        _SUBMISSION, Certainty.PRIMARY,
    ),
    Row(
        "daily-recipients-number", "550 5.1.90",
        (), ("5.1.90",), (),
        Scope.SENDER, RetryLater(3600, 86_400),
        "As 5.2.0 of the submission quota, in other words: the mailbox has reached its recipients of 24 hours.",
        "Spread the mail over more mailboxes.",
        _SUBMISSION, Certainty.PRIMARY,
    ),
    Row(
        "mailbox-logon",
        "430 4.2.0 STOREDRV; mailbox logon failure",
        (430,), (), ("mailbox logon failure",),
        Scope.SENDER, RetryLater(300, 900),
        "The login was accepted, but the mailbox cannot be opened: permission, licence, or a passing fault.",
        "If it lasts: Add-MailboxPermission with FullAccess for the application, a licence for the mailbox, "
        "no shared mailbox.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "sender-mailbox-full",
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException."
        "MapiExceptionShutoffQuotaExceeded",
        (554,), ("5.2.2",), ("storedrv.submission.exception:quotaexceededexception",),
        Scope.SENDER, OpenBreaker(3600),
        "The sending mailbox is full: each mail leaves a copy in Sent Items.",
        "Empty Sent Items, and set a retention policy that keeps it small.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "send-as-denied",
        "554 5.2.252 SendAsDenied; relay@example.com not allowed to send as sales@example.com; "
        "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message "
        "due to a permanent exception with message Cannot submit message.",
        (554,), ("5.2.252", "5.2.0"), ("sendasdenied",),
        Scope.SENDER_AS, Stop(),
        "The mailbox may not send with this From address; repeated, it is blocked (5.2.252).",
        "Run Add-RecipientPermission <address> -Trustee <mailbox> -AccessRights SendAs, or change the From address.",
        _THROTTLING, Certainty.PRIMARY,
    ),
    Row(
        "send-as-not-permitted", "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        (550, 554), ("5.7.60",), (),
        Scope.SENDER_AS, Stop(),
        "The mailbox may not send with this address.",
        "Run Add-RecipientPermission <address> -Trustee <mailbox> -AccessRights SendAs, or change the sender.",
        "SUP: fix-issues-with-printers-scanners-and-lob-applications", Certainty.PRIMARY,
    ),
    Row(
        "blocked-mailbox-full", "550 5.2.251 Sender throttled due to continuous mailbox full errors.",
        (550,), ("5.2.251",), (),
        Scope.SENDER, OpenBreaker(3600),
        "Microsoft has blocked the mailbox for a time, because it kept sending while it was full.",
        "Empty the mailbox; then wait, Microsoft's support cannot lift it.",
        _THROTTLING, Certainty.PRIMARY,
    ),
    Row(
        "blocked-send-as", "550 5.2.252 Sender throttled due to continuous send as denied errors.",
        (550,), ("5.2.252",), (),
        Scope.SENDER, OpenBreaker(3600),
        "Microsoft has blocked the mailbox for a time, because it kept using From addresses it may not use.",
        "Grant SendAs or change the From addresses; then wait, Microsoft's support cannot lift it.",
        _THROTTLING, Certainty.PRIMARY,
    ),
    Row(
        "blocked-licence", "550 5.2.253 Sender throttled due to continuous invalid license errors.",
        (550,), ("5.2.253",), (),
        Scope.SENDER, OpenBreaker(3600),
        "Microsoft has blocked the mailbox for a time, because it kept sending without a licence.",
        "Give the mailbox a licence; then wait, Microsoft's support cannot lift it.",
        _THROTTLING, Certainty.PRIMARY,
    ),
    Row(
        "blocked-recipients-number", "550 5.2.254 Sender throttled due to continuous too many recipients errors.",
        (550,), ("5.2.254",), (),
        Scope.SENDER, OpenBreaker(3600),
        "Microsoft has blocked the mailbox for a time, because it kept sending to too many recipients at once.",
        "Lower the recipients of one envelope; then wait, Microsoft's support cannot lift it.",
        _THROTTLING, Certainty.PRIMARY,
    ),
    Row(
        "blocked-recipients-invalid", "550 5.2.255 Sender throttled due to continuous invalid recipients errors.",
        (550,), ("5.2.255",), (),
        Scope.SENDER, OpenBreaker(3600),
        "Microsoft has blocked the mailbox for a time, because it kept sending to addresses that do not exist.",
        "Clean the list of recipients; then wait, Microsoft's support cannot lift it.",
        _THROTTLING, Certainty.PRIMARY,
    ),
    Row(
        "outbound-spam",
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message due to a "
        "permanent exception with message [BeginDiagnosticData]WASCL UserAction verdict is not None. Actual verdict "
        "is RefuseQuota. OutboundSpamException: WASCL UserAction verdict is not None.",
        (554,), ("5.2.0",), ("outboundspamexception", "wascl useraction verdict"),
        Scope.SENDER, OpenBreaker(3600),
        "Microsoft takes the mailbox's mail for spam and has suspended its sending.",
        "Check what was sent and whether the account is abused; unblock it in Restricted entities of Defender.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "sender-restricted", "550 5.1.8 Access denied, bad outbound sender AS(42004)",
        (550,), ("5.1.8",), ("bad outbound sender",),
        Scope.SENDER, OpenBreaker(3600),
        "The mailbox is blocked for spam, or has passed a limit of the outbound spam policy.",
        "Secure the account, then unblock it in Restricted entities of Defender.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "sender-banned", "550 5.7.501 Access denied, spam abuse detected",
        (550,), ("5.7.501", "5.7.502", "5.7.503"), (),
        Scope.SENDER, OpenBreaker(3600),
        "The account is banned for spam.",
        "Secure the account and reset its password, then ask Microsoft's support to restore it.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "high-volume-sender", "550 5.7.62",
        (), ("5.7.62",), (),
        Scope.MESSAGE, Fail(),
        "High volume: the envelope sender is not the account.",
        "Let the relay rewrite the sender to the account, or send over another route.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
    Row(
        "high-volume-from", "550 5.6.241",
        (), ("5.6.241",), (),
        Scope.MESSAGE, Fail(),
        "High volume: the From address is not the account.",
        "Let the relay rewrite From to the account, or send over another route.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
)
