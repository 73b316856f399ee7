"""From a TOML file to options, or to sentences an administrator can act on."""

import datetime
import time
from dataclasses import fields
from pathlib import Path

import pytest

from relay.audit.options import AuditOptions
from relay.config import model
from relay.config.audit_table import AuditTable
from relay.config.configuration import Configuration
from relay.config.match_table import MatchTable
from relay.config.options import key_of
from relay.config.problem import InvalidConfiguration
from relay.config.read import find, read
from relay.config.report_table import ReportTable
from relay.config.table import Table
from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions
from relay.errors import ConfigurationError
from relay.receive.options import LOOPBACK, Limits, ListenerTls
from relay.route.match import Match
from relay.route.route import Credentials, Route, TlsMode
from relay.spool.options import SpoolOptions
from relay.trace.history.options import HistoryOptions
from tests.fakes.certificate import Authority

LEAST = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:2525"
[[route]]
name = "smarthost"
host = "smtp.example.net"
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Folder:
    """A folder with a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, text: str) -> Configuration:
        file = self.path / "relay.toml"
        file.write_text(text)
        return read(file, time.time())

    def problems(self, text: str) -> tuple[str, ...]:
        with pytest.raises(InvalidConfiguration) as caught:
            self.read(text)
        return caught.value.problems

    def problem(self, text: str) -> str:
        (problem,) = self.problems(text)
        return problem


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_least_configuration_has_defaults_for_the_rest(folder: Folder) -> None:
    configuration = folder.read(LEAST)
    assert configuration.warnings == ()
    assert configuration.relay.receivers >= 1
    assert configuration.relay.drain_s == 30
    assert configuration.spool == SpoolOptions(path=folder.path / "spool")
    assert configuration.relay.run == folder.path / "spool/run"
    assert configuration.limits == Limits()
    assert configuration.deliverer == DelivererOptions(
        "relay.example.com", folder.path / "spool/handover.sock"
    )
    assert configuration.routes == (Route(name="smarthost", hosts=("smtp.example.net",)),)
    (listener,) = configuration.listeners
    assert (listener.host, listener.port, listener.options.tls) == ("127.0.0.1", 2525, ListenerTls.NONE)
    assert listener.options.networks == LOOPBACK
    assert configuration.console is None


def test_sizes_and_times_have_units(folder: Folder) -> None:
    text = (
        LEAST + 'expire = "1h30m"\nretry_first = 5\n[limits]\nmessage_size = "35 MB"\nidle_timeout = "5m"\n'
    )
    configuration = folder.read(
        text.replace("[[listener]]", 'map_size = "1 GiB"\nstall = "500ms"\n[[listener]]')
    )
    assert configuration.spool.map_size_bytes == 2**30
    assert configuration.spool.stall_s == 0.5
    assert configuration.routes[0].expire_s == 5400
    assert configuration.routes[0].retry_first_s == 5
    assert configuration.limits.message_bytes == 35_000_000
    assert configuration.limits.idle_timeout_s == 300


@pytest.mark.parametrize("value", ['"5 minutes"', '"m"', '""', '"5x"', "-1", '"1.2.3s"', "nan", "true"])
def test_a_time_that_means_nothing_is_refused(folder: Folder, value: str) -> None:
    assert folder.problem(LEAST + f"expire = {value}").startswith("route[0].expire: ")


@pytest.mark.parametrize("value", ['"150M"', '"many"', '"1..2 MB"', "-1", "1.5", "true"])
def test_a_size_that_means_nothing_is_refused(folder: Folder, value: str) -> None:
    assert folder.problem(LEAST + f"[limits]\nmessage_size = {value}").startswith("limits.message_size: ")


def test_an_unknown_key_names_the_nearest(folder: Folder) -> None:
    problem = folder.problem(LEAST + "prot = 25\n")
    assert problem == 'route[0].prot: unknown key; found 25; did you mean "port"?'


def test_a_key_in_the_wrong_table_is_sent_to_the_right_one(folder: Folder) -> None:
    problem = folder.problem(LEAST + 'networks = ["10.0.0.0/8"]\n')
    assert problem == "route[0].networks: unknown key here; it belongs to [listener]"


def test_all_problems_are_told_at_once(folder: Folder) -> None:
    problems = folder.problems(
        '[relay]\nhostnam = "x"\nreceivers = 0\n[[listener]]\naddress = "x"\ntls = "maybe"\n'
    )
    keys = sorted(problem.split(":")[0] for problem in problems)
    assert keys == [
        "listener[0].address", "listener[0].tls", "relay.hostnam", "relay.hostname", "relay.receivers", "spool",
    ]  # fmt: skip


def test_a_choice_names_what_there_is(folder: Folder) -> None:
    problem = folder.problem(LEAST + 'tls = "ssl"\n')
    assert problem == (
        'route[0].tls: must be one of "required", "opportunistic", "none" or "implicit"; found "ssl"'
    )


def test_broken_toml_has_line_and_column(folder: Folder) -> None:
    assert "line 2, column 10" in folder.problem("[relay]\nhostname=\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"gone\.toml: cannot be read: No such file"):
        read(tmp_path / "gone.toml", 0)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "address and port"),
        ("127.0.0.1:99999", "address and port"),
        ("localhost:25", "no IP address"),
        ("::1:25", "in brackets"),
    ],
)
def test_a_wrong_address_is_explained(folder: Folder, address: str, words: str) -> None:
    problem = folder.problem(LEAST.replace("127.0.0.1:2525", address))
    assert problem.startswith("listener[0].address: ") and words in problem


def test_an_ipv6_listener_is_understood(folder: Folder) -> None:
    (listener,) = folder.read(LEAST.replace("127.0.0.1:2525", "[::1]:25")).listeners
    assert (listener.host, listener.port) == ("::1", 25)


def test_two_listeners_on_one_address_are_refused(folder: Folder) -> None:
    problem = folder.problem(LEAST + '[[listener]]\naddress = "127.0.0.1:2525"\n')
    assert problem.startswith("listener[1].address: listener[0] has")


def test_a_console_on_a_listener_is_refused(folder: Folder) -> None:
    problem = folder.problem(LEAST + '[console]\naddress = "127.0.0.1:2525"\n')
    assert problem.startswith("console.address: a listener has it already")


def test_a_console_has_a_default_address(folder: Folder) -> None:
    console = folder.read(LEAST + "[console]\n").console
    assert console is not None and (console.host, console.port) == ("127.0.0.1", 9525)


def test_two_routes_of_one_name_are_refused(folder: Folder) -> None:
    extra = '[[route]]\nname = "smarthost"\nhost = "b.example.net"\n'
    problem = folder.problem(LEAST.replace("[[route]]", '[[route]]\nrecipients = ["a.example"]') + extra)
    assert problem.startswith("route[1].name: route[0] is called")


def test_a_route_behind_one_for_every_mail_is_warned_of(folder: Folder) -> None:
    (warning,) = folder.read(LEAST + '[[route]]\nname = "b"\nhost = "b.example.net"\n').warnings
    assert warning.startswith("route[1]: is never used")


def test_no_route_is_a_warning(folder: Folder) -> None:
    (warning,) = folder.read(LEAST.split("[[route]]")[0]).warnings
    assert warning.startswith("route: there is none")


def test_a_route_without_a_host_is_refused(folder: Folder) -> None:
    assert "host: is missing" in folder.problem(LEAST.replace('host = "smtp.example.net"', ""))
    assert "exclude each other" in folder.problem(LEAST + 'hosts = ["a.example"]\n')


def test_an_open_listener_is_warned_of(folder: Folder) -> None:
    (warning,) = folder.read(LEAST.replace("127.0.0.1", "0.0.0.0")).warnings
    assert warning.startswith("listener[0].networks: is missing")
    text = LEAST.replace('2525"', '2525"\nnetworks = ["0.0.0.0/0"]')
    (warning,) = folder.read(text).warnings
    assert "open relay" in warning


def test_a_network_with_host_bits_is_corrected(folder: Folder) -> None:
    problem = folder.problem(LEAST.replace('2525"', '2525"\nnetworks = ["10.1.2.3/8"]'))
    assert 'did you mean "10.0.0.0/8"?' in problem


def test_a_password_comes_from_a_file_without_its_newline(folder: Folder) -> None:
    secret = folder.path / "secret"
    secret.write_text("opensesame\n")
    secret.chmod(0o600)
    configuration = folder.read(LEAST + 'username = "u"\npassword_file = "secret"\n')
    credentials = configuration.routes[0].credentials
    assert credentials == Credentials("u", "opensesame")
    assert configuration.warnings == ()
    assert "opensesame" not in repr(configuration)


def test_a_password_that_all_can_read_is_warned_of(folder: Folder) -> None:
    secret = folder.path / "secret"
    secret.write_text("opensesame")
    secret.chmod(0o644)
    (warning,) = folder.read(LEAST + 'username = "u"\npassword_file = "secret"\n').warnings
    assert "chmod o=" in warning


def test_a_password_comes_from_the_environment(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = LEAST + 'username = "u"\npassword_env = "SMARTHOST_PASSWORD"\n'
    monkeypatch.delenv("SMARTHOST_PASSWORD", raising=False)
    assert "SMARTHOST_PASSWORD is not set" in folder.problem(text)
    monkeypatch.setenv("SMARTHOST_PASSWORD", "opensesame")
    configuration = folder.read(text)
    credentials = configuration.routes[0].credentials
    assert credentials == Credentials("u", "opensesame")
    assert configuration.secret_names == {"SMARTHOST_PASSWORD"}


@pytest.mark.parametrize("key", ["password", "pasword", "passwd", "pass_word", "secret", "token"])
def test_a_password_in_the_file_is_refused_and_not_echoed(folder: Folder, key: str) -> None:
    problem = folder.problem(LEAST + f'username = "u"\npassword_env = "PATH"\n{key} = "opensesame"\n')
    assert problem.startswith(f"route[0].{key}: ") and "opensesame" not in problem
    if key == "password":
        assert "password_file" in problem


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"\xff", b"a\0", b"x" * 5000])
def test_a_file_that_is_no_password_is_refused(folder: Folder, content: bytes) -> None:
    (folder.path / "secret").write_bytes(content)
    problem = folder.problem(LEAST + 'username = "u"\npassword_file = "secret"\n')
    assert problem.startswith("route[0].password_file: ")


def test_a_name_without_a_password_and_a_password_without_a_name_are_refused(folder: Folder) -> None:
    assert "route[0].password_file: is missing" in folder.problem(LEAST + 'username = "u"\n')
    assert "route[0].username: is missing" in folder.problem(LEAST + 'password_env = "PATH"\n')


@pytest.mark.parametrize("mode", ["none", "opportunistic"])
def test_a_password_without_tls_is_warned_of(folder: Folder, mode: str) -> None:
    text = LEAST + f'username = "u"\npassword_env = "PATH"\ntls = "{mode}"\n'
    assert any(warning.startswith("route[0].tls: ") for warning in folder.read(text).warnings)


def listener_with(authority: Authority, certificate: Path, key: Path, mode: str = "starttls") -> str:
    return LEAST.replace('2525"', f'2525"\ntls = "{mode}"\ncertificate = "{certificate}"\nkey = "{key}"')


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_listener_has_its_certificate(folder: Folder, authority: Authority, mode: str) -> None:
    certificate, key = authority.issue("relay.example.com")
    configuration = folder.read(listener_with(authority, certificate, key, mode))
    (listener,) = configuration.listeners
    assert (listener.certificate, listener.key) == (certificate, key)
    assert listener.options.tls is ListenerTls(mode)
    assert configuration.warnings == ()


def test_tls_without_a_certificate_is_refused(folder: Folder) -> None:
    problem = folder.problem(LEAST.replace('2525"', '2525"\ntls = "starttls"'))
    assert problem.startswith("listener[0].certificate: is missing")


def test_a_certificate_of_another_key_is_refused(folder: Folder, authority: Authority) -> None:
    certificate, _ = authority.issue("relay.example.com")
    _, key = authority.issue("relay.example.com")
    assert "does not belong to" in folder.problem(listener_with(authority, certificate, key))


def test_a_certificate_out_of_its_time_is_refused(folder: Folder, authority: Authority) -> None:
    now = datetime.datetime.now(datetime.UTC)
    expired = authority.issue("relay.example.com", start=now - datetime.timedelta(days=31), days=30)
    assert "expired on" in folder.problem(listener_with(authority, *expired))
    future = authority.issue("relay.example.com", start=now + datetime.timedelta(days=1))
    assert "valid only from" in folder.problem(listener_with(authority, *future))


def test_a_certificate_that_ends_soon_is_warned_of(folder: Folder, authority: Authority) -> None:
    soon = authority.issue("relay.example.com", days=5)
    (warning,) = folder.read(listener_with(authority, *soon)).warnings
    assert warning.startswith(
        "listener[0].certificate: the certificate of the listener 127.0.0.1:2525 ends on"
    )
    assert "in 4 days" in warning or "in 5 days" in warning


def test_a_certificate_that_is_missing_is_named(folder: Folder, authority: Authority) -> None:
    _, key = authority.issue("relay.example.com")
    assert "gone.pem" in folder.problem(listener_with(authority, Path("/gone.pem"), key))


def test_a_route_with_a_ca_file_that_is_missing_is_refused(folder: Folder) -> None:
    problem = folder.problem(LEAST + 'ca_file = "gone.pem"\n')
    assert problem.startswith("route[0].ca_file: cannot read")


def test_a_route_is_built_whole(folder: Folder, authority: Authority) -> None:
    certificate, key = authority.issue("relay.example.com")
    text = (
        LEAST
        + f"""
