"""`audit verify`: the verdict on the chain, in words or as JSON."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer

from relay.audit.log import files as files_of
from relay.audit.verify import Verdict
from relay.audit.verify import verify as examine
from relay.config import secret
from relay.config.configuration import Configuration
from relay.config.read import find, read
from relay.errors import ConfigurationError
from relay.process.exits import Exit

ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


def verify(
    files: Sequence[Path],
    config: Path | None,
    key_files: Sequence[Path],
    anchors: Sequence[str],
    *,
    as_json: bool,
) -> Exit:
    """FOUND when something is wrong. Files that are named need no configuration: an auditor has none."""
    known = dict(map(_anchor, anchors))
    keys = keys_in(key_files)
    if not files or config is not None:
        configuration = read(find(config), time.time())
        files = files or recorded(configuration)
        keys = keys or keys_of(configuration)
    verdict = examine(files, keys, known)
    if as_json:
        print(msgspec.json.encode(verdict).decode())
    else:
        for problem in verdict.problems:
            where = f"line {problem.line}" if problem.line else "the end"
            print(f"{problem.file}: {where}: {problem.text}")
        if verdict.problem_count > len(verdict.problems):
            print(f"… {verdict.problem_count} in all")
        print(sentence(verdict))
    return Exit.FOUND if verdict.problem_count else Exit.OK


def sentence(verdict: Verdict) -> str:
    """The verdict in words."""
    count = f"{verdict.lines} lines in {verdict.files} file{'' if verdict.files == 1 else 's'}"
    if verdict.problem_count:
        return f"The audit log is not as it was written: {verdict.problem_count} problems in {count}."
    begin = f", continuing line {verdict.continues} of a file that is not here" if verdict.continues else ""
    kind = "keyed" if verdict.is_keyed else "plain"
    return f"The {kind} chain is whole: {count}{begin}; the last is {verdict.last}:{verdict.last_hash}."


def recorded(configuration: Configuration) -> list[Path]:
    """The files of this relay."""
    if configuration.audit is None:
        raise ConfigurationError(f"{configuration.path} has no [audit]; nothing is recorded")
    found = files_of(configuration.audit.path)
    if not found:
        raise ConfigurationError(f"there is nothing recorded in {configuration.audit.path} yet")
    return found


def keys_of(configuration: Configuration) -> list[bytes]:
    """The key in use."""
    return [configuration.audit.key] if configuration.audit is not None and configuration.audit.key else []


def keys_in(key_files: Sequence[Path]) -> list[bytes]:
    """Of `--key-file`."""
    try:
        return [secret.from_file(path)[0].encode() for path in key_files]
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _anchor(text: str) -> tuple[int, str]:
    found = ANCHOR.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f'--anchor: write number and hash as "1234:9f86d0…", not "{text}"')
    return int(found[1]), found[2]
