"""`m365-relay trace …`: what happened to a mail."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Outcome(StrEnum):
    """Of relay.trace.history.state.OUTCOMES; a test compares."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    HELD = "held"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    CANCELLED = "cancelled"


app = typer.Typer(
    help="See what happened to a mail. [bold]trace WORD[/] is [bold]trace find WORD[/]; the options are those of find.",
)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        show_default="$M365_RELAY_CONFIG, ./relay.toml, /etc/m365-relay/relay.toml",
        help="The configuration file.",
    ),
]


COMMANDS = ("find", "erase")


def completed(arguments: Sequence[str]) -> list[str]:
    """`trace ID` is `trace find ID`: what is done a hundred times a day has no second word."""
    if arguments[:1] == ["trace"] and arguments[1:2] not in (
        ["-h"],
        ["--help"],
        *([name] for name in COMMANDS),
    ):
        return ["trace", "find", *arguments[1:]]
    return list(arguments)


@app.command("find")
def find(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORD]",
            show_default=False,
            help="A queue id, a Message-ID, or an address: of a recipient, else of a sender.",
        ),
    ] = None,
    message_id: Annotated[str, typer.Option(metavar="ID", help="This Message-ID.")] = "",
    sender: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="From this address; @example.com for a domain, <> for none."),
    ] = "",
    recipient: Annotated[str, typer.Option(metavar="ADDRESS", help="To this address or @domain.")] = "",
    campaign: Annotated[str, typer.Option(metavar="NAME", help="Of this campaign.")] = "",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Under way since: 2h, 3d, 2026-11-24, 2026-11-24T10:30.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="And before.")] = "",
    outcome: Annotated[Outcome | None, typer.Option(help="With a recipient that stands so.")] = None,
    reply: Annotated[str, typer.Option(metavar="WORDS", help="With a reply that has these words.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 100,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Look through all of the history for words that no index knows."),
    ] = False,
    steps: Annotated[bool, typer.Option("--steps", help="All steps of every mail, not a line each.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens from now on; Ctrl-C ends it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets: a line a step.")] = False,
    config: Config = None,
) -> None:
    """Show mails of the history, newest first; all that is asked must hold. Also while the relay runs."""
    from relay.cli.trace_find import Form, Search, run
    from relay.config.read import find as find_file

    if json and csv:
        raise typer.BadParameter("one of --json and --csv")
    form = Form.JSON if json else Form.CSV if csv else Form.STEPS if steps else Form.TABLE
    search = Search(
        word or "",
        message_id,
        sender,
        recipient,
        campaign,
        since,
        until,
        outcome and outcome.value,
        reply,
        limit,
        everything,
    )
    raise typer.Exit(run(find_file(config), search, form, follow=follow))


@app.command("erase")
def erase(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Of a person, as recipient or as sender.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs: JSON instead of text.")] = False,
    config: Config = None,
) -> None:
    """Take a person out of the history for good: steps of mail to the address, and mail from it.

    Mail in the queue is not touched. That it was done, by whom and how much it was, stands in the log.
    """
    from relay.cli.trace_erase import run
    from relay.config.read import find as find_file

    raise typer.Exit(run(find_file(config), address, is_sure=yes, as_json=json))
