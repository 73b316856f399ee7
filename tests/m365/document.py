"""The tables of docs/microsoft365.md, written from the rows.

`python -m tests.m365.document` brings the document up to date; a test compares.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from relay.m365.catalogue import ROWS
from relay.m365.cloud import CLOUDS
from relay.m365.limit import LIMITS
from relay.m365.preset import PRESETS
from relay.m365.row import (
    Action,
    Fail,
    Hold,
    LogInAgain,
    Note,
    OpenBreaker,
    ReduceConnections,
    ReduceRate,
    Requeue,
    RetryLater,
    Row,
    Scope,
    Stop,
    UseIpv4,
)

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "microsoft365.md"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def updated(document: str) -> str:
    """The document with every table as the rows have it."""
    return TABLE.sub(lambda found: found.group(1) + tables()[found.group(2)] + found.group(3), document)


def tables() -> dict[str, str]:
    """Every table by its name."""
    return {
        "replies": _table(("reply", "what it means", "what is done", "what you do", "source"), map(_reply, ROWS)),
        "limits": _table(
            ("limit", "routes", "at most", "note", "source"),
            (
                (
                    limit.name.replace("-", " "),
                    ", ".join(kind.value for kind in limit.kinds),
                    f"{limit.most:,} {limit.counted.value}" + (f" in {_time(limit.window_s)}" if limit.window_s else ""),
                    limit.note,
                    f"{limit.source} ({limit.certainty.value}, {limit.date})",
                )
                for limit in LIMITS
            ),
        ),
        "presets": _table(
            ("kind", "host", "port", "login", "IPv4 only", "recipients", "of a domain", "bytes", "connections", "to"),
            (
                (
                    preset.kind.value,
                    preset.host_from.value,
                    str(preset.port),
                    ", ".join(preset.mechanisms) or "none",
                    "yes" if preset.ipv4_only else "no",
                    _number(preset.recipients),
                    _number(preset.recipients_per_domain),
                    _number(preset.size_bytes),
                    _number(preset.connections),
                    "the tenant only" if preset.internal_only else "everybody",
                )
                for preset in PRESETS.values()
            ),
        ),
        "clouds": _table(
            ("cloud", "submission", "high volume", "authority", "token for", "Graph", "MX hosts end in", "certainty"),
            (
                (
                    cloud.name,
                    cloud.submission_host,
                    cloud.high_volume_host or "none",
                    cloud.authority,
                    cloud.token_resource,
                    cloud.graph_host,
                    ", ".join(cloud.mx_suffixes),
                    f"{cloud.certainty.value}, {cloud.date}",
                )
                for cloud in CLOUDS.values()
            ),
        ),
    }  # fmt: skip


def _reply(row: Row) -> tuple[str, ...]:
    codes = " or ".join(map(str, row.codes)) or "any"
    enhanced = ", ".join(row.enhanced)
    texts = " or ".join(f"“{text}”" for text in row.texts)
    pattern = " ".join(part for part in (codes, enhanced, texts) if part)
    if row.stages:
        pattern += f" (to {', '.join(stage.value for stage in row.stages)})"
    source = f"{row.source} ({row.certainty.value}, {row.date})"
    done = said(row.action, row.scope)
    if row.narrower is not None:
        done += f"; perhaps only the {row.narrower.value}"
    return pattern, row.meaning, done, row.advice, source


def said(action: Action, scope: Scope) -> str:
    """An action in words."""
    what = scope.value
    match action:
        case RetryLater(first, last):
            return f"{what}: again in {_times(first, last)}"
        case ReduceConnections(first, last):
            return f"{what}: again in {_times(first, last)}, with fewer connections"
        case ReduceRate(first, last):
            return f"{what}: again in {_times(first, last)}, and slower"
        case LogInAgain(every):
            return f"{what}: log in anew once, else stop and try every {_time(every)}"
        case OpenBreaker(every):
            return f"{what}: stop, try every {_time(every)}"
        case Stop():
            return f"{what}: stop until you say so"
        case UseIpv4():
            return f"{what}: again over IPv4"
        case Requeue():
            return f"{what}: the rest in another envelope"
        case Fail():
            return f"{what}: failed"
        case Hold():
            return f"{what}: the mail is held"
        case Note():
            return "nothing"


def _times(first: int, last: int) -> str:
    return _time(first) if first == last else f"{_time(first)} to {_time(last)}"


def _time(seconds: int) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _number(number: int) -> str:
    return f"{number:,}" if number else "no limit"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("*", "\\*") for line in lines)


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text()))
