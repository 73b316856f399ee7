"""Replies about login and TLS. The mail is never to blame: it waits until somebody acts.

Exchange answers a bad token at once, without the 334 step other servers have, and
says in one code (535 5.7.139) a dozen different things: only the text tells them
apart. With high-volume accounts each fault has its own code.
"""

from relay.m365.row import (
    Certainty,
    LogInAgain,
    OpenBreaker,
    RetryLater,
    Row,
    Scope,
    Stop,
)

_SMTP_AUTH = "SUP: fix-issues-with-printers-scanners-and-lob-applications"
_NDR = "SUP: non-delivery-reports-in-exchange-online"
_OAUTH = "DEV: how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth"
_LOGS = "public logs of smtp.office365.com"
_HIGH_VOLUME = "learn: high-volume-mails-m365, OAuth errors"
_EXCHANGE = "Exchange Server response constants, as third parties list them"

# One row a paragraph, in the order of Row's fields: a table, not code.
# fmt: off
ROWS = (
    Row(
        "login-refused", "535 5.7.3 Authentication unsuccessful [SY5P282CA0097.AUSP282.PROD.OUTLOOK.COM]",
        (535,), ("5.7.3",), (),
        Scope.SENDER, LogInAgain(3600),
        "Wrong password or token, wrong object id of the application, or no right to the mailbox.",
        "Check the password; with OAuth the enterprise application's object id in New-ServicePrincipal, "
        "SMTP.SendAsApp with admin consent, and FullAccess to the mailbox.",
        _OAUTH, Certainty.PRIMARY,
    ),
    Row(
        "smtp-auth-off-tenant",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
        "Visit https://aka.ms/smtp_auth_disabled for more information.",
        (535,), ("5.7.139",), ("smtpclientauthentication is disabled for the tenant",),
        Scope.ROUTE, OpenBreaker(3600),
        "SMTP AUTH is switched off for the organisation.",
        "Run Set-TransportConfig -SmtpClientAuthenticationDisabled $false, or allow it for this mailbox alone "
        "with Set-CASMailbox.",
        _SMTP_AUTH, Certainty.PRIMARY,
    ),
    Row(
        "smtp-auth-off-mailbox",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. "
        "Visit https://aka.ms/smtp_auth_disabled for more information.",
        (535,), ("5.7.139",), ("smtpclientauthentication is disabled for the mailbox",),
        Scope.SENDER, OpenBreaker(3600),
        "SMTP AUTH is switched off for this mailbox.",
        "Run Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false.",
        _SMTP_AUTH, Certainty.PRIMARY,
    ),
    Row(
        "conditional-access",
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated "
        "successfully. Contact your administrator.",
        (535,), ("5.7.139",), ("did not meet the criteria",),
        Scope.SENDER, OpenBreaker(3600),
        "Security Defaults or Conditional Access refuses the login.",
        "Use OAuth for this route, or exempt the account from Security Defaults and from policies that block "
        "legacy authentication.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "authentication-policy",
        "535 5.7.139 Authentication unsuccessful, the organization configuration doesn't allow this "
        "authentication request.",
        (535,), ("5.7.139",), ("organization configuration doesn't allow",),
        Scope.ROUTE, OpenBreaker(3600),
        "An authentication policy forbids basic authentication for SMTP.",
        "Use OAuth for this route, or set AllowBasicAuthSmtp in the account's authentication policy.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "basic-off", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        (535,), ("5.7.139",), ("basic authentication is disabled",),
        Scope.SENDER, OpenBreaker(3600),
        "Passwords are no longer accepted for SMTP AUTH.",
        "Use OAuth for this route.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "account-locked", "535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator.",
        (535,), ("5.7.139",), ("account locked",),
        Scope.SENDER, Stop(),
        "The account is locked after too many wrong logins; each further one prolongs it.",
        "Stop everything else that logs in with an old password, unlock the account, then resume the route.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "wrong-password", "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        (535,), ("5.7.139",), ("user credentials were incorrect",),
        Scope.SENDER, LogInAgain(3600),
        "Wrong user name or password.",
        "Put the right password into the route's password file.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "federation-unreachable",
        "535 5.7.139 Authentication unsuccessful, federated STS service was unreachable.",
        (535,), ("5.7.139",), ("federated sts service was unreachable",),
        Scope.SENDER, OpenBreaker(1800),
        "Microsoft could not reach the organisation's own login server (AD FS).",
        "Check that the login server is up and reachable from the internet.",
        _SMTP_AUTH, Certainty.PRIMARY,
    ),
    Row(
        "federation-without-https",
        "535 5.7.139 Authentication unsuccessful, federated STS URL does not support HTTPS.",
        (535,), ("5.7.139",), ("federated sts url does not support https",),
        Scope.SENDER, OpenBreaker(1800),
        "The organisation's own login server (AD FS) offers no HTTPS with TLS 1.2.",
        "Switch on HTTPS with TLS 1.2 at the login server.",
        _SMTP_AUTH, Certainty.PRIMARY,
    ),
    Row(
        "login-refused-by-policy", "535 5.7.139 Authentication unsuccessful",
        (535,), ("5.7.139",), (),
        Scope.SENDER, OpenBreaker(3600),
        "A setting or policy refuses the login; the text says which.",
        "Look into the sign-in log of the account in Entra; the session id in brackets helps Microsoft's support.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "login-unavailable", "454 4.7.0 Temporary authentication failure",
        (454,), ("4.7.0",), ("temporary authentication failure",),
        Scope.CONNECTION, RetryLater(60, 600),
        "The server cannot check logins just now.",
        "Nothing; the relay tries again. If it lasts, look at Microsoft's service health.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "login-without-mailbox", "451 4.7.0 Temporary server error. Please try again later. PRX4",
        (451,), ("4.7.0",), ("temporary server error. please try again later. prx4",),
        Scope.SENDER, RetryLater(60, 600),
        "The server behind the front end was not reached; if it persists, the login has no usable mailbox.",
        "If it persists: give the mailbox a licence, and do not log in as a shared mailbox.",
        _LOGS, Certainty.LOG,
    ),
    Row(
        "unknown-mechanism", "504 5.7.4 Unrecognized authentication type",
        (504,), ("5.7.4",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "The server does not know this way to log in; Microsoft offers LOGIN and XOAUTH2, only after STARTTLS.",
        "Check host and port of the route: logins belong to smtp.office365.com, port 587.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "already-logged-in", "503 5.5.2 Auth command already specified",
        (503,), ("5.5.2",), ("auth command already specified",),
        Scope.CONNECTION, RetryLater(5, 60),
        "The relay logged in twice on one connection.",
        "Report it to this project with the session's trace.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "not-logged-in",
        "530 5.7.57 Client not authenticated to send mail. [SY5P282CA0097.AUSP282.PROD.OUTLOOK.COM]",
        (530, 550), ("5.7.57",), (),
        Scope.SENDER, LogInAgain(3600),
        "The session has not logged in, or its login was refused before.",
        "Give the route a login (username with password, or OAuth), or use a connector route for mail without one.",
        _NDR, Certainty.PRIMARY,
    ),
    Row(
        "basic-retired", "550 5.7.30 Basic authentication is not supported for Client Submission.",
        (550, 535), ("5.7.30",), ("basic authentication is not supported",),
        Scope.SENDER, Stop(),
        "Passwords are retired for SMTP AUTH, for good.",
        "Use OAuth for this route.",
        "TC 4114750", Certainty.PRIMARY,
    ),
    Row(
        "starttls-needed", "530 5.7.0 Must issue a STARTTLS command first",
        (530,), ("5.7.0",), ("must issue a starttls command first",),
        Scope.ROUTE, OpenBreaker(3600),
        "The server takes mail over TLS only.",
        'Set tls = "required" for the route.',
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "tls-too-old",
        "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2. "
        "Visit https://aka.ms/smtp_auth_tls",
        (421,), ("4.7.66",), (),
        Scope.ROUTE, OpenBreaker(3600),
        "The connection used a TLS older than 1.2.",
        "Look for a proxy between relay and internet that ends TLS; allow TLS 1.2 in the system's OpenSSL.",
        "learn: opt-in-exchange-online-endpoint-for-legacy-tls-using-smtp-auth", Certainty.PRIMARY,
    ),
    Row(
        "certificate-validation", "454 4.7.5 Certificate validation failure",
        (454,), ("4.7.5",), ("certificate validation failure",),
        Scope.ROUTE, RetryLater(300, 1800),
        "The server could not check our certificate.",
        "If it lasts: renew the client certificate, and send its whole chain with all intermediates.",
        _EXCHANGE, Certainty.DERIVED,
    ),
    Row(
        "malformed-token", "501 5.5.121 Invalid XOAUTH2 argument",
        (501,), ("5.5.121-126",), (),
        Scope.SENDER, OpenBreaker(3600),
        "High volume: the login has no address, no Bearer or no token.",
        "Check the route's mailbox address; else report it to this project.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
    Row(
        "token-expires-soon", "535 5.7.142",
        (535,), ("5.7.142",), (),
        Scope.SENDER, LogInAgain(600),
        "High volume: the token ends before the session could.",
        "Nothing; the relay fetches a fresh token. If it lasts, check the clock of this machine.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
    Row(
        "token-expired", "535 5.7.143",
        (535,), ("5.7.143",), (),
        Scope.SENDER, LogInAgain(600),
        "High volume: the token has expired.",
        "Nothing; the relay fetches a fresh token. If it lasts, check the clock of this machine.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
    Row(
        "token-without-permission", "535 5.7.144 XOAUTH2 authentication failed. Invalid API permissions.",
        (535,), ("5.7.144",), (),
        Scope.SENDER, OpenBreaker(3600),
        "High volume: the application lacks a permission.",
        "Give the application Mail.Send of Office 365 Exchange Online (not SMTP.SendAsApp) with admin consent.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
    Row(
        "token-refused", "535 5.7.127 XOAUTH2 authentication failed",
        (535,), ("5.7.127",), (),
        Scope.SENDER, LogInAgain(3600),
        "High volume: the token was refused.",
        "Check tenant, application and secret; the token must be for https://outlook.office.com/.default.",
        "github: ercankskn/postfix-entra-relay", Certainty.LOG,
    ),
    Row(
        "application-not-allowed",
        "550 5.7.240 The application is not allowed for use with this High Volume Email account",
        (550, 535), ("5.7.240",), (),
        Scope.SENDER, OpenBreaker(3600),
        "High volume: the application is not on the account's list.",
        "Run Add-HVEAppAccess with the enterprise application's object id; it takes some 5 minutes to act.",
        _HIGH_VOLUME, Certainty.LOG,
    ),
    Row(
        "not-a-high-volume-account", "550 5.2.240",
        (), ("5.2.240",), (),
        Scope.SENDER, Stop(),
        "High volume: the login is no high-volume account.",
        "Log in as a high-volume account, or use a submission route for this mailbox.",
        "github: ercankskn/postfix-entra-relay", Certainty.LOG,
    ),
)
