"""`suppression`: list, add, remove, import, export, beside a spool."""

import csv
import json
import time
from pathlib import Path

import pytest

from relay.spool.change import Suppress
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from relay.spool.suppressed import Suppressed
from tests.cli.test_main import Shell

DAY = 86_400


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    Store.open(SpoolOptions(path=tmp_path / "spool")).close()
    return made


def listed(shell: Shell) -> dict[str, tuple[float, str]]:
    """Addresses with days left and reply."""
    lines = map(json.loads, shell.run("suppression", "list", "--json").stdout.splitlines())
    return {line["address"]: (round((line["until"] - time.time()) / DAY, 1), line["reply"]) for line in lines}


def test_what_is_added_is_listed_and_what_is_removed_is_not(shell: Shell) -> None:
    assert "every address" in shell.run("suppression", "list").stdout
    done = shell.run(
        "suppression", "add", "Bob@example.net", "rob@example.net", "--for", "30d", "--reason", "left us"
    )
    assert done.returncode == 0 and "2 addresses" in done.stdout
    assert listed(shell) == {"bob@example.net": (30.0, "left us"), "rob@example.net": (30.0, "left us")}
    assert shell.run("suppression", "remove", "BOB@example.net").returncode == 0
    assert listed(shell).keys() == {"rob@example.net"}
    missing = shell.run("suppression", "remove", "bob@example.net", "rob@example.net")
    assert missing.returncode == 1 and "bob@example.net was not suppressed" in missing.stderr
    assert listed(shell) == {}


def test_the_time_is_that_of_the_configuration_or_two_weeks(shell: Shell) -> None:
    shell.run("suppression", "add", "a@example.net")
    shell.file.write_text(shell.file.read_text() + '\n[report]\nsuppress = "3d"\n')
    shell.run("suppression", "add", "b@example.net")
    assert listed(shell) == {"a@example.net": (14.0, "by hand"), "b@example.net": (3.0, "by hand")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "nobody"), '"nobody" is no address'),
        (("add", "a@b.test", "--for", "soon"), "--for soon"),
        (("import", "gone.csv"), "gone.csv cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_words(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    done = shell.run("suppression", *arguments)
    assert done.returncode == 78 and words in done.stderr
    assert listed(shell) == {}


def test_what_is_exported_can_be_imported(shell: Shell) -> None:
    now = time.time()
    store = Store.open(SpoolOptions(path=shell.folder / "spool"))
    rows = (
        (b"a@example.net", Suppressed(now, now + DAY, '550 5.1.1 no, "never"')),
        ("ü@example.net".encode(), Suppressed(now, now + 2 * DAY, "550 no")),
        (b"over@example.net", Suppressed(now - 2, now - 1, "550 no")),
    )
    store.apply([Suppress(rows)])
    store.close()
    before = listed(shell)
    exported = shell.run("suppression", "export").stdout
    assert [line[0] for line in csv.reader(exported.splitlines())] == [
        "address",
        "a@example.net",
        "ü@example.net",
    ]
    (shell.folder / "list.csv").write_text(exported)
    shell.run("suppression", "remove", "a@example.net", "ü@example.net")
    assert "2 addresses were entered" in shell.run("suppression", "import", "list.csv").stdout
    assert listed(shell) == before


def test_a_list_of_bare_addresses_is_taken_and_one_wrong_line_stops_all(shell: Shell) -> None:
    (shell.folder / "plain.txt").write_text("a@example.net\n\nb@example.net\n")
    assert shell.run("suppression", "import", "plain.txt", "--for", "1d").returncode == 0
    assert listed(shell) == {"a@example.net": (1.0, "by hand"), "b@example.net": (1.0, "by hand")}
    (shell.folder / "wrong.txt").write_text("c@example.net\nnobody\n")
    done = shell.run("suppression", "import", "wrong.txt")
    assert done.returncode == 78 and 'wrong.txt, line 2: "nobody" is no address' in done.stderr
    (shell.folder / "times.csv").write_text("c@example.net,yesterday\n")
    assert "times.csv, line 1" in shell.run("suppression", "import", "times.csv").stderr
    assert listed(shell).keys() == {"a@example.net", "b@example.net"}


EVIL = "550 5.1.1 no\x1b[2J\x9b such\r\n250 ok"


def test_what_is_entered_by_hand_ends_no_line_and_moves_no_terminal(shell: Shell) -> None:
    assert shell.run("suppression", "add", "a@example.net", "--reason", EVIL).returncode == 0
    (shell.folder / "in.csv").write_text('b@example.net,,,"' + EVIL + '"\nc@example.net,,,' + "x" * 5_000)
    assert shell.run("suppression", "import", str(shell.folder / "in.csv")).returncode == 0
    replies = {address: reply for address, (_, reply) in listed(shell).items()}
    assert replies["a@example.net"] == replies["b@example.net"] == "550 5.1.1 no [2J such 250 ok"
    assert replies["c@example.net"] == "x" * 300


def test_what_is_over_is_not_entered_and_that_is_said(shell: Shell) -> None:
    (shell.folder / "in.csv").write_text("a@example.net,2020-01-01,2020-02-01,no\nb@example.net\n")
    done = shell.run("suppression", "import", str(shell.folder / "in.csv"))
    assert "1 addresses were entered, 1 not: their time is over" in done.stdout
    assert listed(shell).keys() == {"b@example.net"}


def test_an_argument_that_is_no_text_is_wrong_usage(shell: Shell) -> None:
    for action in ("add", "remove"):
        done = shell.run("suppression", action, "\udcff@example.net")
        assert done.returncode == 64 and "not text" in done.stderr and "Traceback" not in done.stderr
    assert listed(shell) == {}
