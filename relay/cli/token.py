"""`m365-relay token …`: does the authority give a token, and will SMTP take it?"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at the OAuth tokens that routes log in with.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """One command so far, and its name is said all the same."""


@app.command()
def check(
    route: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="all with OAuth", help="Mailboxes of this route only."),
    ] = None,
    mailbox: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="all", help="This mailbox only."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            show_default="$M365_RELAY_CONFIG, ./relay.toml, /etc/m365-relay/relay.toml",
            help="The configuration file.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs: JSON instead of text.")] = False,
) -> None:
    """Fetch tokens as the relay would, one for each application; show what is in them, whether each
    mailbox can use it, and whether that of [graph] has the roles for what is asked; never the token.

    0: good, 1: something is wrong with it, 69: no answer, 78: refused.
    """
    from relay.cli.token_check import check as run
    from relay.config.read import find

    raise typer.Exit(run(find(config), route, mailbox, as_json=json))
