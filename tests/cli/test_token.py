"""`m365-relay token check`, as a shell sees it, against an authority on the loopback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.authority import CLIENT, OBJECT, SECRET, TENANT, TokenAuthority, token_authority

CONFIGURATION = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
[tenant]
domains = ["contoso.example"]
[[route]]
name = "exchange"
kind = "{kind}"
username = "orders@contoso.example"
{senders}
[route.oauth]
tenant = "{tenant}"
client_id = "{client_id}"
client_secret_file = "secret"
authority = "{authority}"
ca_file = "{ca_file}"
{oauth}
"""


class Shell:
    """Runs the command in a folder with a configuration."""

    def __init__(self, folder: Path, authority: TokenAuthority) -> None:
        self.folder = folder
        self.authority = authority
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        self.write()

    def write(self, oauth: str = "", rest: str = "", **changes: str) -> None:
        """The configuration anew."""
        known = {
            "kind": "submission", "tenant": TENANT, "client_id": CLIENT, "authority": self.authority.base,
            "ca_file": self.authority.ca_file, "senders": "",
        }  # fmt: skip
        text = CONFIGURATION.format(oauth=oauth, **(known | changes))
        (self.folder / "relay.toml").write_text(text + rest)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "relay.cli.main", "token", "check", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "80"},
            cwd=self.folder,
        )
        said = done.stdout + done.stderr
        assert SECRET not in said and not any(token in said for token in self.authority.tokens)
        return done


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with token_authority(tmp_path) as authority:
        yield Shell(tmp_path, authority)


def test_a_good_token_is_shown_without_itself(shell: Shell) -> None:
    done = shell.run("--route", "exchange")
    assert done.returncode == 0, done.stderr
    for words in (
        CLIENT,
        OBJECT,
        TENANT,
        "SMTP.SendAsApp",
        "60 minutes",
        "https://outlook.office365.com",
        "✓",
    ):
        assert words in done.stdout


def test_json_is_for_programs(shell: Shell) -> None:
    (report,) = json.loads(shell.run("--json").stdout)["applications"]
    assert report["mailboxes"] == [
        {"route": "exchange", "mailbox": "orders@contoso.example", "troubles": [], "warnings": []}
    ]
    assert (report["object_id"], report["roles"]) == (OBJECT, ["SMTP.SendAsApp"])
    assert (report["lifetime_s"], report["troubles"], report["warnings"]) == (3600, [], [])


def test_a_token_for_something_else_is_found(shell: Shell) -> None:
    shell.write(oauth='scope = "https://graph.microsoft.com/.default"')
    done = shell.run()
    assert done.returncode == 1 and "the token is for https://graph.microsoft.com" in done.stdout


def test_a_missing_role_is_a_warning_for_submission_and_wrong_for_high_volume(shell: Shell) -> None:
    shell.authority.orders.roles = ()
    done = shell.run()
    assert done.returncode == 0 and "! the token lacks the role SMTP.SendAsApp" in done.stdout
    shell.write(kind="high-volume")
    done = shell.run()
    assert done.returncode == 1 and "✗ the token lacks the role Mail.Send" in done.stdout


def test_an_unknown_object_is_found(shell: Shell) -> None:
    shell.authority.orders.object_id = ""
    done = shell.run()
    assert done.returncode == 1 and "no enterprise application" in done.stdout


def test_a_wrong_secret_is_a_wrong_configuration(shell: Shell) -> None:
    (shell.folder / "secret").write_text("wrong")
    done = shell.run()
    assert done.returncode == 78 and "the client secret is wrong (AADSTS7000215)" in done.stdout


def test_an_authority_that_is_down_is_unavailable(shell: Shell) -> None:
    shell.write(authority="https://127.0.0.1:1")
    done = shell.run()
    assert done.returncode == 69 and "cannot reach 127.0.0.1:1" in done.stdout


def test_what_an_authority_says_does_not_steer_the_terminal(shell: Shell) -> None:
    shell.authority.orders.audience = "https://x\x1b[2J"
    assert "\x1b[2J" not in shell.run().stdout
    shell.authority.orders.status, shell.authority.orders.body = 400, '{"error_description":"a\\u001b[2Jb"}'
    done = shell.run()
    assert done.returncode == 78 and "\x1b[2J" not in done.stdout


