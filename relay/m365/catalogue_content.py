"""Replies about the mail itself: size, form, and what DNS says of its sender's domain."""

from relay.m365.row import Certainty, Fail, Row, Scope

_NDR = "SUP: non-delivery-reports-in-exchange-online"
_LOGS = "public logs of Exchange Online"
_EXCHANGE = "Exchange Server response constants, as third parties list them"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "sender-syntax", "501 5.1.7 Invalid address",
        (501,), ("5.1.7",), (),
        Scope.MESSAGE, Fail(),
        "The envelope sender is malformed.",
        "Correct the sender's address in the application.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "too-large", "552 5.3.4 Message size exceeds fixed maximum message size",
        (552,), ("5.3.4",), (),
        Scope.MESSAGE, Fail(),
        "The mail is larger than the mailbox or the tenant may send (35 MB if nothing else is set, 150 MB at most).",
        "Raise the limit with Set-Mailbox -MaxSendSize, or send a link instead of the attachment.",
        "PS: Set-Mailbox", Certainty.PRIMARY,
    ),
    Row(
        "header-too-large", "552 5.3.4 Header size exceeds fixed maximum size",
        (552,), ("5.3.4",), ("header size exceeds",),
        Scope.MESSAGE, Fail(),
        "The header is larger than 256 KB; with BDAT also said of mails whose header is small.",
        "Set use_bdat to false for the route if it is on; else make the header smaller (many recipients in To?).",
        "PS: Set-ReceiveConnector; MailKit issue #904", Certainty.LOG,
    ),
    Row(
        "invalid-content", "554 5.6.0 Invalid message content when handling MIME exception. IMC53",
        (554,), ("5.6.0",), (),
        Scope.MESSAGE, Fail(),
        "The MIME structure or a header field is broken, or one field is longer than 32 KB.",
        "Correct how the application builds the mail.",
        "zammad issue #5334, chatmail issue #4370", Certainty.LOG,
    ),
    Row(
        "partial-message", "554 5.6.1 Messages of type message/partial are not supported",
        (554,), ("5.6.1",), (),
        Scope.MESSAGE, Fail(),
        "A mail in parts (message/partial) is not taken.",
        "Send the mail whole.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "bare-line-feeds",
        "550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA",
        (550,), ("5.6.11",), (),
        Scope.MESSAGE, Fail(),
        "The mail has line feeds without carriage returns.",
        "Let the listener normalise them, which is its default.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "from-missing", "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
        (550,), ("5.7.512",), (),
        Scope.MESSAGE, Fail(),
        "The From field is missing or holds no valid address.",
        "Correct From in the application, with angle brackets: Name <name@example.com>.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "from-many", "550 5.1.20 Multiple From addresses are not allowed without Sender address",
        (550,), ("5.1.20",), (),
        Scope.MESSAGE, Fail(),
        "From holds several addresses, and there is no Sender field (RFC 5322 section 3.6.2).",
        "Correct From in the application, or add a Sender field.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "dmarc", "550 5.7.509 Access denied, sending domain [contoso.com] does not pass DMARC verification",
        (550,), ("5.7.509",), (),
        Scope.SENDER_DOMAIN, Fail(),
        "The From domain asks by DMARC to refuse mail that is neither signed nor sent by its own servers.",
        "Switch on DKIM for the domain in Microsoft 365, or let the relay sign.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "bulk-authentication",
        "550 5.7.515 Access denied, sending domain contoso.com does not meet the required authentication level",
        (550,), ("5.7.515",), (),
        Scope.SENDER_DOMAIN, Fail(),
        "outlook.com wants SPF, DKIM and DMARC of domains that send 5,000 mails a day to it.",
        "Publish SPF and DMARC, and switch on DKIM for the domain.",
        "support.microsoft.com: outlook.com requirements for high-volume senders", Certainty.PRIMARY,
    ),
    Row(
        "spf", "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
        (550,), ("5.7.23",), (),
        Scope.SENDER_DOMAIN, Fail(),
        "SPF of the sender's domain does not name the address the mail came from.",
        "Add include:spf.protection.outlook.com, or the relay's address for mail it sends directly.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "unauthenticated-domain", "550 5.7.26",
        (550,), ("5.7.26",), (),
        Scope.SENDER_DOMAIN, Fail(),
        "The mail passes neither SPF nor DKIM of its domain.",
        "Publish SPF, and switch on DKIM for the domain.",
        _LOGS, Certainty.LOG,
    ),
)
