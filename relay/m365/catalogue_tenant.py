"""Replies about the whole tenant: its limit to the outside, its reputation, its queue.

The limit to the outside (TERRL) stops nothing inside the tenant. Most of these come
as a report after the mail had been taken; whether a connector says them in the
session is not published, so both are to be expected.
"""

from relay.m365.row import (
    Certainty,
    Fail,
    Hold,
    OpenBreaker,
    RetryLater,
    Row,
    Scope,
)

_NDR = "SUP: non-delivery-reports-in-exchange-online"
_REPUTATION = "SUP: fix-error-code-550-5-7-700-through-5-7-750"
_LOGS = "public logs of Exchange Online"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "external-recipients",
        "550 5.7.233 Your message can't be sent because your tenant exceeded its daily limit for sending email to "
        "external recipients (tenant external recipient rate limit)",
        (550,), ("5.7.233",), (),
        Scope.TENANT_EXTERNAL, RetryLater(900, 1800),
        "The tenant has reached its number of external recipients in 24 hours; mail goes again as the window moves on.",
        "Run Get-LimitsEnforcementStatus to see limit and count; more licences raise it, Azure Communication "
        "Services has limits of its own.",
        "TC 4372797", Certainty.PRIMARY,
    ),
    Row(
        "external-recipients-trial",
        "550 5.7.232 Your message can't be sent because your trial tenant has exceeded its daily limit for sending "
        "email to external recipients (tenant external recipient rate limit)",
        (550,), ("5.7.232",), (),
        Scope.TENANT_EXTERNAL, RetryLater(900, 1800),
        "A trial tenant has reached its 5,000 external recipients in 24 hours.",
        "Buy a licence: paid tenants begin at 10,000.",
        "TC 4372797", Certainty.PRIMARY,
    ),
    Row(
        "onmicrosoft-sender", "550 5.7.236",
        (550,), ("5.7.236",), (),
        Scope.SENDER_DOMAIN, RetryLater(3600, 86_400),
        "Senders in *.onmicrosoft.com may write to 100 external recipients in 24 hours, all together.",
        "Send from a domain of your own.",
        "TC: limiting onmicrosoft domain usage", Certainty.PRESS,
    ),
    Row(
        "tenant-threshold", "550 5.7.705 Access denied, tenant has exceeded threshold",
        (550,), ("5.7.705",), (),
        Scope.TENANT, OpenBreaker(3600),
        "Too much of the tenant's mail was suspicious: nobody in it may send.",
        "Find and close the abuse, then ask Microsoft's support, or run the diagnostic Outbound Email Blocked.",
        _REPUTATION, Certainty.PRIMARY,
    ),
    Row(
        "tenant-too-new",
        "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. AS(7230)",
        (550,), ("5.7.708",), (),
        Scope.TENANT, OpenBreaker(3600),
        "A new tenant's mail is not accepted yet.",
        "Ask Microsoft's support, or run the diagnostic Outbound Email Blocked.",
        _REPUTATION, Certainty.PRIMARY,
    ),
    Row(
        "unregistered-domains",
        "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains",
        (550,), ("5.7.750",), (),
        Scope.TENANT, OpenBreaker(3600),
        "Too much mail with sender domains that are no accepted domains of the tenant.",
        "Add and verify every domain you send from, then ask Microsoft's support.",
        _REPUTATION, Certainty.PRIMARY, narrower=Scope.SENDER_DOMAIN,
    ),
    Row(
        "tenant-block-list",
        "550 5.7.703 Your message can't be delivered because messages to user@contoso.com are blocked by your "
        "organization using Tenant Allow Block List.",
        (550,), ("5.7.703",), (),
        Scope.MESSAGE, Fail(),
        "The tenant's own block list holds an address of this mail, and so the whole mail.",
        "Take the address out of the Tenant Allow/Block List of Defender, or out of the mail.",
        _REPUTATION, Certainty.PRIMARY,
    ),
    Row(
        "banned-domain", "550 5.7.800",
        (550,), ("5.7.800",), (),
        Scope.MESSAGE, Hold(),
        "A domain in EHLO, envelope sender or From is banned.",
        "Check the three domains, and ask Microsoft's support to lift the ban.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "queue-quota", "450 4.7.0 Organization queue quota exceeded.",
        (450,), ("4.7.0",), ("organization queue quota exceeded",),
        Scope.TENANT, RetryLater(900, 900),
        "Too much of the tenant's mail waits at Microsoft.",
        "Nothing; the relay goes on later. Look into the message trace for what waits.",
        "Exchange Server response constants, as third parties list them", Certainty.DERIVED,
    ),
    Row(
        "loop", "554 5.4.14 Hop count exceeded - possible mail loop ATTR34",
        (), ("5.4.14", "5.4.6"), (),
        Scope.MESSAGE, Fail(),
        "The mail goes in circles, or the recipient's domain is not verified in the tenant.",
        "Check connectors and forwarding, and that the domain is verified.",
        _NDR, Certainty.PRIMARY,
    ),
)