def test_all_routes_are_looked_at_and_one_is_chosen_by_name(shell: Shell) -> None:
    text = (shell.folder / "relay.toml").read_text()
    second = text[text.index("[[route]]") :].replace('"exchange"', '"other"')
    shell.write(rest=second, senders='senders = ["a.example"]')
    done = shell.run()
    assert done.returncode == 0 and shell.authority.token_requests == 1, "one token for both"
    assert "on the route exchange" in done.stdout and "on the route other" in done.stdout
    (report,) = json.loads(shell.run("--route", "other", "--json").stdout)["applications"]
    assert [each["route"] for each in report["mailboxes"]] == ["other"]
    done = shell.run("--route", "gone")
    assert done.returncode == 78 and 'no route called "gone"' in done.stderr
    assert "exchange, other" in done.stderr


MAILBOX = """
[[route.mailbox]]
username = "{name}@contoso.example"
{keys}
"""


def with_mailboxes(shell: Shell, *mailboxes: str) -> None:
    """Several instead of the one."""
    shell.write(rest="".join(mailboxes))
    file = shell.folder / "relay.toml"
    file.write_text(file.read_text().replace('username = "orders@contoso.example"', ""))


def test_each_mailbox_has_its_line_and_each_application_one_request(shell: Shell) -> None:
    with_mailboxes(shell, *(MAILBOX.format(name=name, keys="") for name in "abc"))
    done = shell.run()
    assert done.returncode == 0 and shell.authority.token_requests == 1
    assert [line for line in done.stdout.splitlines() if "on the route" in line] == [
        f"✓ {name}@contoso.example on the route exchange" for name in "abc"
    ]
    assert "Get-MailboxPermission each mailbox" in done.stdout


def test_what_is_wrong_for_all_mailboxes_is_told_once(shell: Shell) -> None:
    with_mailboxes(shell, *(MAILBOX.format(name=name, keys="") for name in "abc"))
    shell.authority.orders.object_id = ""
    done = shell.run()
    assert done.returncode == 1 and done.stdout.count("no enterprise application") == 1
    assert done.stdout.count("✗ a@contoso.example on the route") == 1


def test_a_mailbox_is_chosen_by_name(shell: Shell) -> None:
    with_mailboxes(shell, *(MAILBOX.format(name=name, keys="") for name in "abc"))
    (report,) = json.loads(shell.run("--mailbox", "B@contoso.example", "--json").stdout)["applications"]
    assert [each["mailbox"] for each in report["mailboxes"]] == ["b@contoso.example"]
    done = shell.run("--mailbox", "z@contoso.example")
    assert done.returncode == 78 and 'no mailbox "z@contoso.example"' in done.stderr
    assert "a@contoso.example, b@contoso.example, c@contoso.example" in done.stderr


def test_of_two_applications_the_worse_decides(shell: Shell) -> None:
    (shell.folder / "wrong").write_text("wrong")
    (shell.folder / "wrong").chmod(0o600)
    own = f"""
[route.mailbox.oauth]
tenant = "{TENANT}"
client_id = "{CLIENT}"
client_secret_file = "wrong"
authority = "{shell.authority.base}"
ca_file = "{shell.authority.ca_file}"
"""
    with_mailboxes(shell, MAILBOX.format(name="a", keys=""), MAILBOX.format(name="b", keys=own))
    done = shell.run()
    assert done.returncode == 78 and "AADSTS7000215" in done.stdout
    assert "✓ a@contoso.example" in done.stdout and "✗ b@contoso.example" in done.stdout
    assert shell.run("--mailbox", "a@contoso.example").returncode == 0


GRAPH = """
[graph]
tenant = "{tenant}"
client_id = "{client}"
client_secret_file = "secret"
authority = "{authority}"
ca_file = "{ca_file}"
"""


def with_graph(shell: Shell, rest: str = "", *, directory: bool = True) -> None:
    """Asked for the directory, if anything."""
    authority = shell.authority
    text = GRAPH.format(tenant=TENANT, client=CLIENT, authority=authority.base, ca_file=authority.ca_file)
    shell.write(rest=text + rest)
    file = shell.folder / "relay.toml"
    if directory:
        file.write_text(file.read_text().replace("[[route]]", 'recipients = "graph"\n[[route]]', 1))


def asking(shell: Shell) -> None:
    """The route asks the message trace."""
    file = shell.folder / "relay.toml"
    file.write_text(file.read_text().replace('name = "exchange"', 'name = "exchange"\nuncertain = "ask"'))


