"""`m365-relay`: the commands, their options, and the exit status of each end.

Every command loads what it needs when it runs: `--help` and `version` load none of it.
"""

import sys
import traceback
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from relay.cli import audit, campaign, client, dkim, queue, suppression, token, trace, webhook
from relay.cli.end import status_of
from relay.cli.options import Config, Json, Reason
from relay.cli.simulate import simulate
from relay.process.exits import Exit

EXITS = """
Exit status: [bold]0[/] all is well · [bold]1[/] something was found or cut short · [bold]64[/] wrong usage ·
[bold]69[/] something is in use or not there · [bold]70[/] a fault of this program · [bold]74[/] the disk failed ·
[bold]78[/] the configuration is wrong.
"""

app = typer.Typer(
    help="A durable SMTP relay between applications and Microsoft 365.",
    epilog=EXITS,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
spool = typer.Typer(help="Verify and shrink the queue file.", no_args_is_help=True)
app.add_typer(queue.app, name="queue")
app.add_typer(spool, name="spool")
app.add_typer(audit.app, name="audit")
app.add_typer(campaign.app, name="campaign")
app.add_typer(client.app, name="client")
app.add_typer(dkim.app, name="dkim")
app.add_typer(suppression.app, name="suppression")
app.add_typer(token.app, name="token")
app.add_typer(trace.app, name="trace")
app.add_typer(webhook.app, name="webhook")
app.command()(simulate)

SUSPENDED = "route, mailbox, campaign, sender-domain or recipient-domain."
RESUMED = SUSPENDED.replace(" or", ",").rstrip(".") + ", sender, host, address, tenant, outside or all."


def _kinds() -> list[str]:
    return ["route", "mailbox", "campaign", "sender-domain", "recipient-domain"]


def _priorities() -> list[str]:
    return ["high", "normal", "bulk"]


def _kinds_of_stops() -> list[str]:
    return [*_kinds(), "sender", "host", "address", "tenant", "outside", "all"]


@app.command()
def serve(config: Config = None) -> None:
    """Run the relay in the foreground; logs JSON lines to standard error."""
    from relay.cli.check_config import in_force
    from relay.config.read import find
    from relay.process.serve import serve as run

    raise typer.Exit(run(find(config), in_force))


@app.command()
def demo(
    mails: Annotated[int, typer.Option(min=40, max=100_000, help="How many mails the campaign has.")] = 1200,
    keep: Annotated[
        bool, typer.Option("--keep/--remove", help="Keep the folder with queue file, log and metrics.")
    ] = True,
    json: Json = False,
) -> None:
    """Send a campaign through a relay and a simulated Microsoft 365: what leaves, what waits, and why."""
    from relay.cli.demo import demo as run

    raise typer.Exit(run(mails, keep=keep, as_json=json))


@app.command("check-config")
def check_config(config: Config = None, json: Json = False) -> None:
    """Judge the configuration and show what is in force: 0 good (warnings too), 78 wrong."""
    from relay.cli.check_config import check
    from relay.config.read import find

    raise typer.Exit(check(find(config), as_json=json))


@app.command()
def version(json: Json = False) -> None:
    """Say which version this is."""
    number = version_of("m365-relay")
    typer.echo(f'{{"version":"{number}"}}' if json else f"m365-relay {number}")


@app.command()
def report(
    config: Config = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From then on: 24h, 7d, 2026-11-24, 2026-11-24T10:30.")
    ] = "24h",
    until: Annotated[str, typer.Option(metavar="TIME", show_default="now", help="To then.")] = "",
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="One file to look at or to mail: > report.html")
    ] = False,
) -> None:
    """Mail flow by hour, sender, route, campaign and outcome, and why mail was refused, from the history."""
    from relay.cli.report import Form
    from relay.cli.report import report as run
    from relay.config.read import find

    forms = [form for form, is_asked in ((Form.JSON, json), (Form.CSV, csv), (Form.HTML, html)) if is_asked]
    if len(forms) > 1:
        raise typer.BadParameter("one of --json, --csv and --html")
    raise typer.Exit(run(find(config), since, until, forms[0] if forms else Form.TEXT))


