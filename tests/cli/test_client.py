"""`m365-relay client …`, as a shell sees it."""

import json
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relay.budget.ring import Counted, Per, Quota
from relay.config.read import read
from relay.identity.client import Client, Password
from relay.identity.password import matches
from relay.smtp.scram import verifier_of
from tests.config.test_read import LEAST

IN_FILE = '[[client]]\nname = "printer"\nnetworks = ["10.0.0.7/32"]\nsenders = ["example.com"]\n'


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "clients.jsonl"
        (folder / "relay.toml").write_text(LEAST + IN_FILE)

    def run(self, *arguments: str, status: int = 0) -> str:
        """What it prints, to standard error when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "relay.cli.main", "client", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"},
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    def client(self, name: str) -> Client:
        clients = read(self.folder / "relay.toml", time.time()).clients.clients
        return next(each for each in clients if each.name == name)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def fits(word: Password, password: str) -> bool:
    assert word.scram is not None
    return matches(word.hash, password.encode()) and word.scram == verifier_of(password, word.scram.salt)


def test_a_client_is_added_and_its_password_shown_once(shell: Shell) -> None:
    report = json.loads(shell.run("add", "erp", "--sender", "example.com", "--sender", "<>", "--json"))
    assert (report["name"], report["username"], len(report["password"])) == ("erp", "erp", 32)
    client = shell.client("erp")
    assert client.policy.senders == client.policy.authors == ("example.com", "<>")
    (word,) = client.passwords
    assert word.until is None and fits(word, report["password"])
    assert report["password"] not in shell.file.read_text()
    assert stat.S_IMODE(shell.file.stat().st_mode) == 0o600
    assert report["password"] not in shell.run("list") + shell.run("list", "--json")


def test_people_are_told_what_to_do_next(shell: Shell) -> None:
    said = shell.run("add", "erp", "--username", "erp@example.com")
    assert "username: erp@example.com" in said and "password: " in said
    assert "shown this once" in said and "reload" in said


def test_a_client_without_a_login_gets_no_password(shell: Shell) -> None:
    report = json.loads(
        shell.run("add", "web", "--network", "10.1.0.0/16", "--certificate-name", "Web.example.com",
                  "--from", "*.example.com", "--json")
    )  # fmt: skip
    assert report["password"] is None
    client = shell.client("web")
    assert (client.passwords, client.networks, client.certificates) == (
        (),
        ("10.1.0.0/16",),
        ("web.example.com",),
    )
    assert (client.policy.senders, client.policy.authors) == (None, ("*.example.com",))
    assert "has no username" in shell.run("rotate", "web", status=78)


def test_rotating_keeps_the_old_password_for_a_while(shell: Shell) -> None:
    old = json.loads(shell.run("add", "erp", "--json"))["password"]
    before = time.time()
    new = json.loads(shell.run("rotate", "erp", "--grace", "1h", "--json"))["password"]
    first, second = shell.client("erp").passwords
    assert fits(first, new) and first.until is None
    assert fits(second, old) and second.until is not None and before + 3590 < second.until < before + 3700
    # SCRAM tells a client one salt, whichever of the two passwords it has.
    assert first.scram is not None and second.scram is not None and first.scram.salt == second.scram.salt
    for _ in range(4):
        shell.run("rotate", "erp")
    assert len(shell.client("erp").passwords) == 3
    report = json.loads(shell.run("rotate", "erp", "--grace", "0s", "--json"))
    assert report["old_until"] is None
    (only,) = shell.client("erp").passwords
    assert fits(only, report["password"])


def test_a_client_is_disabled_and_enabled(shell: Shell) -> None:
    shell.run("add", "erp")
    shell.run("disable", "erp")
    assert shell.client("erp").is_disabled
    assert json.loads(shell.run("list", "--json"))[1]["disabled"] is True
    shell.run("enable", "erp")
    assert not shell.client("erp").is_disabled


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("add", "printer"), 78, "there is a client printer already"),
        (("add", "two", "--network", "10.0.0.7/32"), 78, "nothing was changed: "),
        (("add", "a b"), 64, "write a name of letters"),
        (("add", "a", "--network", "10.0.0.1/8"), 64, "--network"),
        (("add", "a", "--sender", "a@"), 64, "--sender"),
        (("rotate", "nobody"), 78, "there is no client nobody"),
        (("rotate", "printer"), 78, "change it there"),
        (("disable", "printer"), 78, "change it there"),
        (("rotate", "printer", "--grace", "soon"), 64, "--grace"),
    ],
)
def test_what_cannot_be_is_told(shell: Shell, arguments: tuple[str, ...], status: int, said: str) -> None:
    assert said in shell.run(*arguments, status=status)
    assert not shell.file.exists()


def test_those_who_edit_at_once_lose_nothing(shell: Shell) -> None:
    names = [f"client{number}" for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: shell.run("add", name), names))
    listed = json.loads(shell.run("list", "--json"))
    assert sorted(each["name"] for each in listed) == [*names, "printer"]
    assert [each.name for each in shell.folder.iterdir() if "clients" in each.name] == ["clients.jsonl"]


def test_a_client_is_added_with_rules(shell: Shell) -> None:
    rules = ("recipients=partner.example, b@example.net", "message_size=10 MB", "messages_per_hour=100")
    shell.run("add", "erp", "--sender", "example.com", *(word for rule in rules for word in ("--rule", rule)))
    policy = shell.client("erp").policy
    assert policy.recipients == ("partner.example", "b@example.net")
    assert policy.message_bytes == 10_000_000
    assert policy.quotas == (Quota(Counted.MESSAGES, Per.HOUR, 100),)
    row = next(row for row in json.loads(shell.run("list", "--json")) if row["name"] == "erp")
    assert row["rules"] == {
        "recipients": "partner.example, b@example.net",
        "message_size": "10000000 bytes",
        "messages_per_hour": "100",
    }
    assert "messages_per_hour 100" in shell.run("list")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("messages=1", "write KEY=VALUE with one of recipients, routes,"),
        ("messages_per_hour=many", "must be a whole number"),
        ("name=other", "write KEY=VALUE"),
    ],
)
def test_a_rule_that_there_is_not_changes_nothing(shell: Shell, rule: str, said: str) -> None:
    assert said in " ".join(shell.run("add", "erp", "--rule", rule, status=64).split())
    assert not shell.file.exists()


def test_a_rule_that_names_no_route_changes_nothing(shell: Shell) -> None:
    said = shell.run("add", "erp", "--sender", "example.com", "--rule", "routes=moon", status=78)
    assert 'names no route: "moon"' in said
    assert not shell.file.exists()


APP, USER = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "77777777-8888-4777-8666-555555555555"


def test_a_client_that_has_tokens_gets_no_password(shell: Shell) -> None:
    said = shell.run("add", "shop", "--oauth-app", APP, status=78)
    assert "nothing was changed" in said and "add [oauth_inbound]" in said
    with open(shell.folder / "relay.toml", "a") as file:
        file.write(f'[oauth_inbound]\ntenant = "{APP}"\naudiences = ["api://relay"]\n')
    said = shell.run("add", "shop", "--oauth-app", APP.upper(), "--sender", "example.com")
    assert "Added the client shop (tokens of its application)." in said and "password" not in said
    report = json.loads(
        shell.run("add", "bob", "--oauth-app", APP, "--oauth-user", USER, "--username", "bob", "--json")
    )
    assert report["username"] == "bob" and report["password"]
    shop, bob = shell.client("shop"), shell.client("bob")
    assert (shop.oauth_app, shop.oauth_users, shop.passwords) == (APP, (), ())
    assert (bob.oauth_app, bob.oauth_users, len(bob.passwords)) == (APP, (USER,), 1)
    rows = json.loads(shell.run("list", "--json"))
    assert [(row["oauth_app"], row["oauth_users"]) for row in rows] == [("", []), (APP, []), (APP, [USER])]
    listed = " ".join(shell.run("list").split())
    assert "tokens of the application" in listed
    assert "there is a client" in shell.run("add", "shop", "--oauth-app", USER, status=78)
    assert "is that of" in shell.run("add", "other", "--oauth-app", APP, status=78)
    assert "--oauth-app: write the id" in shell.run("add", "other", "--oauth-app", "shop", status=64)
