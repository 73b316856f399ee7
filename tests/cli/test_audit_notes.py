"""What commands do that change something is recorded, with who did it and without whom it is about."""

import json
from pathlib import Path

import pytest

from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from tests.cli.test_main import Shell
from tests.trace.history.sample import Telling

ANNA = "anna@example.net"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.file.write_text(made.file.read_text() + '\n[audit]\npath = "audit"\n')
    Store.open(SpoolOptions(path=tmp_path / "spool")).close()
    return made


def rows(shell: Shell) -> list[dict[str, object]]:
    """What the log holds, but for how it is chained."""
    lines = map(json.loads, (shell.folder / "audit" / "audit.jsonl").read_text().splitlines())
    chain = ("seq", "prev", "time", "hash", "process")
    return [{key: value for key, value in line.items() if key not in chain} for line in lines if "by" in line]


def done(shell: Shell, *arguments: str) -> dict[str, object]:
    """The one row that a command adds."""
    before = rows(shell) if (shell.folder / "audit" / "audit.jsonl").exists() else []
    shown = shell.run(*arguments)
    assert shown.returncode in (0, 1), shown.stderr
    added = rows(shell)[len(before) :]
    assert len(added) == 1, added
    assert added[0].pop("by")
    return added[0]


def test_changes_of_the_suppression_list(shell: Shell) -> None:
    added = done(shell, "suppression", "add", ANNA, "bob@Example.org", "--reason", "left us")
    assert str(added.pop("until")).endswith("Z")
    assert added == {
        "event": "suppression_changed", "action": "add", "addresses": 2,
        "domains": ["example.net", "example.org"], "reason": "left us",
    }  # fmt: skip
    assert done(shell, "suppression", "remove", ANNA, "nobody@example.net") == {
        "event": "suppression_changed", "action": "remove", "addresses": 2,
        "domains": ["example.net"], "missing": 1,
    }  # fmt: skip
    (shell.folder / "list.csv").write_text("a@example.com\nb@example.com\n")
    assert done(shell, "suppression", "import", "list.csv") == {
        "event": "suppression_changed", "action": "import", "addresses": 2,
        "domains": ["example.com"], "file": "list.csv",
    }  # fmt: skip
    assert "anna" not in (shell.folder / "audit" / "audit.jsonl").read_text()


def test_a_compaction(shell: Shell) -> None:
    row = done(shell, "spool", "compact")
    assert row["event"] == "spool_compacted" and row["mails"] == 0
    assert isinstance(row["before_bytes"], int) and isinstance(row["after_bytes"], int)


def test_an_erasure_without_the_person(shell: Shell) -> None:
    telling = Telling(shell.folder / "spool" / "history.db")
    telling.write(telling.queued(ANNA))
    telling.writer.close()
    row = done(shell, "trace", "erase", ANNA, "--yes")
    person = str(row.pop("person"))
    assert row == {"event": "history_erased", "mails": 1, "steps": 0}
    assert person.startswith("#") and "anna" not in (shell.folder / "audit" / "audit.jsonl").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("suppression", "add", ANNA),
        ("suppression", "remove", ANNA),
        ("spool", "compact"),
        ("trace", "erase", ANNA, "--yes"),
    ],
)
def test_nothing_is_changed_where_it_cannot_be_recorded(shell: Shell, arguments: tuple[str, ...]) -> None:
    telling = Telling(shell.folder / "spool" / "history.db")
    telling.write(telling.queued(ANNA))
    telling.writer.close()
    (shell.folder / "audit").write_text("no folder")
    shown = shell.run(*arguments)
    assert shown.returncode == 78 and "audit" in shown.stderr
    assert telling.find(recipient=ANNA) and shell.run("suppression", "export").stdout.count("\n") == 1
