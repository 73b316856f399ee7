"""`m365-relay audit …`: is the record whole, and what does it say?

Every command loads what it needs when it runs.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Verify the audit log, and answer an auditor's questions.", no_args_is_help=True)

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
KeyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        show_default="audit.key_file",
        help="A key the files were sealed with; may stand several times.",
    ),
]


@app.command()
def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", show_default="all in audit.path", help="In the chain's order."),
    ] = None,
    config: Config = None,
    key_file: KeyFiles = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER:HASH",
            help="A line that is known from elsewhere, such as the log's audit_head; may stand several times.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Verify the chain: 0 nothing was touched, 1 something was; each line that is wrong is named."""
    from relay.cli.audit_verify import verify as run

    raise typer.Exit(run(files or [], config, key_file or [], anchor or [], as_json=json))


@app.command()
def report(
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default="30 days ago", help="2026-11-01, or with a time."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", show_default="now", help="Likewise.")] = None,
    config: Config = None,
    key_file: KeyFiles = None,
    json: Json = False,
    html: Annotated[bool, typer.Option("--html", help="One HTML page, to standard output.")] = False,
) -> None:
    """Who may send as whom, what changed, failed logins, plain-text senders, weak TLS."""
    from relay.cli.audit_report import report as run

    raise typer.Exit(run(since, until, config, key_file or [], as_json=json, as_html=html))
