"""`queue hold|release|retry|cancel|settle|rebind|priority`: give an order to the deliverer, and say what came of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import typer

from relay.cli.asking import asked
from relay.control.answer import Progress
from relay.control.request import (
    CancelMails,
    OnMails,
    Problem,
    SettleMails,
    detail_of,
    name_of,
    parse,
)
from relay.deliver.actions import Count
from relay.process.exits import Exit

DONE = {
    "hold": "held",
    "release": "released",
    "retry": "to be tried at once",
    "cancel": "cancelled",
    "settle": "settled",
    "rebind": "on the other route",
    "priority": "of the other priority",
}


def act(config: Path | None, request: OnMails, *, yes: bool, as_json: bool) -> Exit:
    """Ask where it destroys something, give the order, show how far it is, and what came of it."""
    problem = parse(msgspec.json.encode(request))
    if isinstance(problem, Problem):
        raise typer.BadParameter(f"{problem.error}; {problem.hint}")
    if not yes and (isinstance(request, CancelMails | SettleMails) or request.where.all):
        _ask(request)
    count: Count | None = None
    with _progress(name_of(request), is_shown=not as_json and sys.stderr.isatty()) as told:
        for answer in asked(config, request):
            if "progress" in answer:
                told(msgspec.convert(answer, Progress))
            else:
                count = msgspec.convert(answer["result"], Count)
    assert count is not None, "an answer has an end"
    if as_json:
        print(msgspec.json.encode(count).decode())
    else:
        print("\n".join(sentences(name_of(request), count, is_told=_is_told(request))))
    return Exit.FOUND if count.failed or count.cut_short or count.damaged else Exit.OK


def sentences(do: str, count: Count, *, is_told: bool = False) -> list[str]:
    """What came of an order, for people; `is_told`: their senders are to get reports."""
    if not count.selected and not count.damaged:
        return [f"No such mail waits; {_mails(count.looked_at)} looked at."]
    lines = [f"{_mails(count.changed)} {DONE[do]} ({count.recipients:,} recipients)."]
    if is_told:
        lines.append(
            f"Of {_mails(count.told)} the sender gets a report; the log says of the others why not (unreported), "
            "or they are in a digest."
            if count.told < count.changed
            else "Their senders get reports."
        )
    if count.unchanged:
        lines.append(f"{_mails(count.unchanged)} selected that needed nothing.")
    if count.unfit:
        lines.append(
            f"{_mails(count.unfit)} left where they are: the other route's rules would not take them."
        )
    if count.under_way:
        lines.append(
            f"{_mails(count.under_way)} under way just then: what is delivered is delivered, for the rest the order "
            "holds. The log says of each what became of it (steered)."
        )
    if count.failed:
        lines.append(
            f"{_mails(count.failed)} not changed, the disk said: {count.trouble}. Give the order again."
        )
    if count.damaged:
        lines.append(f"{_mails(count.damaged)} cannot be read; m365-relay spool check says more.")
    if count.cut_short:
        lines.append(f"Not all mails were looked at: {count.cut_short}. Give the order again.")
    return lines


def _mails(number: int) -> str:
    return f"{number:,} mail" if number == 1 else f"{number:,} mails"


def _ask(request: OnMails) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to be asked; say --yes if you mean it")
    match request:
        case CancelMails(report=True):
            what = "Their senders are told, and they cannot be brought back"
        case CancelMails():
            what = "Nobody is told, and they cannot be brought back"
        case SettleMails(arrived=True):
            what = "They leave the queue as delivered, and are never sent again"
        case SettleMails():
            what = "They are sent again: whoever has them already gets them twice"
        case _:
            what = "All are meant"
    typer.confirm(f"{name_of(request)}: {detail_of(request)}. {what}. Go on?", abort=True, err=True)


def _is_told(request: OnMails) -> bool:
    return isinstance(request, CancelMails) and request.report


@contextmanager
def _progress(do: str, *, is_shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar for a person; nothing for a program."""
    if not is_shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(do, total=None)
        yield lambda progress: bar.update(task, completed=progress.progress.looked_at, total=progress.of)
