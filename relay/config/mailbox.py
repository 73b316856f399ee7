"""From `[[route.mailbox]]` to logins and to the rules which of them sends for whom.

What two mailboxes both name, a sender's address or domain or `default`, they share: a
pool, in the order written. One `[route.oauth]` is the application of all mailboxes that
have no login of their own; it is read once and gets one token for all of them.
"""

from collections.abc import Iterable, Sequence

from relay.config.credentials import build_password, check_login_keys, refuses_oauth
from relay.config.findings import Findings
from relay.config.mailbox_table import MailboxTable
from relay.config.model import RouteTable
from relay.config.oauth import OAuthBuilder
from relay.m365.preset import Preset
from relay.route.oauth import Application
from relay.route.pattern import rule_key
from relay.route.route import Login, MailboxRule


def build_mailboxes(
    found: Findings, key: str, table: RouteTable, preset: Preset, oauth: OAuthBuilder
) -> tuple[Login, ...]:
    """The logins of a route; of use only when no problems were found. `key` is the path of the route."""
    tables = table.mailbox or ()
    if not tables or not preset.mechanisms:
        return ()
    if table.username is not None:
        found.problem(f"{key}.username", "and [[route.mailbox]] exclude each other; write it as one of these")
    for name in ("password_file", "password_env"):
        if getattr(table, name) is not None:
            found.problem(f"{key}.{name}", "goes into the [[route.mailbox]] whose password it is")
    shared = _shared_application(found, key, table, preset, oauth)
    logins = [
        _login(found, f"{key}.mailbox[{i}]", each, table, preset, oauth, shared)
        for i, each in enumerate(tables)
    ]
    _check_names(found, key, tables)
    _check_senders(found, key, table, preset)
    return tuple(login for login in logins if login is not None)


def build_rules(tables: Iterable[MailboxTable]) -> tuple[MailboxRule, ...]:
    """Each pool once, with everything that all of its mailboxes name; the pool of `default` last."""
    pools: dict[bytes, list[str]] = {}
    written: dict[bytes, str] = {}
    for table in tables:
        for pattern in table.senders or ():
            written.setdefault(rule_key(pattern), pattern)
            pools.setdefault(rule_key(pattern), []).append(table.username)
    rules: dict[tuple[str, ...], list[str]] = {}
    for pattern_key, pool in pools.items():
        rules.setdefault(tuple(pool), []).append(written[pattern_key])
    found = [MailboxRule(pool, tuple(senders)) for pool, senders in rules.items()]
    default = tuple(table.username for table in tables if table.default)
    return (*found, MailboxRule(default)) if default else tuple(found)


def _shared_application(
    found: Findings, key: str, table: RouteTable, preset: Preset, oauth: OAuthBuilder
) -> Application | None:
    if table.oauth is None:
        return None
    if refuses_oauth(found, f"{key}.oauth", preset):
        return None
    if not any(map(_has_no_own_login, table.mailbox or ())):
        found.warning(f"{key}.oauth", "is of no use: every [[route.mailbox]] has a login of its own")
    return oauth.application(f"{key}.oauth", table.oauth)


def _has_no_own_login(table: MailboxTable) -> bool:
    return table.password_file is None and table.password_env is None and table.oauth is None


def _login(
    found: Findings,
    key: str,
    table: MailboxTable,
    route: RouteTable,
    preset: Preset,
    oauth: OAuthBuilder,
    shared: Application | None,
) -> Login | None:
    if not check_login_keys(found, key, table, preset):
        return None
    if table.oauth is not None:
        application = oauth.application(f"{key}.oauth", table.oauth)
        return None if application is None else oauth.login(table.username, application, table.oauth)
    if _has_no_own_login(table) and route.oauth is not None:
        return None if shared is None else oauth.login(table.username, shared, route.oauth)
    return build_password(found, key, table, table.username, preset.kind)


def _check_names(found: Findings, key: str, tables: Sequence[MailboxTable]) -> None:
    seen: dict[str, int] = {}
    for i, table in enumerate(tables):
        first = seen.setdefault(table.username.lower(), i)
        if first != i:
            found.problem(
                f"{key}.mailbox[{i}].username",
                f'mailbox[{first}] is "{tables[first].username}" already; put its senders there',
            )


def _check_senders(found: Findings, key: str, route: RouteTable, preset: Preset) -> None:
    tables = route.mailbox or ()
    is_fixed = preset.sender_fixed if route.sender_fixed is None else route.sender_fixed
    own = {table.username.lower(): table.username for table in tables}
    for i, table in enumerate(tables):
        where = f"{key}.mailbox[{i}].senders"
        seen: set[bytes] = set()
        for pattern in table.senders or ():
            if rule_key(pattern) in seen:
                found.problem(where, f'"{pattern}" stands there twice; remove one of them')
            seen.add(rule_key(pattern))
            if own.get(pattern.lower(), table.username) != table.username:
                found.warning(
                    where, f'"{pattern}" is never used: it is a mailbox of this route and sends for itself'
                )
        if is_fixed and (table.senders or table.default):
            found.warning(
                f"{key}.mailbox[{i}].{'senders' if table.senders else 'default'}",
                "is of no use: the route takes mail from the account itself only (sender_fixed); Microsoft refuses "
                "other senders with 5.7.62",
            )