@app.command()
def why(
    id: Annotated[str, typer.Argument(metavar="ID", help="The mail, as queue list and the log have it.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Say in plain words what a mail waits for, until when, and what to change."""
    from relay.cli.why import why as run

    raise typer.Exit(run(config, id, as_json=json))


@app.command()
def plan(
    recipients: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many.")],
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="The envelope's sender.")],
    together: Annotated[int, typer.Option("--per-mail", min=1, help="Recipients of one mail.")] = 1,
    size: Annotated[str, typer.Option(metavar="SIZE", help="Of one mail: 20KiB, 2MB.")] = "20KiB",
    inside: Annotated[
        float, typer.Option(min=0, max=1, help="The part of the recipients inside the tenant.")
    ] = 0.0,
    priority: Annotated[
        str, typer.Option(metavar="WORD", help="high, normal or bulk.", autocompletion=_priorities)
    ] = "normal",
    campaign: Annotated[str, typer.Option(metavar="NAME", help="As X-Relay-Campaign has it.")] = "",
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="A recipient by whom the route is chosen.")] = "",
    client: Annotated[str, typer.Option(metavar="NAME", help="The client who would send it.")] = "",
    at: Annotated[
        str, typer.Option(metavar="MOMENT", help='When it would come: "06:00", "2026-11-26 06:00".')
    ] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """Say when a campaign would be done with the limits as they are now, and what would make it earlier.

    1: never, as things stand.
    """
    from relay.cli.plan import Wanted
    from relay.cli.plan import plan as run
    from relay.cli.selecting import bytes_of

    wanted = Wanted(
        recipients, sender, together, bytes_of(size, "--size"), inside, priority, campaign, to, client, at
    )
    raise typer.Exit(run(config, wanted, as_json=json))


@app.command()
def suspend(
    kind: Annotated[str, typer.Argument(metavar="WHAT", help=SUSPENDED, autocompletion=_kinds)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, address or domain.")],
    until: Annotated[
        str, typer.Option(metavar="MOMENT", help='It ends then: "06:00", "2026-11-26 06:00".')
    ] = "",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="It ends after so long: 30m, 4h.")] = "",
    reason: Reason = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """Stop a route, a mailbox, a campaign or a domain: its mail waits, and uses up no attempt."""
    from relay.cli.stopping import suspend as run

    raise typer.Exit(run(config, kind, name, reason, until, for_, as_json=json))


@app.command()
def resume(
    kind: Annotated[str, typer.Argument(metavar="WHAT", help=RESUMED, autocompletion=_kinds_of_stops)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, address or domain.")] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """Let go on what is suspended, and try at once what has stopped by itself: you have mended it.

    1: nothing of that name had stopped.
    """
    from relay.cli.stopping import resume as run

    raise typer.Exit(run(config, kind, name, as_json=json))


@app.command()
def stopped(config: Config = None, json: Json = False) -> None:
    """Show what has stopped, why, until when, and what to do: 0 nothing has, 1 something has."""
    from relay.cli.stopping import stopped as run

    raise typer.Exit(run(config, as_json=json))


@spool.command("check")
def spool_check(config: Config = None, json: Json = False) -> None:
    """Read every record and verify it: 0 all good, 1 something is damaged."""
    from relay.cli.spool_care import check
    from relay.config.read import find

    raise typer.Exit(check(find(config), as_json=json))


@spool.command("compact")
def spool_compact(config: Config = None, json: Json = False) -> None:
    """Write the queue file anew without its free pages; the relay must not run."""
    from relay.cli.spool_care import compact
    from relay.config.read import find

    raise typer.Exit(compact(find(config), as_json=json))


def main() -> None:
    """The console script."""
    try:
        app(trace.completed(sys.argv[1:]))
    except SystemExit as end:
        # Typer ends with 2 after it has shown what is wrong with the usage; no command of ours does.
        status = Exit.USAGE if end.code == 2 else end.code
    except KeyboardInterrupt:
        status = Exit.FOUND
    # Whatever it is: one sentence when it is ours or the system's, a trail when it is a fault.
    except Exception as error:
        if isinstance(error, UnicodeEncodeError) and not all(map(_is_text, sys.argv)):
            status, words = Exit.USAGE, "an argument is not text: write it in UTF-8"
        else:
            status, words = status_of(error), str(error)
        if status is Exit.SOFTWARE:
            traceback.print_exc()
        typer.echo(f"m365-relay: {words}", err=True)
    sys.exit(status)


def _is_text(argument: str) -> bool:
    """Octets that are no UTF-8 come as surrogates (PEP 383): no record takes those."""
    return argument.encode("utf-8", "replace").decode() == argument


if __name__ == "__main__":
    main()
