"""`[[route.mailbox]]`: several logins of a route, who may send through which, and what is wrong."""

import re
import time
from pathlib import Path

import pytest

from relay.budget.limit import Limit, Scope, Unit
from relay.cli.check_config import in_force
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.route.mailbox import Mailboxes
from relay.route.oauth import OAuth
from relay.route.route import Credentials, MailboxRule, Route
from relay.route.tariff import limits_in_force

TEXT = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
[[route]]
name = "exchange"
"""
SUBMISSION = 'kind = "submission"\n'
APPLICATION = 'tenant = "contoso.com"\nclient_id = "app"\nclient_secret_file = "secret"\n'
OAUTH = f"[route.oauth]\n{APPLICATION}"


def mailbox(name: str, keys: str = "") -> str:
    return f'[[route.mailbox]]\nusername = "{name}"\n{keys}\n'


A, B, C = (f"{name}@contoso.com" for name in "abc")
THREE = SUBMISSION + OAUTH + mailbox(A) + mailbox(B) + mailbox(C)


class Folder:
    """A folder with a configuration and its secrets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("secret", "password"):
            (path / name).write_text(f"open{name}")
            (path / name).chmod(0o600)

    def read(self, route: str) -> Configuration:
        file = self.path / "relay.toml"
        file.write_text(TEXT + route)
        return read(file, time.time())

    def route(self, route: str) -> Route:
        return self.read(route).routes[0]

    def problems(self, route: str) -> tuple[str, ...]:
        with pytest.raises(InvalidConfiguration) as caught:
            self.read(route)
        return caught.value.problems

    def problem(self, route: str) -> str:
        (only,) = self.problems(route)
        return only


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def names(route: Route, sender: bytes) -> list[str]:
    """Who sends for a sender."""
    return [login.username for login in Mailboxes(route).of(sender) if login is not None]


def test_mailboxes_share_the_application_of_the_route(folder: Folder) -> None:
    configuration = folder.read(THREE)
    (route,) = configuration.routes
    assert configuration.warnings == () and route.credentials is None
    assert [login.username for login in route.mailboxes] == [A, B, C]
    applications = {login.application for login in route.mailboxes if isinstance(login, OAuth)}
    assert len(applications) == 1
    assert "opensecret" not in repr(configuration)


def test_a_mailbox_may_have_an_application_or_a_password_of_its_own(folder: Folder) -> None:
    own = "[route.mailbox.oauth]\n" + APPLICATION.replace('"app"', '"other"')
    route = folder.route(
        SUBMISSION + OAUTH + mailbox(A) + mailbox(B, own) + mailbox(C, 'password_file = "password"')
    )
    first, second, third = route.mailboxes
    assert isinstance(first, OAuth) and first.application.client_id == "app"
    assert isinstance(second, OAuth) and second.application.client_id == "other"
    assert third == Credentials(C, "openpassword")


def test_passwords_alone_will_do(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B_PASSWORD", "fromenvironment")
    configuration = folder.read(
        'host = "smtp.example.net"\n'
        + mailbox("a", 'password_file = "password"')
        + mailbox("b", 'password_env = "B_PASSWORD"')
    )
    assert configuration.routes[0].mailboxes == (
        Credentials("a", "openpassword"),
        Credentials("b", "fromenvironment"),
    )
    assert configuration.secret_names == {"B_PASSWORD"} and configuration.warnings == ()


def test_azure_takes_mailboxes_with_passwords(folder: Folder) -> None:
    route = folder.route('kind = "acs"\n' + mailbox("a", 'password_file = "password"'))
    assert route.mailboxes == (Credentials("a", "openpassword"),)


def test_senders_choose_their_mailbox(folder: Folder) -> None:
    route = folder.route(
        SUBMISSION
        + OAUTH
        + mailbox(A, 'senders = ["contoso.com", "*.contoso.com"]')
        + mailbox(B, 'senders = ["news@contoso.com", "<>"]')
        + mailbox(C, "default = true")
    )
    assert names(route, b"x@contoso.com") == [A]
    assert names(route, b"x@shop.contoso.com") == [A]
    assert names(route, b"News@contoso.com") == [B]
    assert names(route, b"") == [B]
    assert names(route, b"x@fabrikam.com") == [C]
    assert names(route, b"c@CONTOSO.com") == [C], "its own address, whatever the rules say"


def test_mailboxes_that_name_the_same_are_a_pool_in_the_order_written(folder: Folder) -> None:
    route = folder.route(
        SUBMISSION
        + OAUTH
        + mailbox(B, 'senders = ["news.contoso.com", "x.test"]\ndefault = true')
        + mailbox(C, 'senders = ["News.Contoso.com"]')
        + mailbox(A, 'senders = ["NEWS.contoso.com"]\ndefault = true')
    )
    assert route.mailbox_rules == (
        MailboxRule((B, C, A), ("news.contoso.com",)),
        MailboxRule((B,), ("x.test",)),
        MailboxRule((B, A)),
    )
    assert names(route, b"x@news.contoso.com") == [B, C, A]
    assert names(route, b"x@elsewhere.test") == [B, A]


def test_the_example_in_the_documentation_does_what_it_says(folder: Folder) -> None:
    text = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text.partition("## [[route.mailbox]]")[2], re.DOTALL)
    assert example is not None
    whole = example[1].replace("/run/secrets/entra", "secret")
    configuration = folder.read(whole.partition('[[route]]\nname = "exchange-online"')[2])
    (route,) = configuration.routes
    assert configuration.warnings == ()
    assert names(route, b"x@shop.contoso.com") == ["orders@contoso.com"]
    assert names(route, b"x@news.contoso.com") == ["news1@contoso.com", "news2@contoso.com"]
    assert names(route, b"x@fabrikam.com") == ["news2@contoso.com"]


