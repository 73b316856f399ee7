"""`m365-relay webhook …`: who is told what becomes of mail, and how far they are.

Every command loads what it needs when it runs.
"""

from typing import Annotated

import typer

from relay.cli.options import Config, Json, Yes

app = typer.Typer(help="Look at webhooks, try them, and let them tell again.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the webhook, as in the configuration.")]


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """Show the webhooks of the configuration, with what each is told of; no secrets."""
    from relay.cli.webhook_list import show
    from relay.config.read import find

    raise typer.Exit(show(find(config), as_json=json))


@app.command()
def status(config: Config = None, json: Json = False) -> None:
    """Show how far each has got, what its receiver said last, and when it tries again: 1 when one fails."""
    from relay.cli.webhook_status import show
    from relay.config.read import find

    raise typer.Exit(show(find(config), as_json=json))


@app.command()
def test(name: Name, config: Config = None, json: Json = False) -> None:
    """Send a signed ping, from here and now: 0 the receiver took it, 1 it did not."""
    from relay.cli.webhook_test import run
    from relay.config.read import find

    raise typer.Exit(run(find(config), name, as_json=json))


@app.command()
def replay(
    name: Name,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From then on: 2h, 3d, 2026-11-24, 2026-11-24T10:30.")
    ],
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Tell again what happened since then, as far as the history has it; with the ids it had the first time."""
    from relay.cli.webhook_move import replay as run
    from relay.config.read import find

    raise typer.Exit(run(find(config), name, since, is_sure=yes))


@app.command()
def skip(name: Name, config: Config = None, yes: Yes = False) -> None:
    """Never tell what waits: go on with what happens from now on."""
    from relay.cli.webhook_move import skip as run
    from relay.config.read import find

    raise typer.Exit(run(find(config), name, is_sure=yes))
