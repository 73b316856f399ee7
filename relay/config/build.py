"""From the file to a configuration: the options of every package.

Listeners, routes and DKIM domains have files of their own; what is wrong gathers in `Findings`.
"""

import os
from dataclasses import replace
from pathlib import Path

from relay.config.audit import build_audit
from relay.config.brakes import build_brakes
from relay.config.campaign import build_campaigns
from relay.config.client import build_clients, check_named
from relay.config.configuration import Configuration, ConsoleOptions, RelayOptions
from relay.config.control import SOCKET_PATH_MAX, build_control
from relay.config.dkim import DkimBuilder
from relay.config.findings import Findings
from relay.config.graph import build_graph
from relay.config.learning import build_learning
from relay.config.limit import build_tenant
from relay.config.listener import build_listeners
from relay.config.model import File
from relay.config.oauth_inbound import build_inbound, check_use
from relay.config.options import given
from relay.config.reach import check_reach
from relay.config.report import build_report
from relay.config.rewrite import build_rewrites
from relay.config.route import build_routes
from relay.config.spoofing import build_spoofing
from relay.config.spool_key import build_keys
from relay.config.value import endpoint
from relay.config.webhook import Around, build_webhooks
from relay.deliver.options import DelivererOptions
from relay.identity import expiry
from relay.identity.client import Clients
from relay.receive.options import HEAD_BYTES, Limits
from relay.spool.options import MIB, SpoolOptions
from relay.trace.history.options import FILE as HISTORY_FILE
from relay.trace.history.options import HistoryOptions, Kept
from relay.trace.seen.options import InventoryOptions

HANDOVER_SOCKET = "handover.sock"
CLIENTS_FILE = "clients.jsonl"
HISTORY_LEAST_BYTES = 16 * MIB
"""Some 40,000 mails; below, a purge would take what was written a moment ago."""


def build(path: Path, file: File, found: Findings) -> Configuration:
    """The configuration; of use only when no problems were found."""
    folder = found.file(file.spool.path)
    keys = build_keys(found, file.spool.key_file, folder)
    spool = given(SpoolOptions(path=folder, keys=keys), file.spool, skip={"path"})
    handover = spool.path / HANDOVER_SOCKET
    if len(os.fsencode(handover)) > SOCKET_PATH_MAX:
        found.problems.append(
            f"spool.path: is too long for the Unix socket in it ({SOCKET_PATH_MAX} bytes with /{HANDOVER_SOCKET})"
        )
    deliverer = DelivererOptions(hostname=file.relay.hostname, handover_path=handover)
    relay = _relay(found, file, spool.path)
    limits = _limits(found, file, relay.receivers)
    routes = build_routes(found, file.route, file.tenant)
    check_reach(found, routes, limits.message_bytes)
    tenant = build_tenant(found, file.tenant, spool.path)
    inbound = build_inbound(found, file.oauth_inbound)
    clients = build_clients(found, file.client, relay.clients_file, routes, tenant, inbound)
    check_named(found, routes, clients)
    listeners = build_listeners(found, file.listener, clients)
    of_listeners = [each.options for each in listeners]
    check_use(found, clients.clients, of_listeners, inbound)
    history = _history(found, file, spool.path)
    graph = build_graph(found, file.graph, routes, has_history=history.enabled)
    if tenant.recipients is not None and file.graph is None:
        found.problem(
            "tenant.recipients",
            '"graph" needs a [graph] table that says who asks the directory (docs/clients.md); add it, or name a '
            "recipients_file",
        )
    return Configuration(
        path=path,
        relay=relay,
        spool=spool,
        limits=limits,
        deliverer=given(_weighed(found, file, deliverer, clients), file.deliver),
        history=history,
        listeners=listeners,
        routes=routes,
        report=build_report(found, file.relay.hostname, file.report, routes),
        rewrites=build_rewrites(found, file.rewrite),
        tenant=tenant,
        graph=graph,
        control=build_control(found, file.control, spool.path),
        console=_console(found, file),
        dkim=DkimBuilder(found).build(file.dkim),
        credentials=expiry.soonest(found.credentials),
        clients=clients,
        inbound=inbound,
        spoofing=build_spoofing(found, file.spoofing, tenant),
        brakes=build_brakes(file.brakes),
        audit=build_audit(found, file.audit),
        learning=build_learning(found, file.learning, routes, tenant, of_listeners),
        inventory=given(InventoryOptions(), file.inventory),
        webhooks=build_webhooks(
            found, file.webhook, Around(relay.hostname, spool.path, history, routes, clients)
        ),
        secret_names=frozenset(found.secret_names),
        warnings=tuple(found.warnings),
    )


def _weighed(found: Findings, file: File, options: DelivererOptions, clients: Clients) -> DelivererOptions:
    campaigns = build_campaigns(found, file.campaign)
    return replace(options, weights=clients.weights(), campaign_weights=campaigns)


def _history(found: Findings, file: File, spool: Path) -> HistoryOptions:
    table = file.history
    path = spool / HISTORY_FILE if table.path is None else found.file(table.path)
    options = HistoryOptions(path)
    if table.recipients is not None:
        options = replace(options, recipients=Kept(table.recipients))
    options = given(options, table, skip={"path", "recipients"})
    if path.suffix != ".db":
        found.problem(
            "history.path",
            'must end in ".db": what is no history there is moved aside, and no other file may be by a slip',
        )
    if options.max_size_bytes < HISTORY_LEAST_BYTES:
        found.problem("history.max_size", f"must be at least {HISTORY_LEAST_BYTES // MIB} MiB")
    return options


def _limits(found: Findings, file: File, receivers: int) -> Limits:
    limits = given(Limits(), file.limits)
    for key in ("connections", "connections_per_address"):
        if getattr(limits, key) < receivers:
            found.problem(
                f"limits.{key}", f"must be {receivers} at least: each of the relay.receivers has its part"
            )
    if limits.header_bytes >= HEAD_BYTES:
        found.problem(
            "limits.header_size", f"must be below {HEAD_BYTES // 1024} KiB: the first content record"
        )
    return limits


def _relay(found: Findings, file: File, spool: Path) -> RelayOptions:
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    cores = len(os.sched_getaffinity(0))
    options = RelayOptions(
        hostname=file.relay.hostname,
        receivers=min(max(cores - 1, 1), 32),
        run=Path(runtime) if runtime else spool / "run",
        clients_file=found.file(file.relay.clients_file or CLIENTS_FILE),
    )
    if file.relay.run is not None:
        options = replace(options, run=found.file(file.relay.run))
    if "." not in file.relay.hostname:
        found.warnings.append(
            f'relay.hostname: "{file.relay.hostname}" has no domain; servers may refuse it in EHLO (RFC 5321 section 4.1.1.1)'
        )
    return given(options, file.relay, skip={"hostname", "run", "clients_file"})


def _console(found: Findings, file: File) -> ConsoleOptions | None:
    table = file.console
    if table is None:
        return None
    console = ConsoleOptions(*endpoint(table.address)) if table.address else ConsoleOptions()
    if console.port and any(endpoint(each.address) == (console.host, console.port) for each in file.listener):
        found.problems.append("console.address: a listener has it already; change one of them")
    return console
