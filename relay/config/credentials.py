"""What a route logs in with: a password or a token, and whether its kind takes that."""

from relay.config import secret
from relay.config.findings import Findings
from relay.config.model import RouteTable
from relay.config.oauth import build_oauth
from relay.m365.cloud import Cloud
from relay.m365.preset import Kind, Preset
from relay.route.oauth import OAuth
from relay.route.route import Credentials

BASIC_ENDS = (
    "with a password: Microsoft switches that off by default for smtp.office365.com at the end of December 2026; "
    "use [route.oauth]"
)
"""TC 4489835, 29 January 2026. High Volume Email takes passwords until September 2028."""


def build_credentials(
    found: Findings, key: str, table: RouteTable, preset: Preset, cloud: Cloud
) -> Credentials | OAuth | None:
    """None where there is no login, or where problems were found."""
    passwords = [name for name in ("password_file", "password_env") if getattr(table, name) is not None]
    if not preset.mechanisms and (table.username is not None or passwords or table.oauth is not None):
        found.problem(
            f"{key}.username",
            f'kind = "{preset.kind.value}" goes to an MX host, which takes no login; leave it out',
        )
        return None
    if table.username is None:
        _check_no_login(found, key, table, preset, passwords)
        return None
    _warn_of_clear(found, key, table)
    if table.oauth is None:
        return _by_password(found, key, table, passwords)
    if passwords:
        found.problem(f"{key}.{passwords[0]}", "and [route.oauth] exclude each other")
        return None
    if preset.kind is Kind.COMMUNICATION:
        found.problem(
            f"{key}.oauth", 'kind = "acs" takes the client secret as a password; write password_file'
        )
        return None
    return build_oauth(found, f"{key}.oauth", table.oauth, table.username, preset, cloud)


def _check_no_login(
    found: Findings, key: str, table: RouteTable, preset: Preset, passwords: list[str]
) -> None:
    if table.oauth is not None:
        found.problem(f"{key}.username", "is missing; with [route.oauth] it is the mailbox to log in to")
    elif passwords:
        found.problem(f"{key}.username", f"is missing; {passwords[0]} goes with one")
    elif preset.kind is not Kind.SMTP and preset.mechanisms:
        how = "[route.oauth], or password_file" if "XOAUTH2" in preset.mechanisms else "password_file"
        found.problem(
            f"{key}.username", f'is missing; kind = "{preset.kind.value}" logs in: write username with {how}'
        )


def _by_password(found: Findings, key: str, table: RouteTable, passwords: list[str]) -> Credentials | None:
    assert table.username is not None
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
    if table.kind == Kind.SUBMISSION.value:
        found.warning(f"{key}.username", BASIC_ENDS)
    return Credentials(table.username, _password(found, key, table))


def _warn_of_clear(found: Findings, key: str, table: RouteTable) -> None:
    if table.tls in ("none", "opportunistic"):
        what = "password" if table.oauth is None else "token"
        found.warning(
            f"{key}.tls",
            f'is "{table.tls}", so the {what} may cross the network for all to read; write "required"',
        )


def _password(found: Findings, key: str, table: RouteTable) -> str:
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