port = 465
tls = "implicit"
ca_file = "{authority.ca_file}"
client_certificate = "{certificate}"
client_key = "{key}"
ipv4_only = true
use_bdat = true
recipients = ["example.com"]
senders = ["*.example.org"]
connections = 3
retry_factor = 3
"""
    )
    (route,) = folder.read(text).routes
    assert route == Route(
        name="smarthost",
        hosts=("smtp.example.net",),
        port=465,
        tls=TlsMode.IMPLICIT,
        ca_file=str(authority.ca_file),
        client_certificate=str(certificate),
        client_key=str(key),
        ipv4_only=True,
        use_bdat=True,
        recipients=("example.com",),
        senders=("*.example.org",),
        connections=3,
        retry_factor=3.0,
    )


@pytest.mark.parametrize(
    ("options", "table", "elsewhere"),
    [
        (SpoolOptions, model.SpoolTable, {"keys"}),
        (AuditOptions, AuditTable, {"key"}),
        (Limits, model.LimitsTable, set[str]()),
        (DelivererOptions, model.DeliverTable, {"hostname", "handover_path", "weights", "campaign_weights"}),
        (ReportOptions, ReportTable, {"hostname"}),
        (Route, model.RouteTable, {"credentials", "limits", "mailboxes", "mailbox_rules", "matches"}),
        (Match, MatchTable, set[str]()),
        (HistoryOptions, model.HistoryTable, set[str]()),
    ],
)
def test_every_option_has_a_key(options: type, table: type[Table], elsewhere: set[str]) -> None:
    keys = {key_of(option.name) for option in fields(options) if option.name not in elsewhere}
    assert keys - table.model_fields.keys() == set()
    others = {
        "host",
        "username",
        "password_file",
        "password_env",
        "key_file",
        "cloud",
        "oauth",
        "limit",
        "kind_limits",
        "mailbox",
        "match",
    }
    assert table.model_fields.keys() - keys - others == set()


def test_a_configuration_is_found_where_it_is_looked_for(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    monkeypatch.delenv("M365_RELAY_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="--config"):
        find()
    (folder.path / "relay.toml").touch()
    assert find() == folder.path / "relay.toml"
    monkeypatch.setenv("M365_RELAY_CONFIG", "other.toml")
    assert find() == folder.path / "other.toml"
    assert find(Path("named.toml")) == folder.path / "named.toml"


@pytest.mark.parametrize("key", ["connections", "connections_per_address"])
def test_a_limit_smaller_than_the_number_of_receivers_cannot_be_shared_out(tmp_path: Path, key: str) -> None:
    text = (
        LEAST.replace('"relay.example.com"', '"relay.example.com"\nreceivers = 3') + f"[limits]\n{key} = 2\n"
    )
    assert Folder(tmp_path).problem(text) == (
        f"limits.{key}: must be 3 at least: each of the relay.receivers has its part"
    )


def test_a_header_must_fit_the_first_content_record(tmp_path: Path) -> None:
    problem = Folder(tmp_path).problem(LEAST + '[limits]\nheader_size = "240 KiB"\n')
    assert problem == "limits.header_size: must be below 240 KiB: the first content record"
