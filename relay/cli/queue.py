"""`m365-relay queue …`: look at the mails that wait, and say what becomes of them.

What they are selected by is the same everywhere, so that `queue list` shows what
`queue cancel` with the same options would cancel.
"""

from typing import Annotated

import typer

from relay.cli.options import (
    All,
    Campaign,
    Config,
    Ids,
    Json,
    OfPriority,
    OfStatus,
    OlderThan,
    OnRoute,
    Reason,
    Recipient,
    Reply,
    Sender,
    Yes,
)

app = typer.Typer(help="Look at the mails that wait, and say what becomes of them.", no_args_is_help=True)


@app.command("list")
def show(
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    config: Config = None,
    held: Annotated[bool, typer.Option("--held", help="Only mails with held recipients.")] = False,
    deferred: Annotated[
        bool, typer.Option("--deferred", help="Only mails with deferred recipients.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many mails, oldest first.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object a line.")] = False,
) -> None:
    """List the mails in the spool, oldest first; also while the relay runs."""
    from relay.cli.queue_list import show as run
    from relay.cli.selecting import selection_of
    from relay.config.read import find

    selection = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=False
    )
    raise typer.Exit(run(find(config), selection, held=held, deferred=deferred, limit=limit, as_json=json))


@app.command()
def hold(
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    all: All = False,
    reason: Reason = "",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Keep mails: nothing is tried until they are released."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import HoldMails

    where = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=all
    )
    raise typer.Exit(act(config, HoldMails(where=where, reason=reason), yes=yes, as_json=json))


@app.command()
def release(
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    all: All = False,
    reason: Reason = "",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let held mails be tried again, whoever or whatever has held them."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import ReleaseMails

    where = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=all
    )
    raise typer.Exit(act(config, ReleaseMails(where=where, reason=reason), yes=yes, as_json=json))


@app.command()
def retry(
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    all: All = False,
    reason: Reason = "",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Try deferred mails now, without waiting for their next attempt."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import RetryMails

    where = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=all
    )
    raise typer.Exit(act(config, RetryMails(where=where, reason=reason), yes=yes, as_json=json))


@app.command()
def cancel(
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    all: All = False,
    reason: Reason = "",
    report: Annotated[
        bool, typer.Option("--report", help="Tell the senders, with the reason if one is given.")
    ] = False,
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Take mails back for good; nobody is told, unless --report says so."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import CancelMails

    where = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=all
    )
    raise typer.Exit(
        act(config, CancelMails(where=where, reason=reason, report=report), yes=yes, as_json=json)
    )


@app.command()
def settle(
    arrived: Annotated[
        bool,
        typer.Option(
            "--arrived/--not-arrived",
            help="They are there, and go; or they are not, and are sent again.",
            show_default=False,
        ),
    ],
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    all: All = False,
    reason: Reason = "",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Say of uncertain mails whether they arrived: their connection was lost before the next hop's reply."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import SettleMails

    where = selection_of(ids, sender, recipient, route, campaign, priority, older_than, reply, "", all=all)
    request = SettleMails(where=where, arrived=arrived, reason=reason)
    raise typer.Exit(act(config, request, yes=yes, as_json=json))


@app.command()
def rebind(
    to: Annotated[str, typer.Argument(metavar="ROUTE", help="The route they take from now on.")],
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    all: All = False,
    reason: Reason = "",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Send mails by another route."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import RebindMails

    where = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=all
    )
    raise typer.Exit(act(config, RebindMails(where=where, route=to, reason=reason), yes=yes, as_json=json))


@app.command("priority")
def prioritize(
    to: Annotated[
        str,
        typer.Argument(
            metavar="PRIORITY",
            help="high, normal or bulk.",
            autocompletion=lambda: ["high", "normal", "bulk"],
        ),
    ],
    ids: Ids = None,
    sender: Sender = "",
    recipient: Recipient = "",
    route: OnRoute = "",
    campaign: Campaign = "",
    priority: OfPriority = "",
    older_than: OlderThan = "",
    reply: Reply = "",
    status: OfStatus = "",
    all: All = False,
    reason: Reason = "",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let mails go before others, or after them."""
    from relay.cli.queue_act import act
    from relay.cli.selecting import selection_of
    from relay.control.request import PrioritizeMails

    where = selection_of(
        ids, sender, recipient, route, campaign, priority, older_than, reply, status, all=all
    )
    request = PrioritizeMails(where=where, priority=to, reason=reason)
    raise typer.Exit(act(config, request, yes=yes, as_json=json))
