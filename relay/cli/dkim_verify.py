"""`dkim verify`: what dkimpy says about each signature, for people."""

from pathlib import Path

import msgspec

from relay.cli.dkim_say import lookup_of, printable, read_mail
from relay.identity.dkim_judge import Result, Verdict, judge
from relay.process.exits import Exit


def verify(file: Path, resolver: str | None, *, as_json: bool) -> Exit:
    """Print the verdicts; OK only when there are signatures and all hold."""
    verdicts = judge(read_mail(file), lookup_of(resolver))
    is_good = bool(verdicts) and all(verdict.result is Result.PASS for verdict in verdicts)
    if as_json:
        print(msgspec.json.encode({"good": is_good, "signatures": verdicts}).decode())
    elif not verdicts:
        print(f"✗ {file} bears no DKIM-Signature")
    else:
        for verdict in verdicts:
            _print(verdict)
    return Exit.OK if is_good else Exit.FOUND


def _print(verdict: Verdict) -> None:
    mark = "✓" if verdict.result is Result.PASS else "✗"
    names = f"domain {verdict.domain or '?'}, selector {verdict.selector or '?'}, {verdict.algorithm or '?'}"
    print(f"{mark} {verdict.result.value}: {printable(verdict.reason)}")
    print(f"    {printable(names)}")
    for note in verdict.notes:
        print(f"    ! {note}")
