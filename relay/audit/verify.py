"""Are the files of an audit log as they were written?

Each file's first row names the key it was sealed with; a file may have begun the chain, or
continue the one before. Once a key is in use, a plain file can only be a forgery: whoever
may write the files could otherwise leave the key away and seal everything anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from relay.audit.chain import START, Digest, Verifier, digest_by, key_id
from relay.audit.log import TAIL_BYTES, key_named
from relay.errors import ConfigurationError

PROBLEMS_MAX = 100
"""Told one by one; of a file that is another altogether nobody reads more."""


class Problem(Struct, frozen=True):
    """One line, or with 0 the end of the file."""

    file: str
    line: int
    text: str


class Verdict(Struct):
    """On all files together."""

    files: int = 0
    lines: int = 0
    problems: list[Problem] = []
    problem_count: int = 0
    continues: int = 0
    """Number of the line before the first one here; 0: the chain is here from its beginning."""
    last: int = 0
    last_hash: str = ""
    is_keyed: bool = False
    """All files are sealed with a key."""


def verify(paths: Sequence[Path], keys: Sequence[bytes], anchors: Mapping[int, str]) -> Verdict:
    """Read all files, in the order of the chain; OSError for one that cannot be read."""
    digests = {key_id(key): digest_by(key) for key in keys}
    verdict, verifier = Verdict(problems=[], is_keyed=bool(paths)), Verifier(anchors)
    was_keyed = False
    for path in paths:
        named = key_named(path)
        if named is None:
            named = next(iter(digests), "")
        if named and named not in digests:
            raise ConfigurationError(f"{path} is sealed with the key {named}; name its file: --key-file FILE")
        if not named:
            verdict.is_keyed = False
            if was_keyed or (digests and path == paths[-1]):
                _add(verdict, path, 1, "is not sealed with a key, although the log has one")
        was_keyed = was_keyed or bool(named)
        _verify_file(path, verifier, digests[named] if named else digest_by(b""), verdict)
    for text in verifier.end():
        _add(verdict, paths[-1], 0, text)
    verdict.continues = (verifier.first or START).seq
    verdict.last, verdict.last_hash = verifier.last
    return verdict


def _verify_file(path: Path, verifier: Verifier, digest: Digest, verdict: Verdict) -> None:
    verdict.files += 1
    with open(path, "rb") as file:
        number = 0
        # A line that is longer is none, and must not be read into memory whole.
        while line := file.readline(TAIL_BYTES):
            number += 1
            for text in verifier.take(line, digest):
                _add(verdict, path, number, text)
        verdict.lines += number


def _add(verdict: Verdict, path: Path, line: int, text: str) -> None:
    verdict.problem_count += 1
    if len(verdict.problems) < PROBLEMS_MAX:
        verdict.problems.append(Problem(path.name, line, text))
