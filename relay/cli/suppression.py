"""`m365-relay suppression …`: addresses no mail is taken for.

Every command loads what it needs when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at and change the addresses no mail is taken for.", no_args_is_help=True)

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
Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON object a line.")]
Addresses = Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Such as bob@example.net.")]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", show_default="report.suppress, else 14d", help="Such as 30d."),
]


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """Show them all, in order, with the reply that each failed with; also while the relay runs."""
    from relay.cli.suppression_list import show
    from relay.config.read import find

    raise typer.Exit(show(find(config), as_json=json))


@app.command()
def add(
    addresses: Addresses,
    config: Config = None,
    time: For = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What clients are told.")] = "by hand",
) -> None:
    """Take no mail for these addresses; it is in force at once."""
    from relay.cli.suppression_list import add as run
    from relay.config.read import find

    raise typer.Exit(run(find(config), addresses, time, reason))


@app.command()
def remove(addresses: Addresses, config: Config = None) -> None:
    """Take mail for these addresses again: 0 all were there, 1 some were not."""
    from relay.cli.suppression_list import remove as run
    from relay.config.read import find

    raise typer.Exit(run(find(config), addresses))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV as of export, or an address a line.")],
    config: Config = None,
    time: For = None,
) -> None:
    """Add all addresses of a file, or none when a line of it is wrong."""
    from relay.cli.suppression_file import import_file
    from relay.config.read import find

    raise typer.Exit(import_file(find(config), file, time))


@app.command()
def export(config: Config = None) -> None:
    """Write them all as CSV: address, since, until (UTC), reply."""
    from relay.cli.suppression_file import export_file
    from relay.config.read import find

    raise typer.Exit(export_file(find(config)))
