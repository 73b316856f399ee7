"""Connections that die behind the final dot: who would rather have a mail twice loses none, who would rather never
has none twice, and who asks the message trace has each once.

`python -m benchmarks.duplicates` does it with 10,000 mails each.
"""

from pathlib import Path

import pytest

from benchmarks.duplicates import Result, course
from relay.message.uncertain import Uncertain

MAILS = 300
CUT_PERCENT = 30.0


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a short name: a Unix socket stands in it."""
    return tmp_path_factory.mktemp("cut")


def cut(folder: Path, way: Uncertain) -> Result:
    result = course(folder, way, MAILS, CUT_PERCENT, seed=7)
    # Else it proves nothing.
    assert result.cut_before > 10 and result.cut_after > 10
    assert result.lost == 0
    return result


def test_rather_twice_loses_nothing(folder: Path) -> None:
    result = cut(folder, Uncertain.RETRY)
    assert (result.taken, result.kept) == (MAILS, 0)
    # What this costs, and that the test would see it.
    assert result.twice == result.cut_after


def test_rather_never_sends_nothing_twice_and_keeps_what_may_be_lost(folder: Path) -> None:
    result = cut(folder, Uncertain.HOLD)
    assert result.twice == 0
    assert result.kept == result.cut_before + result.cut_after
    assert result.taken == MAILS - result.cut_before


def test_asking_the_trace_sends_everything_and_nothing_twice(folder: Path) -> None:
    result = cut(folder, Uncertain.ASK)
    assert (result.taken, result.twice, result.kept) == (MAILS, 0, 0)
    assert result.settled_there == result.cut_after
    assert result.settled_absent == result.cut_before
