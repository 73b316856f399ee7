"""`spool check` and `spool compact`."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec

from relay.cli.audit_note import CommandNote
from relay.config.configuration import Configuration
from relay.config.read import read
from relay.process.exits import Exit
from relay.spool import check as checking
from relay.spool import compact as compacting

Progress = Callable[[str, int, int], None]
SHOW_EVERY_S = 0.1


def check(path: Path, *, as_json: bool) -> Exit:
    """Verify every record; FOUND when one is not as it should be."""
    report = checking.check(_configuration(path).spool, _progress(as_json))
    if as_json:
        print(msgspec.json.encode(asdict(report)).decode())
    else:
        for problem in report.problems:
            print(f"{problem.table} {problem.id}: {problem.reason}")
        print(
            f"{report.mails} mails, {report.content_bytes:,} bytes of content in a file of "
            f"{report.file_bytes:,}; {report.partial} coming in, {report.aside} moved aside, "
            f"{report.problems_total} problems"
        )
        for key, records in sorted(report.keys.items()):
            print(f"{records:,} records of mail {'lie plain' if key == 'plain' else f'with the key {key}'}")
    return Exit.FOUND if report.problems_total else Exit.OK


def compact(path: Path, *, as_json: bool) -> Exit:
    """Rewrite the queue file without its free pages."""
    configuration = _configuration(path)
    note = CommandNote(configuration)
    done = compacting.compact(configuration.spool, _progress(as_json))
    note.put(
        {
            "event": "spool_compacted",
            "before_bytes": done.before_bytes,
            "after_bytes": done.after_bytes,
            "mails": done.report.mails,
        }
    )
    if as_json:
        print(msgspec.json.encode(asdict(done)).decode())
    else:
        print(
            f"{done.before_bytes:,} bytes before, {done.after_bytes:,} after; {done.report.mails} mails, all verified"
        )
    return Exit.OK


def _configuration(path: Path) -> Configuration:
    return read(path, time.time())


def _progress(as_json: bool) -> Progress:
    """A line that follows the work, where a person looks."""
    shown_at = 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown_at
        now = time.monotonic()
        if done < total and now - shown_at < SHOW_EVERY_S:
            return
        shown_at = now
        end = "\n" if done >= total else ""
        print(f"\r{what}: {done:,} of {total:,}\x1b[K", end=end, file=sys.stderr, flush=True)

    def silent(what: str, done: int, total: int) -> None:
        del what, done, total

    return silent if as_json or not sys.stderr.isatty() else show
