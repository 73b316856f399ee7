"""Replies about the connector, the way to it, and the address we come from.

Microsoft finds out whose mail it is (attribution) by client certificate, source
address and sender domain. Where that fails, everything of the route fails, unless
only one sender has a domain that is not the tenant's.
"""

from relay.m365.row import (
    Certainty,
    Fail,
    OpenBreaker,
    ReduceRate,
    RetryLater,
    Row,
    Scope,
    UseIpv4,
)

_NDR = "SUP: non-delivery-reports-in-exchange-online"
_ATTRIBUTION = "SUP: tenantattribution-ndr, relay-access-denied-attr36-ndr"
_VERSION = "TC 3815328, 4007169"
_LOGS = "public logs of *.mail.protection.outlook.com"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "relay-denied", "550 5.7.64 TenantAttribution; Relay Access Denied SMTP",
        (550,), ("5.7.64",), (),
        Scope.ROUTE, OpenBreaker(900),
        "Microsoft does not know the mail as the tenant's: certificate, source address or sender domain fit no "
        "inbound connector.",
        "Check that the client certificate is valid and sent with its whole chain, that the connector has this "
        "relay's address, and that the sender's domain is an accepted domain.",
        _ATTRIBUTION, Certainty.PRIMARY, narrower=Scope.SENDER_DOMAIN,
    ),
    Row(
        "unable-to-relay", "550 5.7.1 Unable to Relay. ATTR5",
        (550,), ("5.7.1",), ("unable to relay. attr",),
        Scope.ROUTE, OpenBreaker(900),
        "Microsoft does not know the mail as the tenant's and will not send it outside.",
        "Check that an inbound connector of type OnPremises fits this relay's certificate or address.",
        _NDR, Certainty.PRIMARY, narrower=Scope.SENDER_DOMAIN,
    ),
    Row(
        "wrong-region", "451 4.4.62 Mail sent to the wrong Office 365 region. ATTR35",
        (451,), ("4.4.62",), (),
        Scope.ROUTE, OpenBreaker(900),
        "The host is not the tenant's, or mail to the outside fits no connector.",
        "Take the MX host of the tenant's *.onmicrosoft.com domain, and check the inbound connector.",
        "SUP: wrong-office-365-region-exo", Certainty.PRIMARY, narrower=Scope.RECIPIENT,
    ),
    Row(
        "unauthenticated",
        "451 4.4.4 Mail received as unauthenticated, incoming to a recipient domain configured in a hosted tenant "
        "which has no mail-enabled subscriptions. ATTR5",
        (451,), ("4.4.4",), (),
        Scope.RECIPIENT, RetryLater(14_400, 86_400),
        "The recipient's tenant has no mail subscription; for many domains at once, our connector was not found.",
        "If it concerns many domains, check the inbound connector; else the recipient must act.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "direct-send-off",
        "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from unauthorized sources",
        (550,), ("5.7.68",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "The tenant refuses mail from its own domains that fits no connector.",
        "Create an inbound connector for this relay's certificate or address, or set RejectDirectSend to $false.",
        "TC 4408790", Certainty.PRIMARY, narrower=Scope.SENDER_DOMAIN,
    ),
    Row(
        "tenant-locked",
        "550 5.7.51 TenantInboundAttribution; There is a partner connector configured that matched the message's "
        "recipient domain. The connector had either the RestrictDomainsToIPAddresses or RestrictDomainsToCertificate set",
        (550,), ("5.7.51",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "A partner connector of the tenant lets in only certain addresses or certificates.",
        "Add this relay's address or certificate to the connector.",
        _LOGS, Certainty.LOG, narrower=Scope.SENDER_DOMAIN,
    ),
    Row(
        "connector-blocked", "550 5.7.711 Access denied, bad inbound connector. AS(2204)",
        (550,), ("5.7.711",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "Microsoft holds the connector for abused and has blocked it.",
        "Find and close the abuse, then run Remove-BlockedConnector; it takes up to an hour.",
        "DEF: connectors-remove-blocked", Certainty.PRIMARY,
    ),
    Row(
        "server-outdated",
        "450 4.7.230 Connecting Exchange server version is out-of-date; connection to Exchange Online throttled for "
        "5 mins/hr.",
        (450,), ("4.7.230",), (),
        Scope.ROUTE, RetryLater(3600, 3600),
        "Microsoft takes the sender for an old Exchange server; mail is throttled.",
        "Update the Exchange server whose headers the mail carries; the relay itself is no Exchange.",
        _VERSION, Certainty.PRIMARY,
    ),
    Row(
        "server-blocked",
        "550 5.7.230 Connecting Exchange server version is out-of-date; connection to Exchange Online blocked for "
        "10 mins/hr.",
        (550,), ("5.7.230",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "Microsoft takes the sender for an old Exchange server; mail is blocked.",
        "Update the Exchange server whose headers the mail carries; the relay itself is no Exchange.",
        _VERSION, Certainty.PRIMARY,
    ),
    Row(
        "address-throttled", "451 4.7.500 Server busy. Please try again later from [203.0.113.9]. (AS761)",
        (451,), ("4.7.500-699",), (),
        Scope.SOURCE_ADDRESS, ReduceRate(300, 3600),
        "The address sends more than it used to, and fits no connector.",
        "Check that the inbound connector has this relay's address: mail that fits a connector is not throttled so.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "address-suspicious", "451 4.7.850 Access denied, please try again later",
        (), ("4.7.850-899",), (),
        Scope.SOURCE_ADDRESS, RetryLater(1800, 3600),
        "The address is suspicious and restricted for a time.",
        "Check what was sent from this address; the restriction ends by itself.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "consumer-throttled",
        "451 4.7.650 The mail server [203.0.113.9] has been temporarily rate limited due to IP reputation. (S775)",
        (451,), ("4.7.650",), (),
        Scope.SOURCE_ADDRESS, ReduceRate(900, 3600),
        "outlook.com slows the address down for its reputation.",
        "See sendersupport.olc.protection.outlook.com for the reputation of the address.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "consumer-busy", "451 4.7.700 PFA agent busy",
        (451,), ("4.7.700",), (),
        Scope.SOURCE_ADDRESS, RetryLater(900, 3600),
        "outlook.com is busy.",
        "Nothing; the relay tries again.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "address-reputation", "452 4.5.3 Too many recipients (AS780090)",
        (452,), ("4.5.3",), ("too many recipients (as780090)", "(as780090)"),
        Scope.SOURCE_ADDRESS, ReduceRate(300, 3600),
        "Not the number of recipients, but the reputation of the address.",
        "Send less from this address, and check that the inbound connector has it.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "address-banned", "550 5.7.606 Access denied, banned sending IP [203.0.113.9]",
        (550,), ("5.7.606-649", "5.7.511"), (),
        Scope.SOURCE_ADDRESS, OpenBreaker(3600),
        "The address is on Microsoft's block list.",
        "Close the abuse, then have the address delisted at https://sender.office.com.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "address-listed",
        "550 5.7.1 Unfortunately, messages from [203.0.113.9] weren't sent. Please contact your Internet service "
        "provider since part of their network is on our block list (S3150).",
        (550,), ("5.7.1",), ("their network is on our block list",),
        Scope.SOURCE_ADDRESS, OpenBreaker(3600),
        "The address is on the block list of outlook.com.",
        "Have the address delisted at https://olcsupport.office.com.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "ipv6-unauthenticated",
        "450 4.7.26 Access denied, a message sent over IPv6 [2001:db8::25] must pass either SPF or DKIM validation, "
        "this message is not signed",
        (), ("4.7.26", "4.7.25", "5.7.25"), (),
        Scope.SOURCE_ADDRESS, UseIpv4(),
        "Over IPv6 mail needs SPF or DKIM, and the address a name in DNS; connectors know IPv4 only.",
        "Set ipv4_only = true for the route.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "ipv6-limit", "550 5.7.508 Access denied, [2001:db8::25] has exceeded permitted limits within 2001:db8::/64 range",
        (550,), ("5.7.508",), (),
        Scope.SOURCE_ADDRESS, UseIpv4(),
        "Too much mail from this range of IPv6 addresses.",
        "Set ipv4_only = true for the route.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "ipv6-refused", "550 5.7.510 Access denied, contoso.com does not accept email over IPv6",
        (550,), ("5.7.510",), (),
        Scope.RECIPIENT, UseIpv4(),
        "The recipient takes no mail over IPv6.",
        "Set ipv4_only = true for the route.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "address-blocked-by-recipient", "550 5.7.507 Access denied, rejected by recipient",
        (550,), ("5.7.507", "5.7.513"), (),
        Scope.RECIPIENT, Fail(),
        "The recipient's organisation blocks our address.",
        "Ask the recipient's administrator to let the address in.",
        _NDR, Certainty.PRIMARY,
    ),
)
