"""Whom a route logs in as, and who may send by which mailbox, for `check-config`; no secrets."""

from collections.abc import Iterator

from relay.budget.limit import Scope
from relay.config.value import written_time
from relay.route.oauth import OAuth
from relay.route.route import Credentials, Login, Route
from relay.route.tariff import describe

Row = tuple[str, str]


def login_rows(key: str, route: Route) -> list[Row]:
    """Of the one login, or of each mailbox."""
    rows = [] if route.credentials is None else _login(key, route.credentials)
    for i, login in enumerate(route.mailboxes):
        rows += _login(f"{key}.mailbox[{i}]", login)
        rows += _mailbox(f"{key}.mailbox[{i}]", route, login)
    return rows


def _login(key: str, login: Login) -> list[Row]:
    rows = [(f"{key}.username", login.username)]
    if isinstance(login, Credentials):
        rows.append((f"{key}.password", "is set"))
    if isinstance(login, OAuth):
        application = login.application
        rows += [
            (f"{key}.oauth", str(application)),
            (f"{key}.oauth.authority", application.authority),
            (f"{key}.oauth.scope", application.scope),
            (f"{key}.oauth.margin", written_time(login.margin_s)),
            (f"{key}.oauth.session_ends_with_token", str(login.ends_session).lower()),
            (f"{key}.oauth.ca_file", application.ca_file or ""),
        ]
    return [row for row in rows if row[1]]


def _mailbox(key: str, route: Route, login: Login) -> Iterator[Row]:
    senders = [login.username]
    for rule in route.mailbox_rules:
        if login.username in rule.mailboxes:
            senders += [f"{each}{_beside(rule.mailboxes)}" for each in rule.senders or ("all others",)]
    yield f"{key}.senders", ", ".join(senders)
    limits = [describe(row) for row in route.limits if row.scope is Scope.MAILBOX]
    if limits:
        yield f"{key}.limits", ", ".join(limits)


def _beside(pool: tuple[str, ...]) -> str:
    return f" (a pool of {len(pool)})" if len(pool) > 1 else ""