def test_without_a_default_a_stranger_has_no_mailbox(folder: Folder) -> None:
    assert names(folder.route(THREE), b"x@fabrikam.com") == []
    assert names(folder.route(THREE), b"a@contoso.com") == [A]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (
            SUBMISSION + f'username = "{A}"\n' + OAUTH + mailbox(B),
            "route[0].username: and [[route.mailbox]] exclude each other",
        ),
        (
            SUBMISSION + 'password_file = "password"\n' + OAUTH + mailbox(B),
            "route[0].password_file: goes into the [[route.mailbox]]",
        ),
        (
            SUBMISSION + OAUTH + mailbox(A) + mailbox("A@Contoso.com"),
            f'route[0].mailbox[1].username: mailbox[0] is "{A}" already',
        ),
        (
            SUBMISSION + OAUTH + mailbox(A, 'senders = ["x.test", "X.test"]'),
            'route[0].mailbox[0].senders: "X.test" stands there twice',
        ),
        (SUBMISSION + mailbox(A), "route[0].mailbox[0].password_file: is missing"),
        (
            SUBMISSION + mailbox(A, 'password_file = "password"\npassword_env = "PATH"'),
            "route[0].mailbox[0].password_file: and password_env exclude each other",
        ),
        (
            SUBMISSION + mailbox(A, f'password_file = "password"\n[route.mailbox.oauth]\n{APPLICATION}'),
            "route[0].mailbox[0].password_file: and [route.oauth] exclude each other",
        ),
        (
            SUBMISSION + mailbox(A, 'password_file = "gone"'),
            "route[0].mailbox[0].password_file: cannot read",
        ),
        (
            SUBMISSION + OAUTH.replace('"secret"', '"gone"') + mailbox(A) + mailbox(B),
            "route[0].oauth.client_secret_file: cannot read",
        ),
        (
            SUBMISSION + mailbox(A, '[route.mailbox.oauth]\nclient_secret_file = "secret"\ntenant = "t"'),
            "route[0].mailbox[0].oauth.client_id: is missing",
        ),
        ('kind = "acs"\n' + OAUTH + mailbox("a"), 'route[0].oauth: kind = "acs" takes the client secret'),
        (
            'kind = "acs"\n' + mailbox("a", f"[route.mailbox.oauth]\n{APPLICATION}"),
            'route[0].mailbox[0].oauth: kind = "acs" takes the client secret',
        ),
        (
            'kind = "connector"\nhost = "mx.test"\n' + mailbox(A, 'password_file = "password"'),
            'route[0].mailbox: kind = "connector" goes to an MX host, which takes no login',
        ),
        (SUBMISSION + OAUTH + "[[route.mailbox]]\n", "route[0].mailbox[0].username: is missing"),
        (SUBMISSION + OAUTH + mailbox(""), "route[0].mailbox[0].username: must not be empty"),
        (SUBMISSION + "mailbox = []\n" + OAUTH, "route[0].mailbox: must not be empty"),
        (
            SUBMISSION + OAUTH + mailbox(A, 'sender = ["x.test"]'),
            'route[0].mailbox[0].sender: unknown key; did you mean "senders"?',
        ),
        (SUBMISSION + OAUTH + mailbox(A, 'password = "hush"'), "name that with password_file"),
        (SUBMISSION + OAUTH + mailbox(A, 'default = "yes"'), "default: must be true or false"),
    ],
)
def test_what_is_wrong_is_named(folder: Folder, route: str, words: str) -> None:
    problem = folder.problem(route)
    assert words in problem
    assert "hush" not in problem and "opensecret" not in problem


