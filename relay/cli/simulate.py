"""`simulate`: a local Microsoft 365, and how to reach it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from relay.simulator.options import File
    from relay.simulator.report import Report
    from relay.simulator.simulator import Simulator

LIST_MAX = 20
"""Violations and refusals shown at the end; the report has all."""


def simulate(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="The tenant, as TOML; docs/simulator.md."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where CA, password, secret and certificates are written and kept."
        ),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(metavar="N", help="So many seconds pass for it in one.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what happened as JSON at the end.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="For programs: where it listens, as one JSON line.")
    ] = False,
) -> None:
    """Pretend to be Microsoft 365 on this machine, until Ctrl-C: its dialogues, limits and tokens."""
    import asyncio

    import msgspec
    import uvloop

    from relay.simulator.read import read

    file = read(config)
    changes: dict[str, object] = {}
    if folder is not None:
        changes["folder"] = str(folder.absolute())
    if speed is not None:
        if not 0 < speed <= 100_000:
            raise typer.BadParameter("from 0 to 100000", param_hint="--speed")
        changes["speed"] = speed
    file = file.model_copy(update=changes)
    beside = None if config is None else config.absolute().parent
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        happened = runner.run(_run(file, beside, as_json=json))
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(happened)) + b"\n")
    _say_what(happened, as_json=json)


async def _run(file: "File", beside: Path | None, *, as_json: bool) -> "Report":
    import random

    from relay.clock import SystemClock
    from relay.process.told import told_to_end
    from relay.simulator.folder import Folder, folder_of
    from relay.simulator.simulator import Simulator

    domain = (file.tenant.domains or ["contoso.example"])[0]
    folder = Folder(folder_of(file, beside), file.listen.names, f"relay.{domain}")
    simulator = Simulator(folder.completed(file), folder, SystemClock(), random.random)
    # Before anybody is told that it runs: who reads that may end it at once.
    told = told_to_end()
    await simulator.start()
    _say_where(simulator, as_json=as_json)
    await told.wait()
    await simulator.close()
    return simulator.report()


def _say_where(simulator: "Simulator", *, as_json: bool) -> None:
    import msgspec

    from relay.cli.simulate_route import route_by_password, route_by_token

    folder, file = simulator.folder, simulator.file
    facts = {
        "folder": str(folder.path),
        "ca_file": str(folder.ca_file),
        "password_file": str(folder.password_file),
        "authority": f"{simulator.authority.base}/{file.tenant.id}",
        "client_id": file.application[0].client_id if file.application else "",
        "secret_file": str(folder.secret_file),
        "application_certificate": str(folder.application_certificate_file),
        "application_key": str(folder.application_key_file),
        "connector_certificate": str(folder.client_certificate_file),
        "connector_key": str(folder.client_key_file),
        "control": f"{simulator.authority.base}/control/report",
    }
    if as_json:
        everything = {"addresses": simulator.addresses, **facts, "route": route_by_password(simulator)}
        everything["route_by_token"] = route_by_token(simulator)
        typer.echo(msgspec.json.encode(everything).decode())
        return
    typer.echo(f"A Microsoft 365 for tests; its clock runs {file.speed:g} times as fast. Ctrl-C ends it.\n")
    shown = simulator.addresses | facts | {"mailboxes": ", ".join(each.address for each in file.mailbox)}
    for name, value in shown.items():
        typer.echo(f"  {name:<24}{value}")
    typer.echo("")
    typer.echo(f"For relay.toml:\n\n{route_by_password(simulator)}")
    typer.echo(f"or, with a token instead of a password:\n\n{route_by_token(simulator)}")


def _say_what(report: "Report", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    typer.echo(
        f"\naccepted {report.accepted:,} mails for {report.recipients:,} recipients "
        f"({report.external_recipients:,} outside), {report.bytes:,} bytes; {report.duplicates:,} duplicates"
    )
    for title, counts in (
        ("violated", report.violations),
        ("refused", report.refusals),
        ("faults", report.faults),
    ):
        for text, number in sorted(counts.items(), key=lambda item: -item[1])[:LIST_MAX]:
            typer.echo(f"{title} {number:>8,} × {text}")
