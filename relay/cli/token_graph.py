"""`token check` for `[graph]`: a token for Microsoft Graph, and its roles beside what this relay asks of Graph.

Application permissions with admin consent stand in a token's `roles`, under their names. Graph
itself is asked nothing here.
"""

from collections.abc import Sequence

from msgspec import Struct

from relay.cli.token_look import TokenReport, look, rows
from relay.config.configuration import Configuration
from relay.identity import message_trace, recipients
from relay.identity.graph import GraphOptions
from relay.m365.cloud import CLOUDS
from relay.message.uncertain import Uncertain
from relay.process.exits import Exit

GRAPH = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph: the audience where it is not written as an address."""
DIRECTORY = (
    ("User.Read.All", "User.ReadWrite.All"),
    ("Group.Read.All", "Group.ReadWrite.All"),
    ("OrgContact.Read.All",),
)
"""Instead of the one for all of the directory: one of each for users, groups and contacts."""
ALL_OF_IT = (recipients.ROLE, "Directory.ReadWrite.All")
TRACE = "the message trace"

Line = tuple[str, str, str]


class Use(Struct):
    """What Graph is asked for, and whether the token's roles allow it."""

    what: str
    wanted_by: tuple[str, ...]
    """Keys and routes; empty: nobody asks for it but a mail that says so itself."""
    lacks: tuple[str, ...] = ()
    """Permissions."""


class GraphReport(TokenReport, kw_only=True):
    """The application of `[graph]`."""

    uses: tuple[Use, ...] = ()

    @property
    def is_good(self) -> bool:
        """There is a token, and it has the roles for what is asked."""
        return not self.troubles and not any(each.lacks and each.wanted_by for each in self.uses)


def judge(configuration: Configuration, options: GraphOptions) -> tuple[GraphReport, Exit]:
    """Fetch a token, and compare."""
    application = options.application
    report = GraphReport(
        application=str(application), authority=application.authority, scope=application.scope
    )
    claims, status = look(report, application)
    if claims is None:
        return report, status
    if claims.aud.rstrip("/") not in _audiences(options):
        report.troubles = (
            f"the token is for {report.audience or 'nothing'}, and Graph takes one for {_resource(options)}; "
            f"set graph.scope to {_resource(options)}/.default, or leave it out",
        )
    else:
        report.uses = _uses(configuration, claims.roles)
    return report, Exit.OK if report.is_good else Exit.FOUND


def lines(report: GraphReport) -> list[Line]:
    """For people: mark, style, text."""
    found = [("Microsoft Graph", "bold", "")]
    found += [(f"{key:<16}", "bold", value) for key, value in rows(report) if value]
    found += [("! ", "yellow", text) for text in report.warnings]
    found += [("✗ ", "red", text) for text in report.troubles]
    found += [_line(use) for use in report.uses]
    if report.is_good and any(use.what == TRACE and use.wanted_by for use in report.uses):
        found.append(
            (
                "",
                "",
                "What no token shows: the message trace wants a service principal of its own in the tenant "
                "(docs/uncertain.md)",
            )
        )
    return found


def _uses(configuration: Configuration, roles: Sequence[str]) -> tuple[Use, ...]:
    directory = ("tenant.recipients",) if configuration.tenant.recipients is not None else ()
    asking = tuple(
        f"route {route.name}" for route in configuration.routes if route.on_uncertain is Uncertain.ASK
    )
    trace = () if message_trace.ROLE in roles else (message_trace.ROLE,)
    return (Use("the directory", directory, _directory_lacks(roles)), Use(TRACE, asking, trace))


def _directory_lacks(roles: Sequence[str]) -> tuple[str, ...]:
    """The one role for all of it, where the token has none for a part either; else those for the parts that are missing."""
    if any(role in roles for role in ALL_OF_IT):
        return ()
    missing = tuple(each[0] for each in DIRECTORY if not any(role in roles for role in each))
    return (recipients.ROLE,) if len(missing) == len(DIRECTORY) else missing


def _line(use: Use) -> Line:
    if not use.lacks:
        return "✓ ", "green", f"{use.what}{_by(use)}: the token has the role for it"
    which = f"{'roles' if len(use.lacks) > 1 else 'role'} {' and '.join(use.lacks)}"
    if not use.wanted_by:
        return "  ", "", f"{use.what}: nothing here asks for it, and the token lacks the {which}"
    return (
        "✗ ",
        "red",
        f"{use.what}{_by(use)}: the token lacks the {which}; give the application that permission of Microsoft Graph "
        "(an application permission, not a delegated one) and grant admin consent",
    )


def _by(use: Use) -> str:
    return f" ({', '.join(use.wanted_by)})" if use.wanted_by else ""


def _resource(options: GraphOptions) -> str:
    """Of the cloud that is configured; of a host that is none of Microsoft's, the worldwide one."""
    known = [f"https://{cloud.graph_host}" for cloud in CLOUDS.values()]
    return options.url if options.url in known else known[0]


def _audiences(options: GraphOptions) -> tuple[str, ...]:
    return (_resource(options), options.url, GRAPH)
