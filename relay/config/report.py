"""From the `[report]` table to options, with the checks that need the routes too."""

from collections.abc import Sequence
from dataclasses import replace

from relay.config.findings import Findings
from relay.config.options import given
from relay.config.report_table import ReportTable
from relay.deliver.report_options import ReportOptions, Unreportable
from relay.route.report_way import own_sender, takes_null_sender
from relay.route.route import Failed, Route

RETURNED_MAX = 1_048_576
"""A report is one content record, and lies in memory while it is made."""


def build_report(
    found: Findings, hostname: str, table: ReportTable, routes: Sequence[Route]
) -> ReportOptions:
    """The options; of use only when no problems were found."""
    options = given(ReportOptions(hostname), table, skip={"unreportable"})
    if table.unreportable is not None:
        options = replace(options, unreportable=Unreportable(table.unreportable))
    if options.returned_bytes > RETURNED_MAX:
        found.problem(
            "report.returned_size",
            f"must be {RETURNED_MAX // 1024} KiB at most; larger mail is returned by its header",
        )
    ways = [route for route in routes if options.route in ("", route.name)]
    if options.route and not ways:
        found.problem("report.route", f'"{options.route}" is no route; name one of them, or leave it out')
    elif (
        any(route.failed is Failed.REPORT for route in routes)
        and not options.sender
        and not any(map(_takes, ways))
    ):
        found.warning(
            "report.sender",
            "is missing, and no route for reports takes the null sender: nobody can be told of mail that fails, and it "
            "is held; name an address that one of the routes may send as",
        )
    return options


def _takes(route: Route) -> bool:
    return takes_null_sender(route) or own_sender(route) is not None