@pytest.mark.parametrize(
    "roles",
    [
        ("Directory.Read.All",),
        ("Directory.ReadWrite.All",),
        ("User.Read.All", "Group.Read.All", "OrgContact.Read.All"),
    ],
)
def test_the_token_for_graph_has_the_role_for_the_directory(shell: Shell, roles: tuple[str, ...]) -> None:
    with_graph(shell)
    shell.authority.orders.roles = ("SMTP.SendAsApp", *roles)
    done = shell.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ the directory (tenant.recipients): the token has the role for it" in done.stdout
    assert "https://graph.microsoft.com/.default" in done.stdout
    assert "the message trace: nothing here asks for it" in done.stdout
    assert "service principal of its own" not in done.stdout


def test_a_role_that_the_token_for_graph_lacks_is_named(shell: Shell) -> None:
    with_graph(shell)
    asking(shell)
    done = shell.run()
    assert done.returncode == 1
    assert "✗ the directory (tenant.recipients): the token lacks the role Directory.Read.All" in done.stdout
    assert (
        "✗ the message trace (route exchange): the token lacks the role ExchangeMessageTrace.Read.All"
        in done.stdout
    )
    shell.authority.orders.roles = ("User.Read.All", "ExchangeMessageTrace.Read.All")
    done = shell.run()
    assert done.returncode == 1 and "lacks the roles Group.Read.All and OrgContact.Read.All" in done.stdout
    assert "✓ the message trace (route exchange)" in done.stdout


def test_what_a_token_for_graph_does_not_show_is_said_once_it_is_good(shell: Shell) -> None:
    with_graph(shell, directory=False)
    asking(shell)
    shell.authority.orders.roles = ("SMTP.SendAsApp", "ExchangeMessageTrace.Read.All")
    done = shell.run()
    assert done.returncode == 0 and "service principal of its own" in done.stdout
    graph = json.loads(shell.run("--json").stdout)["graph"]
    assert graph["roles"] == ["SMTP.SendAsApp", "ExchangeMessageTrace.Read.All"]
    assert graph["uses"] == [
        {"what": "the directory", "wanted_by": [], "lacks": ["Directory.Read.All"]},
        {"what": "the message trace", "wanted_by": ["route exchange"], "lacks": []},
    ]


def test_a_token_that_is_not_for_graph_is_found(shell: Shell) -> None:
    with_graph(shell, rest='scope = "https://outlook.office365.com/.default"')
    shell.authority.orders.roles = ("SMTP.SendAsApp", "Directory.Read.All")
    done = shell.run()
    assert done.returncode == 1 and "set graph.scope to https://graph.microsoft.com/.default" in done.stdout


def test_graph_is_tried_without_any_route_that_logs_in_so_and_not_beside_one_that_is_named(
    shell: Shell,
) -> None:
    with_graph(shell)
    shell.authority.orders.roles = ("Directory.Read.All",)
    assert shell.run("--route", "exchange").returncode == 0 and shell.authority.token_requests == 1
    file = shell.folder / "relay.toml"
    text = file.read_text()
    oauth = text[text.index("[route.oauth]") : text.index("[graph]")]
    (shell.folder / "password").write_text("secret of the mailbox")
    (shell.folder / "password").chmod(0o600)
    file.write_text(text.replace(oauth, 'password_file = "password"\n'))
    done = shell.run()
    assert done.returncode == 0 and "✓ the directory" in done.stdout, done.stdout + done.stderr


def test_a_wrong_secret_of_graph_is_a_wrong_configuration(shell: Shell) -> None:
    with_graph(shell)
    file = shell.folder / "relay.toml"
    head, mark, rest = file.read_text().partition("[graph]")
    file.write_text(head + mark + rest.replace('"secret"', '"wrong"'))
    (shell.folder / "wrong").write_text("wrong")
    (shell.folder / "wrong").chmod(0o600)
    done = shell.run()
    assert done.returncode == 78 and "AADSTS7000215" in done.stdout and "✓ orders@" in done.stdout


def test_a_secret_that_ends_is_warned_of(shell: Shell) -> None:
    shell.write(oauth="client_secret_expires = 2020-01-31")
    done = shell.run()
    assert done.returncode == 0 and "ended on 2020-01-31" in done.stdout
