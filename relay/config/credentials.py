"""What a route logs in with: a password or a token, and whether its kind takes that."""

from typing import Protocol

from relay.config import secret
from relay.config.findings import Findings
from relay.config.model import RouteTable
from relay.config.oauth import OAuthBuilder
from relay.config.oauth_table import OAuthTable
from relay.m365.preset import Kind, Preset
from relay.route.route import Credentials, Login

BASIC_ENDS = (
    "with a password: Microsoft switches that off by default for smtp.office365.com at the end of December 2026; "
    "use [route.oauth]"
)
"""TC 4489835, 29 January 2026. High Volume Email takes passwords until September 2028."""
PASSWORDS = ("password_file", "password_env")


class LoginKeys(Protocol):
    """The keys of a login, in a route or in a mailbox of one."""

    @property
    def password_file(self) -> str | None: ...
    @property
    def password_env(self) -> str | None: ...
    @property
    def oauth(self) -> OAuthTable | None: ...


def build_credentials(
    found: Findings, key: str, table: RouteTable, preset: Preset, oauth: OAuthBuilder
) -> Login | None:
    """The one login of a route; None where there is none or there are several, or where problems were found."""
    if not preset.mechanisms:
        _refuse_login(found, key, table, preset)
        return None
    if table.oauth is not None or _passwords(table) or table.username is not None or table.mailbox:
        _warn_of_clear(found, key, table)
    if table.mailbox:
        return None
    if table.username is None:
        _check_no_login(found, key, table, preset)
        return None
    if not check_login_keys(found, key, table, preset):
        return None
    if table.oauth is None:
        return build_password(found, key, table, table.username, preset.kind)
    application = oauth.application(f"{key}.oauth", table.oauth)
    return None if application is None else oauth.login(table.username, application, table.oauth)


def check_login_keys(found: Findings, key: str, table: LoginKeys, preset: Preset) -> bool:
    """One way to log in, and one that the kind takes."""
    passwords = _passwords(table)
    if table.oauth is None:
        return True
    if passwords:
        found.problem(f"{key}.{passwords[0]}", "and [route.oauth] exclude each other")
        return False
    return not refuses_oauth(found, f"{key}.oauth", preset)


def refuses_oauth(found: Findings, key: str, preset: Preset) -> bool:
    """Whether the kind takes no tokens; `key` is the path of the table."""
    if preset.kind is not Kind.COMMUNICATION:
        return False
    found.problem(key, 'kind = "acs" takes the client secret as a password; write password_file')
    return True


def build_password(
    found: Findings, key: str, table: LoginKeys, username: str, kind: Kind
) -> Credentials | None:
    """Name and password; None when there is not exactly one password."""
    passwords = _passwords(table)
    if len(passwords) != 1:
        wrong = (
            "and password_env exclude each other"
            if passwords
            else "is missing; username goes with one, or with password_env"
        )
        if not passwords:
            wrong += ", or with [route.oauth]"
        found.problem(f"{key}.password_file", wrong)
        return None
    if kind is Kind.SUBMISSION:
        found.warning(f"{key}.username", BASIC_ENDS)
    return Credentials(username, _password(found, key, table))


def _passwords(table: LoginKeys) -> list[str]:
    return [name for name in PASSWORDS if getattr(table, name) is not None]


def _refuse_login(found: Findings, key: str, table: RouteTable, preset: Preset) -> None:
    which = "mailbox" if table.mailbox else "username"
    if table.mailbox or table.username is not None or _passwords(table) or table.oauth is not None:
        found.problem(
            f"{key}.{which}",
            f'kind = "{preset.kind.value}" goes to an MX host, which takes no login; leave it out',
        )


def _check_no_login(found: Findings, key: str, table: RouteTable, preset: Preset) -> None:
    if table.oauth is not None:
        found.problem(
            f"{key}.username",
            "is missing; with [route.oauth] it is the mailbox to log in to; for several write [[route.mailbox]]",
        )
    elif passwords := _passwords(table):
        found.problem(f"{key}.username", f"is missing; {passwords[0]} goes with one")
    elif preset.kind is not Kind.SMTP:
        how = "[route.oauth], or password_file" if "XOAUTH2" in preset.mechanisms else "password_file"
        found.problem(
            f"{key}.username",
            f'is missing; kind = "{preset.kind.value}" logs in: write username with {how}, '
            "or [[route.mailbox]] for several",
        )


def _warn_of_clear(found: Findings, key: str, table: RouteTable) -> None:
    if table.tls in ("none", "opportunistic"):
        logins: list[LoginKeys] = [table, *(table.mailbox or ())]
        what = "token" if any(each.oauth is not None for each in logins) else "password"
        found.warning(
            f"{key}.tls",
            f'is "{table.tls}", so the {what} may cross the network for all to read; write "required"',
        )


def _password(found: Findings, key: str, table: LoginKeys) -> str:
    try:
        if table.password_env is not None:
            found.secret_names.add(table.password_env)
            return secret.from_environment(table.password_env)
        password, warning = secret.from_file(found.file(table.password_file or ""))
    except ValueError as error:
        found.problem(f"{key}.password_{'env' if table.password_env else 'file'}", str(error))
        return ""
    if warning:
        found.warning(f"{key}.password_file", warning)
    return password
