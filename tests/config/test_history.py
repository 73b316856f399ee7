"""[history]: where it lies, how long it is kept, and how much of people."""

from pathlib import Path
from typing import get_args

import pytest

from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.config.value import KeptWord
from relay.process import assignment
from relay.process.assignment import Assignment
from relay.trace.history.options import HistoryOptions, Kept

LEAST = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
"""


def configured(folder: Path, history: str = "") -> Configuration:
    (folder / "relay.toml").write_text(LEAST + history)
    return read(folder / "relay.toml", 1.8e9)


def test_without_a_word_it_is_kept_in_the_spools_folder(tmp_path: Path) -> None:
    assert configured(tmp_path).history == HistoryOptions(tmp_path / "spool" / "history.db")


def test_every_key_is_in_force(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        '[history]\nenabled = false\npath = "elsewhere/trace.db"\nkeep = "7d"\nmax_size = "1 GiB"\n'
        'recipients = "hashed"\nsubject = true\nqueued_max = 9\n',
    ).history
    assert found == HistoryOptions(
        tmp_path / "elsewhere/trace.db", False, 604_800.0, 2**30, Kept.HASHED, True, 9
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            'recipients = "none"',
            'history.recipients: must be one of "full", "hashed" or "domain"; found "none"',
        ),
        ('max_size = "1 MiB"', "history.max_size: must be at least 16 MiB"),
        ("keep = 0", "history.keep"),
        ('path = "spool/data.mdb"', 'history.path: must end in ".db"'),
        ('keeps = "3d"', 'history.keeps: unknown key; found "3d"; did you mean "keep"?'),
    ],
)
def test_what_is_wrong_is_told_by_key(tmp_path: Path, table: str, problem: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        configured(tmp_path, f"[history]\n{table}\n")
    assert problem in str(caught.value)


def test_what_may_be_kept_is_said_as_the_history_says_it() -> None:
    assert set(get_args(KeptWord)) == {kept.value for kept in Kept}


def test_it_reaches_the_deliverer_as_it_was_read(tmp_path: Path) -> None:
    found = configured(tmp_path, '[history]\nrecipients = "domain"\n')
    told = Assignment(
        role="deliverer", number=0, hostname="h", drain_s=1.0, log_level="info", run=tmp_path, spool=found.spool,
        limits=found.limits, deliverer=found.deliverer, routes=(), listeners=(), report=found.report, history=found.history,
    )  # fmt: skip
    assert assignment.decode(assignment.encode(told)).history == found.history
