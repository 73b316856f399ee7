"""The verdict on files: several in a chain, keys, anchors."""

from pathlib import Path

import pytest

from relay.audit import chain
from relay.audit.log import AuditLog, files
from relay.audit.options import AuditOptions
from relay.audit.verify import Verdict, verify
from relay.errors import ConfigurationError
from tests.fakes.clock import FakeClock

KEY = b"k" * 32


def write(folder: Path, names: str, key: bytes = b"", rotate_bytes: int = 700) -> None:
    log = AuditLog(AuditOptions(folder, key=key, rotate_bytes=rotate_bytes), FakeClock())
    for name in names:
        log.append([log.row({"event": name})])


def judge(folder: Path, *keys: bytes, anchors: dict[int, str] | None = None) -> Verdict:
    return verify(files(folder), keys, anchors or {})


def test_a_chain_over_files_is_whole(tmp_path: Path) -> None:
    write(tmp_path, "abcdefgh")
    verdict = judge(tmp_path)
    assert verdict.files > 2 and verdict.lines == 8 + verdict.files == verdict.last
    assert verdict.problems == [] and not verdict.is_keyed and verdict.continues == 0


def test_a_file_that_is_missing_in_the_middle_shows(tmp_path: Path) -> None:
    write(tmp_path, "abcdefgh")
    files(tmp_path)[1].unlink()
    (problem,) = judge(tmp_path).problems
    assert problem.line == 1 and "taken out" in problem.text


def test_a_file_that_was_put_away_elsewhere_is_told_and_no_problem(tmp_path: Path) -> None:
    write(tmp_path, "abcdefgh")
    files(tmp_path)[0].unlink()
    verdict = judge(tmp_path)
    assert verdict.problems == [] and verdict.continues > 0


def test_an_end_that_was_cut_off_shows_against_an_anchor(tmp_path: Path) -> None:
    write(tmp_path, "abcd", rotate_bytes=65_536)
    whole = judge(tmp_path)
    known = {whole.last: whole.last_hash}
    assert judge(tmp_path, anchors=known).problems == []
    (file,) = files(tmp_path)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    (problem,) = judge(tmp_path, anchors=known).problems
    assert problem.line == 0 and "cut off" in problem.text


def test_a_log_that_got_a_key_is_whole_with_it(tmp_path: Path) -> None:
    write(tmp_path, "ab")
    write(tmp_path, "cd", KEY)
    assert judge(tmp_path, KEY).problems == []
    with pytest.raises(ConfigurationError, match="--key-file"):
        judge(tmp_path)
    with pytest.raises(ConfigurationError, match="--key-file"):
        judge(tmp_path, b"l" * 32)


def test_who_has_no_key_cannot_seal_it_anew_as_a_plain_one(tmp_path: Path) -> None:
    write(tmp_path, "ab", KEY, 65_536)
    (file,) = files(tmp_path)
    file.unlink()
    write(tmp_path, "ax")
    (problem,) = judge(tmp_path, KEY).problems
    assert "not sealed with a key" in problem.text


def test_the_key_of_a_file_cannot_be_talked_away(tmp_path: Path) -> None:
    write(tmp_path, "ab", KEY, 65_536)
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes().replace(chain.key_id(KEY).encode(), b""))
    assert judge(tmp_path, KEY).problem_count >= 3


def test_a_file_of_something_else_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").write_bytes(b"x\n" * 5_000 + b"y" * 1_000_000)
    verdict = judge(tmp_path)
    assert len(verdict.problems) == 100 and verdict.problem_count > 2_000
