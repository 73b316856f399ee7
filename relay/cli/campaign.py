"""`m365-relay campaign list` and `show`: how far campaigns are, when they will be done, and how good that was foreseen."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from relay.cli.options import Config, Json
from relay.process.exits import Exit

if TYPE_CHECKING:
    from rich.text import Text

    from relay.control.answer import CampaignLine

app = typer.Typer(
    help="How far campaigns are, and when they will be done.", no_args_is_help=True, rich_markup_mode="rich"
)
BAR = 24
"""Characters of a bar."""


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """Show all campaigns that are known, with their progress."""
    raise typer.Exit(_show(config, "", as_json=json))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As X-Relay-Campaign has it.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Show one campaign: its progress, its end as foreseen now and first, and the error so far."""
    raise typer.Exit(_show(config, name, as_json=json))


def _show(config: Path | None, name: str, *, as_json: bool) -> Exit:
    from relay.cli.asking import asked
    from relay.control.answer import CampaignLine
    from relay.control.request import CampaignsAsked

    answers = asked(config, CampaignsAsked(name=name))
    lines = [msgspec.convert(each["item"], CampaignLine) for each in answers if "item" in each]
    if as_json:
        for line in lines:
            print(msgspec.json.encode(line).decode())
    elif not lines:
        print("No campaign is known; a mail names its own in X-Relay-Campaign.")
    else:
        _print(lines, time.time(), is_whole=bool(name))
    return Exit.OK


def _print(lines: list["CampaignLine"], now: float, *, is_whole: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        head = Text.assemble(
            (line.name, "bold"), f"  {line.recipients:,} recipients in {line.mails:,} mails, "
        )
        console.print(head.append(line.priority), soft_wrap=True)
        console.print(_bar(line))
        for text in sentences(line, now, is_whole=is_whole):
            console.print(Text(f"  {text}"), soft_wrap=True)


def _bar(line: "CampaignLine") -> "Text":
    from rich.text import Text

    parts = [
        (line.delivered, "green"), (line.failed, "red"), (line.held, "yellow"), (line.cancelled, "dim"),
    ]  # fmt: skip
    text = Text("  ")
    used = 0
    for count, style in parts:
        length = round(BAR * count / max(1, line.recipients))
        text.append("█" * length, style)
        used += length
    text.append("░" * (BAR - used), "dim")
    return text.append(f" {100 * (line.recipients - line.waiting) / max(1, line.recipients):.0f} %")


def sentences(line: "CampaignLine", now: float, *, is_whole: bool) -> list[str]:
    """For people."""
    from relay.cli.moment import local
    from relay.cli.why import age

    words = ("delivered", "waiting", "held", "failed", "cancelled")
    counts = [f"{getattr(line, word):,} {word}" for word in words if getattr(line, word) or word == "waiting"]
    found = [", ".join(counts)]
    if line.ended_at is not None:
        found.append(
            f"done at {local(line.ended_at)}, {age(line.ended_at - line.began_at)} after its first mail"
        )
    elif line.done_at is not None:
        found.append(f"will be done at {local(line.done_at)}, in {age(line.done_at - now)}")
    elif line.trouble:
        found.append(f"nobody knows when it will be done: {line.trouble}")
    if is_whole:
        found.append(f"weight {line.weight}: so many turns where another campaign of its client takes one")
        found.append(f"its first mail came {local(line.began_at)}, its last one {local(line.last_at)}")
    if line.first_done_at is not None and line.first_made_at is not None:
        text = f"foreseen first for {local(line.first_done_at)}"
        if line.error is not None:
            how = "later" if line.error >= 0 else "earlier"
            text += f"; it is {abs(line.error):.1%} {how}"
        if is_whole:
            text += f" (foreseen at {local(line.first_made_at)}, with {line.first_part:.0%} done)"
        found.append(text)
    return found
