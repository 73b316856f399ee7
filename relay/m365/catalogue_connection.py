"""Replies about one connection: the server is busy, drains, or has lost patience.

Nothing of these says anything about the mail or about our rights: another address,
or the same a little later. The protocol faults at the end are ours.
"""

from relay.m365.row import (
    Certainty,
    Hold,
    OpenBreaker,
    ReduceConnections,
    RetryLater,
    Row,
    Scope,
)

_EXCHANGE = "Exchange Server response constants, as third parties list them"
_LOGS = "public logs of smtp.office365.com and *.mail.protection.outlook.com"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "connection-timeout", "421 4.4.1 Connection timed out",
        (421,), ("4.4.1",), (),
        Scope.CONNECTION, RetryLater(5, 300),
        "The session was idle for too long.",
        "Nothing; if it is frequent, lower connection_idle of the route.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "connection-dropped", "421 4.4.2 Connection dropped due to SocketError",
        (421,), ("4.4.2",), ("connection dropped",),
        Scope.CONNECTION, RetryLater(5, 300),
        "The network or TLS failed; on an MX host also how TLS older than 1.2 ends.",
        "Nothing; if no connection lasts, look for a firewall that inspects SMTP.",
        "learn: opt-in-exchange-online-endpoint-for-legacy-tls-using-smtp-auth", Certainty.PRIMARY,
    ),
    Row(
        "client-timeout", "451 4.7.0 Timeout waiting for client input",
        (451,), ("4.7.0",), ("timeout waiting for client input",),
        Scope.CONNECTION, RetryLater(5, 300),
        "Nothing was sent for too long.",
        "Nothing; if it is frequent, lower connection_idle of the route.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "service-unavailable", "421 4.3.2 Service not available, closing transmission channel",
        (421,), ("4.3.2",), ("service not available", "service not active", "system not accepting network messages"),
        Scope.CONNECTION, RetryLater(60, 300),
        "This server is being drained.",
        "Nothing; the relay goes to another address. If it lasts, look at Microsoft's service health.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "too-many-connections",
        "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel",
        (421,), ("4.3.2",),
        ("maximum number of concurrent connections", "maximum number of concurrent server connections"),
        Scope.ROUTE, ReduceConnections(60, 600),
        "Too many connections from us, or to this server in all.",
        "Lower connections of the route; Microsoft publishes no number.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "forest-connections",
        "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, "
        "closing transmission channel",
        (421,), ("4.3.2",), ("maximum number of concurrent connections per resource forest",),
        Scope.FOREST, ReduceConnections(60, 600),
        "The cap of a forest of Microsoft's servers, shared with other tenants, is reached; also seen in outages.",
        "Lower connections of all routes to this MX host together; look at Microsoft's service health.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "tls-rate", "454 4.7.0 Cannot accept TLS as maximum TLS rate exceeded for server",
        (454,), ("4.7.0",), ("maximum tls rate exceeded",),
        Scope.CONNECTION, ReduceConnections(60, 300),
        "Too many TLS handshakes for this server just now.",
        "Let connections live longer (mails_per_connection, connection_idle), so that fewer are opened.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "too-many-errors", "421 4.7.0 Too many errors on this connection, closing transmission channel",
        (421,), ("4.7.0",), ("too many errors",),
        Scope.CONNECTION, RetryLater(60, 300),
        "The server has refused too much on one connection.",
        "Read the refusals before it; if it is frequent, mend what they name.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "back-pressure", "452 4.3.1 Insufficient system resources",
        (451, 452), ("4.3.0", "4.3.1", "4.3.2", "4.6.0"), (),
        Scope.CONNECTION, RetryLater(60, 900),
        "The server is short of memory or disk.",
        "Nothing; the relay tries again. If it lasts, look at Microsoft's service health.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "not-redundant", "451 4.4.0 Message failed to be made redundant",
        (451,), ("4.4.0", "4.4.24", "4.4.28"), ("made redundant", "replicated"),
        Scope.CONNECTION, RetryLater(60, 900),
        "The server could not store a second copy and so did not take the mail.",
        "Nothing; the relay tries again.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "temporary-server-error", "451 4.7.0 Temporary server error. Please try again later. PRX1",
        (451,), ("4.4.3", "4.7.0"), ("temporary server error",),
        Scope.CONNECTION, RetryLater(60, 600),
        "The front end did not reach the server behind it (PRX1 to PRX7, ATTR18).",
        "Nothing; the relay tries again. If it lasts, look at Microsoft's service health.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "attribution-unavailable", "450 4.7.1 Unable to fetch attribution data. ATTR2",
        (450,), ("4.7.1",), ("unable to fetch attribution data",),
        Scope.CONNECTION, RetryLater(60, 300),
        "The server could not look up whose mail this is.",
        "Nothing; the relay tries again.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "unrecognized-command", "500 5.3.3 Unrecognized command",
        (500,), ("5.3.3",), (),
        Scope.CONNECTION, Hold(),
        "The server did not understand a command of ours, or something between us changed it.",
        "Look for a firewall that inspects SMTP; else report it to this project with the session's trace.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "invalid-arguments", "501 5.5.4 Invalid arguments",
        (501,), ("5.5.4",), (),
        Scope.CONNECTION, Hold(),
        "The server did not take an argument of a command; with EHLO, the name of the relay.",
        "Set relay.hostname to the relay's own full name, such as relay.example.com.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "bad-sequence", "503 5.5.1 Bad sequence of commands",
        (503,), ("5.5.1", "5.5.2"), (),
        Scope.CONNECTION, Hold(),
        "A command came where the server expected another.",
        "Set use_bdat to false for the route if it is on; else report it to this project with the session's trace.",
        "MailKit issues #896, #921", Certainty.LOG,
    ),
    Row(
        "bad-hello", "550 5.7.506 Access Denied, Bad HELO",
        (550,), ("5.7.506",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "The relay introduces itself with the name of the server it talks to.",
        "Set relay.hostname to the relay's own full name, such as relay.example.com.",
        "SUP: non-delivery-reports-in-exchange-online", Certainty.PRIMARY,
    ),
)
