"""Replies about a recipient: not there, busy, full, or not willing.

Sending on to addresses that do not exist gets the sending mailbox blocked (5.2.255),
so a recipient that is not found is never tried again.
"""

from relay.m365.row import (
    Certainty,
    Fail,
    Note,
    Requeue,
    RetryLater,
    Row,
    Scope,
    Stage,
)

_NDR = "SUP: non-delivery-reports-in-exchange-online"
_LOGS = "public logs of Exchange Online"
_EXCHANGE = "Exchange Server response constants, as third parties list them"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "recipient-not-found", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        (550,), ("5.1.1", "5.1.10"), (),
        Scope.RECIPIENT, Fail(),
        "There is no such recipient.",
        "Correct the address, or take it off the list.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-not-found-consumer", "550 5.5.0 Requested action not taken: mailbox unavailable",
        (550,), ("5.5.0",), ("mailbox unavailable",),
        Scope.RECIPIENT, Fail(),
        "There is no such recipient at outlook.com.",
        "Correct the address, or take it off the list.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-rejected", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
        (550,), ("5.4.1",), ("recipient address rejected",),
        Scope.RECIPIENT, Fail(),
        "There is no such recipient in the tenant (directory-based edge blocking).",
        "Correct the address; a new mailbox may take a day to be known.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-invalid", "550 5.7.504 [user@contoso.com]: Recipient address rejected: Access denied",
        (550,), ("5.7.504", "5.7.505"), (),
        Scope.RECIPIENT, Fail(),
        "The recipient is not valid, or banned.",
        "Correct the address, or take it off the list.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "domain-not-served", "550 5.4.1 Relay Access Denied",
        (550,), ("5.4.1",), ("relay access denied",),
        Scope.RECIPIENT, Fail(),
        "This host does not serve the recipient's domain.",
        "Check host and recipients of the route: mail to the outside needs a connector or a login.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-syntax", "501 5.1.3 Invalid address",
        (501,), ("5.1.3",), (),
        Scope.RECIPIENT, Fail(),
        "The recipient's address is malformed.",
        "Correct the address.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "recipient-refuses",
        "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed",
        (550,), ("5.7.12", "5.7.13", "5.7.124", "5.7.133-136"), (),
        Scope.RECIPIENT, Fail(),
        "The recipient takes mail only from certain senders.",
        "Ask the recipient's administrator to allow the sender.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "delivery-not-authorized", "550 5.7.1 Delivery not authorized, message refused",
        (550,), ("5.7.1",), (),
        Scope.RECIPIENT, Fail(),
        "The sender may not write to this recipient, or a transport rule refuses the mail.",
        "Ask the recipient's administrator; the text may name the rule.",
        _NDR, Certainty.PRIMARY,
        (Stage.RCPT, Stage.CONTENT, Stage.REPORT),
    ),
    Row(
        "transport-rule", "550 5.7.900 Delivery not authorized, message refused",
        (550,), ("5.7.900-999",), (),
        Scope.RECIPIENT, Fail(),
        "A transport rule of the tenant refuses the mail, with a code of the administrator's choice.",
        "Look for the rule in the Exchange admin center.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-busy", "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded",
        (432,), ("4.3.2",), ("storedrv.deliver", "dynamic mailbox database throttling"),
        Scope.RECIPIENT, RetryLater(60, 900),
        "This mailbox gets more mail at once than it can take.",
        "Nothing; the relay tries again. If it is frequent, send less to this one mailbox.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-hourly-pair", "550 5.2.121 Recipient's per hour message receive limit from specific sender exceeded.",
        (), ("5.2.121",), (),
        Scope.RECIPIENT, RetryLater(3600, 7200),
        "More than a third of the 3,600 messages a mailbox takes an hour came from this sender.",
        "Send less to this one mailbox, for instance one digest instead of many alerts.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-hourly", "550 5.2.122 Recipient's per hour message receive limit exceeded.",
        (), ("5.2.122",), (),
        Scope.RECIPIENT, RetryLater(3600, 7200),
        "The mailbox has had its 3,600 messages of the hour.",
        "Send less to this one mailbox, for instance one digest instead of many alerts.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "recipient-folder-full", "554 4.3.2 mailbox busy; STOREDRV.Deliver.Exception:StoragePermanentException."
        "MapiExceptionMaxObjsExceeded",
        (554,), ("4.3.2",), ("mailbox busy", "maxobjsexceeded"),
        Scope.RECIPIENT, Fail(),
        "A folder of the mailbox holds a million items. The 4 in the code is wrong, the 554 counts.",
        "The recipient must empty the folder.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "recipient-full-later",
        "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        (550, 554), ("5.2.2",), ("storedrv.deliver.exception:quotaexceededexception",),
        Scope.RECIPIENT, RetryLater(14_400, 28_800),
        "The recipient's mailbox is full.",
        "The recipient must make room; the relay goes on trying until the mail is too old.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "recipient-full", "550 5.2.2 Mailbox full",
        (550,), ("5.2.2",), (),
        Scope.RECIPIENT, Fail(),
        "The recipient's mailbox is full, says a server that is done with the mail.",
        "The recipient must make room; then send again.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "too-large-for-recipient", "550 5.2.3 Message too large for this recipient",
        (550,), ("5.2.3",), (),
        Scope.RECIPIENT, Fail(),
        "The recipient takes only smaller mails.",
        "Send a link instead of the attachment.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "too-many-recipients", "452 4.5.3 Too many recipients",
        (452,), ("4.5.3",), (),
        Scope.MESSAGE, Requeue(),
        "More than 200 recipients of one domain at an MX host, or more than the mailbox's limit.",
        "Nothing; the rest goes in another envelope.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "expired", "550 5.4.300 Message expired",
        (550,), ("5.4.300", "4.4.7"), (),
        Scope.RECIPIENT, Fail(),
        "Microsoft has tried for up to 24 hours and given up.",
        "Look at the recipient's mail server; then send again.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "next-hop-trouble", "450 4.4.316 Connection refused [Message=Socket error code 10061]",
        (), ("4.4.316", "4.4.317", "4.4.8", "4.7.5", "4.7.320-329"), (),
        Scope.RECIPIENT, Note(),
        "Between Microsoft and the recipient's server: no connection, or its TLS, DANE or MTA-STS fails.",
        "Nothing; Microsoft goes on trying. The recipient's administrator must act.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "next-hop-tls", "550 5.7.322 certificate-expired: Destination mail server's certificate is expired.",
        (), ("5.7.320-329",), (),
        Scope.RECIPIENT, Fail(),
        "The recipient's server fails TLS or DANE, and Microsoft has given up.",
        "The recipient's administrator must act.",
        _NDR, Certainty.PRIMARY,
    ),
)