@pytest.mark.parametrize(
    "pattern", ["", "*", "a@", "@contoso.com", "*@contoso.com", "a b.test", "*.*.test", "a..b", "<a@b.test>"]
)
def test_a_sender_that_is_none_is_refused(folder: Folder, pattern: str) -> None:
    problem = folder.problem(SUBMISSION + OAUTH + mailbox(A, f'senders = ["{pattern}"]'))
    assert problem.startswith("route[0].mailbox[0].senders[0]: ")
    assert "default = true" in problem if pattern == "*" else "write an address" in problem


def test_a_secret_that_cannot_be_read_is_told_once_for_all_mailboxes(folder: Folder) -> None:
    (problem,) = folder.problems(THREE.replace('"secret"', '"gone"'))
    assert problem.startswith("route[0].oauth.client_secret_file: ")


def test_a_rule_for_another_mailbox_of_the_route_is_never_used(folder: Folder) -> None:
    (warning,) = folder.read(
        SUBMISSION + OAUTH + mailbox(A, f'senders = ["{A}", "B@contoso.com"]') + mailbox(B)
    ).warnings
    assert warning.startswith('route[0].mailbox[0].senders: "B@contoso.com" is never used')


def test_an_application_that_no_mailbox_uses_is_told(folder: Folder) -> None:
    route = 'host = "h.test"\n' + OAUTH + mailbox("a", 'password_file = "password"')
    (warning,) = folder.read(route).warnings
    assert warning.startswith("route[0].oauth: is of no use")


@pytest.mark.parametrize("keys", ['senders = ["contoso.com"]', "default = true"])
def test_high_volume_sends_as_the_account_only(folder: Folder, keys: str) -> None:
    tables = OAUTH + mailbox(A, keys) + mailbox(B) + '[tenant]\ndomains = ["contoso.com"]\n'
    (warning,) = folder.read('kind = "high-volume"\n' + tables).warnings
    assert folder.read('kind = "high-volume"\nsender_fixed = false\n' + tables).warnings == ()
    assert warning.startswith(f"route[0].mailbox[0].{keys.split(' ')[0]}: ") and "5.7.62" in warning


def test_mailboxes_bring_their_limits_and_may_be_limited(folder: Folder) -> None:
    written = '[[route.limit]]\ncount = 20\nof = "messages"\nper = "1m"\n'
    limits = folder.route(THREE + written).limits
    assert limits[1] == Limit(Scope.MAILBOX, Unit.MESSAGES, 20, 60)
    plain = 'host = "h.test"\n' + mailbox("a", 'password_file = "password"')
    assert folder.route(plain + written).limits == (Limit(Scope.MAILBOX, Unit.MESSAGES, 20, 60),)
    scoped = written + 'scope = "mailbox"\n'
    assert folder.route(plain + scoped).limits == (Limit(Scope.MAILBOX, Unit.MESSAGES, 20, 60),)


def test_routes_of_one_mailbox_share_its_connections(folder: Folder) -> None:
    assert folder.read(THREE).warnings == ()
    second = (
        '[[route]]\nname = "second"\nkind = "submission"\nconnections = 1\n'
        + OAUTH
        + mailbox("B@contoso.com")
    )
    both = folder.read(SUBMISSION + 'senders = ["x.test"]\n' + THREE.removeprefix(SUBMISSION) + second)
    assert both.warnings == ()
    shared = [limit for limit in limits_in_force(both.routes) if limit.unit is Unit.CONNECTIONS]
    assert Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3, key="b@contoso.com", least=1) in shared
    assert len(shared) == 3


def test_passwords_without_tls_are_warned_of_once(folder: Folder) -> None:
    (warning,) = folder.read(
        'host = "h.test"\ntls = "none"\n'
        + mailbox("a", 'password_file = "password"')
        + mailbox("b", 'password_file = "password"')
    ).warnings
    assert warning.startswith("route[0].tls: ") and "the password may cross" in warning


def test_what_is_in_force_shows_mailboxes_senders_and_limits(folder: Folder) -> None:
    rows = dict(
        in_force(
            folder.read(
                SUBMISSION
                + OAUTH
                + mailbox(A, 'senders = ["contoso.com"]\ndefault = true')
                + mailbox(B, 'senders = ["contoso.com"]')
            )
        )
    )
    assert rows["route[0].mailbox[0].username"] == A
    assert rows["route[0].mailbox[0].senders"] == f"{A}, contoso.com (a pool of 2), all others"
    assert rows["route[0].mailbox[1].senders"] == f"{B}, contoso.com (a pool of 2)"
    assert rows["route[0].mailbox[1].oauth"] == "the application app"
    assert rows["route[0].mailbox[1].limits"] == (
        "3 connections at once of the mailbox, 30 messages in 60 s of the mailbox, "
        "10000 recipients in 24 h of the mailbox"
    )
    assert "route[0].mailboxes" not in rows and "opensecret" not in str(rows)
