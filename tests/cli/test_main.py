"""The commands, as a shell sees them: output and exit status."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.queue_id import QueueIdSource, format_id
from relay.message.uncertain import Uncertain
from relay.spool.change import Accept, RecipientState, Record, Status
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from tests.fakes.clock import FakeClock
from tests.process.relay import descendants, is_alive, wait_until

CONFIGURATION = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
[[route]]
name = "smarthost"
host = "smtp.example.net"
username = "u"
password_file = "secret"
"""


class Shell:
    """Runs commands in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "relay.toml"
        self.file.write_text(CONFIGURATION)
        (folder / "secret").write_text("opensesame\n")
        (folder / "secret").chmod(0o600)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "160"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "relay.cli.main", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
            cwd=self.folder,
        )
        assert "opensesame" not in done.stdout + done.stderr
        return done


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def mails(shell: Shell) -> list[int]:
    """Three mails in the spool: queued, deferred, held."""
    store = Store.open(SpoolOptions(path=shell.folder / "spool"))
    source = QueueIdSource(0, FakeClock(time.time()))
    ids = [source.next() for _ in range(3)]
    recipients = (Recipient(b"b@example.net", "smarthost"),)
    for id in ids:
        envelope = Envelope(
            id=id, sender=b"a@example.com", recipients=recipients, received_at=time.time(), size=5, chunks=1,
            client="::1",
        )  # fmt: skip
        store.apply([Accept(envelope, b"Hello")])
    deferred = RecipientState(Status.QUEUED, 1, time.time() + 60, "451 4.3.0 later")
    store.apply(
        [Record(ids[1], (deferred,)), Record(ids[2], (RecipientState(Status.HELD, 1, 0.0, "550 no"),))]
    )
    store.close()
    return ids


def test_help_names_every_command_and_the_exit_statuses(shell: Shell) -> None:
    shown = shell.run("--help")
    assert shown.returncode == 0
    for word in ("serve", "demo", "check-config", "queue", "spool", "version", "78"):
        assert word in shown.stdout


def test_version_is_said(shell: Shell) -> None:
    assert shell.run("version").stdout.startswith("m365-relay ")
    assert json.loads(shell.run("version", "--json").stdout).keys() == {"version"}


@pytest.mark.parametrize("arguments", [("queue", "lst"), ("serve", "--conf"), ("demo", "--mails", "0")])
def test_wrong_usage_is_64(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.run(*arguments).returncode == 64


def test_check_config_shows_what_is_in_force(shell: Shell) -> None:
    shown = shell.run("check-config")
    assert shown.returncode == 0
    for word in ("relay.toml", "route[0].host", "smtp.example.net", "limits.message_size", "150 MiB", "good"):
        assert word in shown.stdout


def test_check_config_speaks_json(shell: Shell) -> None:
    report = json.loads(shell.run("check-config", "--json").stdout)
    assert (report["problems"], report["warnings"]) == ([], [])
    assert report["in_force"]["route[0].password"] == "is set"


def test_check_config_shows_rewritings_and_priorities(shell: Shell) -> None:
    shell.file.write_text(CONFIGURATION + '[[rewrite]]\nsenders = ["local"]\nto = "s@contoso.com"\n')
    shown = json.loads(shell.run("check-config", "--json").stdout)["in_force"]
    assert (shown["rewrite[0].senders"], shown["rewrite[0].to"]) == ("local", "s@contoso.com")
    assert (shown["rewrite[0].from_field"], shown["listener[0].priority_max"]) == ("true", "high")


def test_check_config_tells_all_problems_and_is_78(shell: Shell) -> None:
    shell.file.write_text(CONFIGURATION + 'prot = 25\ntls = "ssl"\n')
    shown = shell.run("check-config")
    assert shown.returncode == 78
    assert "2 problems" in shown.stderr and 'did you mean "port"?' in shown.stderr
    report = json.loads(shell.run("check-config", "--json").stdout)
    assert len(report["problems"]) == 2


def test_a_command_without_a_configuration_says_where_it_looked(shell: Shell) -> None:
    shell.file.unlink()
    shown = shell.run("queue", "list")
    assert shown.returncode == 78
    assert "--config" in shown.stderr and "Traceback" not in shown.stderr


def test_the_queue_is_listed(shell: Shell, mails: list[int]) -> None:
    shown = shell.run("queue", "list")
    assert shown.returncode == 0
    for word in (format_id(mails[0]), "queued", "deferred", "held", "451 4.3.0 later", "b@example.net"):
        assert word in shown.stdout


def test_the_queue_is_listed_for_programs(shell: Shell, mails: list[int]) -> None:
    lines = [json.loads(line) for line in shell.run("queue", "list", "--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == [format_id(id) for id in mails]
    assert [line["recipients"][0]["status"] for line in lines] == ["queued", "deferred", "held"]
    assert {(line["priority"], line["campaign"], line["original_sender"]) for line in lines} == {
        ("normal", "", None)
    }


def test_the_queue_says_what_a_mail_is_worth_and_whose_it_was(shell: Shell) -> None:
    store = Store.open(SpoolOptions(path=shell.folder / "spool"))
    mail = Envelope(
        7, b"s@contoso.com", (Recipient(b"b@c", "r"),), time.time(), 5, 1, "::1",
        priority=Priority.BULK, campaign="May", original_sender=b"p@local", uncertain=Uncertain.HOLD,
    )  # fmt: skip
    store.apply([Accept(mail, b"Hello")])
    store.close()
    shown = shell.run("queue", "list").stdout
    for word in ("bulk", "May", "s@contoso.com", "(was p@local)"):
        assert word in shown
    line = json.loads(shell.run("queue", "list", "--json").stdout)
    assert (line["priority"], line["campaign"], line["uncertain"]) == ("bulk", "May", "hold")
    assert (line["sender"], line["original_sender"]) == ("s@contoso.com", "p@local")


def test_the_queue_says_when_a_mail_may_go(shell: Shell) -> None:
    store = Store.open(SpoolOptions(path=shell.folder / "spool"))
    now = time.time()
    for id, not_before, deadline in ((7, now + 3_600, now + 7_200), (8, now - 3_600, 0.0)):
        mail = Envelope(
            id, b"s@c", (Recipient(b"b@c", "r"),), now, 5, 1, "::1", not_before=not_before, deadline=deadline
        )
        store.apply([Accept(mail, b"Hello")])
    store.close()
    shown = shell.run("queue", "list").stdout
    assert shown.count("not before") == 1 and shown.count("until") == 1
    first, second = (json.loads(line) for line in shell.run("queue", "list", "--json").stdout.splitlines())
    assert (first["not_before"], first["deadline"]) == (now + 3_600, now + 7_200)
    assert (second["not_before"], second["deadline"]) == (now - 3_600, None)


@pytest.mark.parametrize(
    ("options", "found"), [(("--held",), [2]), (("--deferred",), [1]), (("--limit", "2"), [0, 1])]
)
def test_the_queue_is_narrowed(
    shell: Shell, mails: list[int], options: tuple[str, ...], found: list[int]
) -> None:
    lines = shell.run("queue", "list", "--json", *options).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [format_id(mails[i]) for i in found]


def test_a_queue_that_is_not_there_is_one_sentence(shell: Shell) -> None:
    shown = shell.run("queue", "list")
    assert shown.returncode == 78
    assert shown.stderr.startswith("m365-relay: ") and shown.stderr.count("\n") == 1


def test_a_whole_spool_is_found_whole(shell: Shell, mails: list[int]) -> None:
    shown = shell.run("spool", "check")
    assert shown.returncode == 0
    assert "3 mails" in shown.stdout and "0 problems" in shown.stdout


def test_a_damaged_record_is_found(shell: Shell, mails: list[int]) -> None:
    file = shell.folder / "spool" / "data.mdb"
    data = file.read_bytes()
    assert data.count(b"Hello") >= 3
    file.write_bytes(data.replace(b"Hello", b"Hallo"))
    shown = shell.run("spool", "check", "--json")
    assert shown.returncode == 1
    assert json.loads(shown.stdout)["problems_total"] == 3


def test_a_spool_is_compacted(shell: Shell, mails: list[int]) -> None:
    shown = shell.run("spool", "compact")
    assert shown.returncode == 0, shown.stderr
    assert "3 mails, all verified" in shown.stdout


def test_a_spool_in_use_is_not_compacted(shell: Shell, mails: list[int]) -> None:
    store = Store.open(SpoolOptions(path=shell.folder / "spool"))
    shown = shell.run("spool", "compact")
    store.close()
    assert shown.returncode == 78
    assert "is a relay running on this spool?" in shown.stderr


def test_a_demo_comes_out_as_planned(shell: Shell) -> None:
    shown = shell.run("demo", "--mails", "60", "--remove")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "all that may leave has left, once and unaltered, and the rest waits" in shown.stdout


def test_a_demo_for_programs_is_one_object(shell: Shell) -> None:
    shown = shell.run("demo", "--mails", "40", "--json")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    (line,) = shown.stdout.splitlines()
    summary = json.loads(line)
    assert summary["is_as_expected"] and summary["problems"] == []
    assert summary["delivered"] + sum(each["mails"] for each in summary["waiting"]) == summary["mails"]
    assert [each["leaves_in_s"] is None for each in summary["waiting"]] == [True, False]
    folder = Path(summary["folder"])
    assert {"relay.toml", "relay.log", "metrics.txt", "spool"} <= {each.name for each in folder.iterdir()}
    shutil.rmtree(folder)


def test_a_demo_that_is_ended_leaves_no_process(shell: Shell) -> None:
    command = [sys.executable, "-m", "relay.cli.main", "demo", "--mails", "4000"]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=shell.environment)
    try:
        # Simulator, supervisor, deliverer, a receiver.
        wait_until(lambda: len(descendants(demo.pid)) >= 4)
        children = descendants(demo.pid)
        demo.terminate()
        _, said = demo.communicate(timeout=60)
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.communicate()
    assert demo.returncode == 1 and b"stopped; " in said
    assert not any(map(is_alive, children))
    shutil.rmtree(said.decode().rpartition(" ")[2].strip())
