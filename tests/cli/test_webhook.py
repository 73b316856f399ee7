"""`webhook`: list, status, test, replay and skip, without a relay that runs."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from relay.webhook.look import begun
from relay.webhook.position import Order, Position, PositionFile
from tests.cli.test_main import Shell
from tests.trace.history.sample import Telling

SECRET = f"whsec_{b64encode(b's' * 32).decode()}"
HOOK = """
[[webhook]]
name = "crm"
url = "http://127.0.0.1:9/events?key=hidden"
secret_file = "secret"
events = ["delivered", "held"]
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    made.file.write_text(made.file.read_text() + HOOK)
    (tmp_path / "spool").mkdir(exist_ok=True)
    return made


@pytest.fixture
def telling(tmp_path: Path, shell: Shell) -> Telling:
    """Three steps of a mail: two delivered, one put off."""
    made = Telling(tmp_path / "spool" / "history.db")
    mail = made.queued("a@e.net", "b@e.net", "c@e.net")
    made.write(mail, made.delivered(mail, "a@e.net", "b@e.net"), made.deferred(mail, "c@e.net"))
    return made


def file(shell: Shell) -> PositionFile:
    return PositionFile(shell.file.parent / "spool" / "webhooks", "crm")


def order(shell: Shell) -> Order:
    found = file(shell).order()
    assert found is not None
    return found


def test_they_are_listed_without_what_is_secret(shell: Shell) -> None:
    line = json.loads(shell.run("webhook", "list", "--json").stdout)
    assert line == {
        "name": "crm", "url": "http://127.0.0.1:9/events?…", "events": ["delivered", "held"], "routes": [], "clients": [],
    }  # fmt: skip
    both = shell.run("webhook", "list").stdout + shell.run("check-config").stdout
    assert "crm" in both and "hidden" not in both and SECRET not in both


def test_the_status_says_what_waits_and_what_was_answered(shell: Shell, telling: Telling) -> None:
    assert json.loads(shell.run("webhook", "status", "--json").stdout)["state"] == "not begun"
    start = begun(telling.path, from_start=True)
    file(shell).write(start)
    line = json.loads(shell.run("webhook", "status", "--json").stdout)
    assert (line["state"], line["waiting"], line["waiting_since"]) == ("behind", 2, 1_800_000_000.0)
    file(shell).write(begun(telling.path, from_start=False))
    assert json.loads(shell.run("webhook", "status", "--json").stdout)["state"] == "up to date"
    failing = Position(
        start.history, start.runs, failures=3, answer="it answered 500", tried_at=1.8e9, next_at=1.8e9 + 60
    )
    file(shell).write(failing)
    done = shell.run("webhook", "status")
    assert done.returncode == 1 and "failing" in done.stdout and "500" in done.stdout


def test_a_ping_that_nobody_takes_says_why(shell: Shell) -> None:
    done = shell.run("webhook", "test", "crm")
    assert done.returncode == 1 and "did not take a signed ping: cannot reach 127.0.0.1" in done.stdout


def test_replay_goes_back_to_a_time_and_skip_to_the_end(shell: Shell, telling: Telling) -> None:
    telling.clock.advance(3_600)
    mail = telling.queued()
    telling.write(mail, telling.delivered(mail))
    assert shell.run("webhook", "replay", "crm", "--since", "2027-01-15T08:30+00:00", "--yes").returncode == 0
    assert (order(shell).do, order(shell).cursor) == ("replay", 3)
    first = order(shell)
    assert first.by
    assert shell.run("webhook", "skip", "crm", "--yes").returncode == 0
    assert (order(shell).do, order(shell).cursor) == ("skip", 4) and order(shell).id != first.id


def test_nothing_is_moved_without_a_yes(shell: Shell, telling: Telling) -> None:
    done = shell.run("webhook", "skip", "crm")
    assert done.returncode == 1 and "never told" in done.stderr
    assert file(shell).order() is None


@pytest.mark.parametrize(
    "arguments", [("test", "erp"), ("skip", "erp", "-y"), ("replay", "erp", "--since", "1h", "-y")]
)
def test_a_webhook_that_is_not_there_is_told_with_those_that_are(
    shell: Shell, telling: Telling, arguments: tuple[str, ...]
) -> None:
    done = shell.run("webhook", *arguments)
    assert done.returncode == 78 and 'no webhook "erp"; there are crm' in done.stderr


def test_without_any_the_commands_say_so(tmp_path: Path) -> None:
    done = Shell(tmp_path).run("webhook", "status")
    assert done.returncode == 78 and "there is no [[webhook]]" in done.stderr
