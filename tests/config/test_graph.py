"""`[graph]` and the rules for mail in doubt: what is filled in, and sentences about what is wrong."""

import typing
from pathlib import Path

import pytest
from msgspec.structs import replace

from relay.cli.check_config import in_force
from relay.config import marks, value
from relay.config.configuration import Configuration
from relay.message.uncertain import Then, Uncertain
from relay.process import assignment
from relay.route.oauth import ClientSecret
from relay.route.tenant import Unknown
from tests.config.test_oauth import INSIDE, LEAST
from tests.config.test_read import Folder
from tests.process.test_assignment import TOLD

GRAPH = '[graph]\ntenant = "contoso.com"\nclient_id = "app"\nclient_secret_file = "secret"\n'
ASKING = LEAST + 'kind = "connector"\nuncertain = "ask"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "secret").write_text("opensesame\n")
    (tmp_path / "secret").chmod(0o600)
    return Folder(tmp_path)


def read(folder: Folder, text: str) -> Configuration:
    return folder.read(text)


def test_what_is_left_out_is_filled_in(folder: Folder) -> None:
    configuration = read(folder, ASKING + INSIDE + GRAPH)
    graph = configuration.graph
    assert graph is not None
    assert (graph.url, graph.application.scope) == (
        "https://graph.microsoft.com",
        "https://graph.microsoft.com/.default",
    )
    assert graph.application.authority == "https://login.microsoftonline.com/contoso.com"
    assert graph.application.proof == ClientSecret("opensesame")
    assert (graph.trace_first_s, graph.trace_absent_after_s, graph.trace_questions) == (300, 3600, 50)
    assert configuration.routes[0].on_uncertain is Uncertain.ASK


def test_what_is_written_counts_and_the_secret_is_never_shown(folder: Folder) -> None:
    own = 'url = "graph.example:8443"\ntrace_first = "1m"\ntrace_absent_after = "30m"\ntrace_questions = 5\n'
    configuration = read(folder, ASKING + INSIDE + GRAPH + own)
    graph = configuration.graph
    assert graph is not None and graph.url == "https://graph.example:8443"
    shown = dict(in_force(configuration))
    assert shown["graph.trace_absent_after"] == "30m" and shown["graph.trace_questions"] == "5"
    assert shown["graph.application"] == "the application app"
    assert "opensesame" not in str(shown) + repr(configuration)
    assert marks.secrets(configuration)["graph.secret"] == b"opensesame"


def test_who_is_asked_survives_the_way_to_the_deliverer(folder: Folder) -> None:
    configuration = read(folder, ASKING + INSIDE + GRAPH)
    told = replace(TOLD, graph=configuration.graph)
    assert assignment.decode(assignment.encode(told)).graph == configuration.graph


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ASKING + INSIDE, 'route[0].uncertain: "ask" needs a [graph] table'),
        (
            LEAST + 'host = "h.example"\nuncertain = "ask"\n' + GRAPH,
            'mail by kind = "smtp" does not go there',
        ),
        (ASKING + INSIDE + GRAPH + 'cloud = "gcc-high"\n', "no message trace in Graph for the cloud"),
        (ASKING + INSIDE + GRAPH + "[history]\nenabled = false\n", "needs the history"),
        (ASKING + INSIDE + GRAPH + 'trace_first = "2h"\n', "must not be later than trace_absent_after"),
        (ASKING + INSIDE + GRAPH + "trace_questions = 101\n", "must be at most 100"),
        (ASKING + INSIDE + GRAPH + 'url = "http://graph.example"\n', "write the host of Microsoft Graph"),
        (ASKING + INSIDE + '[graph]\ntenant = "common"\nclient_id = "a"\n', "needs the tenant itself"),
        (
            ASKING + INSIDE + '[graph]\ntenant = "c.com"\nclient_id = "a"\n',
            "says not how the application proves",
        ),
        (ASKING + INSIDE + GRAPH + 'margin = "1m"\n', "graph.margin: unknown key"),
        (
            LEAST + 'host = "h.example"\nuncertain_after = "2h"\n',
            "route[0].uncertain_after: goes with uncertain_then",
        ),
        (
            LEAST + 'host = "h.example"\nuncertain_then = "fail"\n',
            "route[0].uncertain_then: goes with uncertain_after",
        ),
        (LEAST + 'host = "h.example"\n[tenant]\nrecipients = "graph"\n' + GRAPH, "tenant.recipients: "),
        (LEAST + 'host = "h.example"\n' + INSIDE + 'recipients = "graph"\n', "needs a [graph] table"),
        (
            LEAST
            + 'host = "h.example"\n'
            + INSIDE
            + 'recipients = "graph"\nrecipients_stale = "10m"\n'
            + GRAPH,
            "must be longer than recipients_refresh",
        ),
        (LEAST + 'host = "h.example"\n' + INSIDE + 'recipients_refresh = "5s"\n', "must be at least 60"),
        (
            ASKING + 'uncertain_after = "1h"\nuncertain_then = "retry"\n' + INSIDE + GRAPH,
            "must be more than graph.trace_absent_after",
        ),
    ],
)
def test_what_is_wrong_is_said(folder: Folder, text: str, words: str) -> None:
    assert any(words in problem for problem in folder.problems(text)), folder.problems(text)


def test_a_rule_is_read(folder: Folder) -> None:
    rule = 'uncertain = "hold"\nuncertain_after = "2h"\nuncertain_then = "fail"\n'
    [route] = read(folder, LEAST + 'host = "h.example"\n' + rule).routes
    assert (route.uncertain_after_s, route.uncertain_then) == (7200.0, Then.FAIL)


def test_a_rule_of_a_route_that_keeps_nothing_is_warned_of(folder: Folder) -> None:
    rule = 'uncertain_after = "2h"\nuncertain_then = "fail"\n'
    warnings = read(folder, LEAST + 'host = "h.example"\n' + rule).warnings
    assert any('the route says "retry"' in each for each in warnings)


def test_the_directory_becomes_a_list_beside_the_spool(folder: Folder) -> None:
    keys = 'recipients = "graph"\nrecipients_unknown = "refuse"\nrecipients_refresh = "10m"\n'
    tenant = read(folder, LEAST + 'host = "h.example"\n' + INSIDE + keys + GRAPH).tenant
    assert tenant.recipients == folder.path / "spool/recipients.list"
    assert (tenant.recipients_refresh_s, tenant.recipients_stale_s) == (600, 86_400)
    assert tenant.recipients_unknown is Unknown.REFUSE
    assert read(folder, LEAST + 'host = "h.example"\n' + INSIDE).tenant.recipients is None


def test_the_words_are_those_of_the_code() -> None:
    assert typing.get_args(value.ThenWord) == tuple(each.value for each in Then)
    assert typing.get_args(value.UnknownWord) == tuple(each.value for each in Unknown)


def test_the_example_of_the_documentation_is_good(folder: Folder, tmp_path: Path) -> None:
    """But for its certificate, which is not there."""
    text = (Path(__file__).parents[2] / "docs/uncertain.md").read_text()
    example = text.split("```toml\n")[2].split("```")[0]
    head = LEAST.rpartition("[[route]]")[0] + '[tenant]\ndomains = ["contoso.onmicrosoft.com"]\n'
    example = example.replace('certificate = "graph.pem"\nkey = "graph.key"', 'client_secret_file = "secret"')
    assert read(folder, head + example).graph is not None
