"""`m365-relay client …`: who may send.

Every command loads what it needs when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Add, list, rotate and disable clients: who may send, and how they prove it.", no_args_is_help=True
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
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of text.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The client's name, such as erp.")]
Many = list[str] | None


@app.command()
def add(
    name: Name,
    config: Config = None,
    username: Annotated[
        str | None,
        typer.Option(
            metavar="USER",
            show_default="NAME, without --network, --certificate-name and --oauth-app",
            help="For its login.",
        ),
    ] = None,
    network: Annotated[
        Many, typer.Option(metavar="CIDR", help="A network of its own; may stand several times.")
    ] = None,
    certificate_name: Annotated[
        Many,
        typer.Option(
            metavar="NAME", help="DNS name, e-mail address or SHA-256 fingerprint of its certificate."
        ),
    ] = None,
    oauth_app: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Client id of its application, whose Entra tokens log it in."),
    ] = None,
    oauth_user: Annotated[
        Many,
        typer.Option(
            metavar="ID",
            help="Object id of a user: tokens the application has for this user, and none of its own. May stand several times.",
        ),
    ] = None,
    sender: Annotated[
        Many, typer.Option(metavar="RULE", help="As whom it may send: an address, a domain, *.domain or <>.")
    ] = None,
    author: Annotated[
        Many,
        typer.Option(
            "--from", metavar="RULE", show_default="as --sender", help="What may stand in the header's From."
        ),
    ] = None,
    rule: Annotated[
        Many,
        typer.Option(
            metavar="KEY=VALUE",
            help="A rule as the table of a client has it, such as messages_per_hour=100 or recipients=inside; may stand several times.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Add a client; where it logs in by name, a password is made, shown once, and kept as a hash."""
    from relay.cli.client_edit import add as run

    shown: dict[str, str | list[str] | None] = {
        "networks": network,
        "certificates": certificate_name,
        "oauth_app": oauth_app,
        "oauth_users": oauth_user,
        "senders": sender,
        "from": author,
    }
    raise typer.Exit(run(name, config, username, shown, rule or (), as_json=json))


@app.command("list")
def list_clients(config: Config = None, json: Json = False) -> None:
    """List all clients, of the configuration and of the clients file."""
    from relay.cli.client_list import show

    raise typer.Exit(show(config, as_json=json))


@app.command()
def rotate(
    name: Name,
    config: Config = None,
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old password stays good; 0s: not at all.")
    ] = "24h",
    json: Json = False,
) -> None:
    """Give a client a new password; the old one stays good for a while."""
    from relay.cli.client_edit import rotate as run

    raise typer.Exit(run(name, config, grace, as_json=json))


@app.command()
def disable(name: Name, config: Config = None, json: Json = False) -> None:
    """Let a client in nowhere, until it is enabled again."""
    from relay.cli.client_edit import switch

    raise typer.Exit(switch(name, config, is_disabled=True, as_json=json))


@app.command()
def enable(name: Name, config: Config = None, json: Json = False) -> None:
    """Let a client in again."""
    from relay.cli.client_edit import switch

    raise typer.Exit(switch(name, config, is_disabled=False, as_json=json))


@app.command()
def seen(
    config: Config = None,
    basic_auth: Annotated[
        bool, typer.Option("--basic-auth", help="Who sends a password (PLAIN, LOGIN), or tried to.")
    ] = False,
    plain_text: Annotated[bool, typer.Option("--plain-text", help="Who sends without TLS.")] = False,
    unknown: Annotated[bool, typer.Option("--unknown", help="Who is no client.")] = False,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Seen since: 2h, 30d, 2026-11-24, 2026-11-24T10:30.")
    ] = "",
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> None:
    """Show who sends, from where, by which mechanism, with TLS or not, as whom, and when last."""
    from relay.cli.client_seen import Form, Wanted, run

    if json and csv:
        raise typer.BadParameter("one of --json and --csv")
    form = Form.JSON if json else Form.CSV if csv else Form.TABLE
    raise typer.Exit(run(config, Wanted(basic_auth, plain_text, unknown, since), form))


@app.command()
def adopt(
    device: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Of a device that client seen --unknown shows.")
    ],
    config: Config = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", show_default="device-ADDRESS", help="Of the new client.")
    ] = "",
    route: Annotated[
        str, typer.Option(metavar="NAME", show_default="as seen", help="The route that its mail takes.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the rule and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Make a client of an unknown device: a rule that allows what it was seen to do, and no more."""
    from relay.cli.client_adopt import adopt as run

    raise typer.Exit(run(device, config, name, route, is_dry=dry_run, is_sure=yes, as_json=json))
