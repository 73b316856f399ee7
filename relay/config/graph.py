"""From `[graph]` to who asks Microsoft Graph, and whether routes ask for what there is."""

from collections.abc import Sequence

from relay.config.findings import Findings
from relay.config.graph_table import GraphTable
from relay.config.oauth import OAuthBuilder
from relay.config.options import given
from relay.identity.graph import GraphOptions
from relay.m365.cloud import CLOUDS, WORLDWIDE, Cloud
from relay.m365.preset import PRESETS, TRACED, Kind
from relay.message.uncertain import Uncertain
from relay.route.route import Route


def build_graph(
    found: Findings, table: GraphTable | None, routes: Sequence[Route], *, has_history: bool
) -> GraphOptions | None:
    """None: nobody is asked; of use only when no problems were found."""
    cloud = CLOUDS[table.cloud] if table is not None and table.cloud else WORLDWIDE
    options = None if table is None else _options(found, table, cloud)
    for i, route in enumerate(routes):
        if route.on_uncertain is Uncertain.ASK:
            _check(
                found,
                f"route[{i}].uncertain",
                route,
                cloud,
                is_there=table is not None,
                has_history=has_history,
            )
        _check_rule(found, f"route[{i}]", route, options)
    return options


def _options(found: Findings, table: GraphTable, cloud: Cloud) -> GraphOptions | None:
    resource = f"https://{cloud.graph_host}"
    builder = OAuthBuilder(found, PRESETS[Kind.SUBMISSION], cloud, resource)
    application = builder.application("graph", table)
    if application is None:
        return None
    options = GraphOptions(application, table.url or resource)
    options = given(options, table, skip={"application", "url"})
    if options.trace_first_s > options.trace_absent_after_s:
        found.problem(
            "graph.trace_first",
            "must not be later than trace_absent_after: what is not shown then is sent again",
        )
    return options


def _check(
    found: Findings, key: str, route: Route, cloud: Cloud, *, is_there: bool, has_history: bool
) -> None:
    if route.kind not in TRACED:
        found.problem(
            key,
            f'"ask" asks Exchange, and mail by kind = "{route.kind.value}" does not go there; write "hold" or "retry"',
        )
    elif not is_there:
        found.problem(
            key,
            '"ask" needs a [graph] table that says who asks Microsoft\'s message trace (docs/uncertain.md); add it, '
            'or write "hold"',
        )
    elif not cloud.has_message_trace:
        found.problem(key, f'there is no message trace in Graph for the cloud "{cloud.name}"; write "hold"')
    if not has_history:
        found.problem(
            key,
            '"ask" needs the history, which knows whether a Message-ID was used twice; leave out [history] enabled = '
            'false, or write "hold"',
        )


def _check_rule(found: Findings, key: str, route: Route, options: GraphOptions | None) -> None:
    after_s, then = route.uncertain_after_s, route.uncertain_then
    if (after_s is None) != (then is None):
        given_key, other = ("uncertain_after", "uncertain_then")[:: 1 if then is None else -1]
        found.problem(f"{key}.{given_key}", f"goes with {other}: when, and what becomes of the mail then")
        return
    if after_s is None:
        return
    if route.on_uncertain is Uncertain.RETRY:
        found.warning(
            f"{key}.uncertain_after",
            'is of use only to mails that say "hold" or "ask" themselves: the route says "retry"',
        )
    if (
        route.on_uncertain is Uncertain.ASK
        and options is not None
        and after_s <= options.trace_absent_after_s
    ):
        found.problem(
            f"{key}.uncertain_after",
            f"must be more than graph.trace_absent_after ({options.trace_absent_after_s:g} s): before, the trace may "
            "not show what has arrived",
        )
