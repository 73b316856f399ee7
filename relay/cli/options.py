"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with what it is done to.")
]

SELECTION = "Which mails"
"""Title of the options below in --help."""


def _words(*words: str) -> "list[str]":
    return list(words)


def _given(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """What stands there; BadParameter when that is nothing.

    `--route x --campaign "$NAME"` without a NAME would mean all of the route.
    """
    source = context.get_parameter_source(parameter.name or "")
    if not value and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("it is empty; leave it out if any will do")
    return value


Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Mails by their ids.", show_default=False)
]
Sender = Annotated[
    str,
    typer.Option(
        metavar="WHO", help="Sender: an address, a domain, or <>.", callback=_given, rich_help_panel=SELECTION
    ),
]
Recipient = Annotated[
    str,
    typer.Option(
        metavar="WHO",
        help="Recipient: an address or a domain; only these are meant.",
        callback=_given,
        rich_help_panel=SELECTION,
    ),
]
OnRoute = Annotated[
    str,
    typer.Option(
        "--route",
        metavar="NAME",
        help="Recipients on this route.",
        callback=_given,
        rich_help_panel=SELECTION,
    ),
]
Campaign = Annotated[
    str, typer.Option(metavar="NAME", help="Mails of a campaign.", callback=_given, rich_help_panel=SELECTION)
]
OfPriority = Annotated[
    str,
    typer.Option(
        "--priority",
        metavar="WORD",
        help="high, normal or bulk.",
        autocompletion=lambda: _words("high", "normal", "bulk"),
        callback=_given,
        rich_help_panel=SELECTION,
    ),
]
OlderThan = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Mails that came so long ago: 30m, 4h, 2d.",
        callback=_given,
        rich_help_panel=SELECTION,
    ),
]
Reply = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Recipients whose last reply or reason has this in it.",
        callback=_given,
        rich_help_panel=SELECTION,
    ),
]
OfStatus = Annotated[
    str,
    typer.Option(
        "--status",
        metavar="WORD",
        help="queued, deferred, held or uncertain.",
        autocompletion=lambda: _words("queued", "deferred", "held", "uncertain"),
        callback=_given,
        rich_help_panel=SELECTION,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every mail.", rich_help_panel=SELECTION)]
