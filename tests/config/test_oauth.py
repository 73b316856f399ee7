"""`kind` and `[route.oauth]`: what is filled in, and sentences about what is wrong."""

import datetime
import re
import typing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from relay.cli.check_config import in_force
from relay.config import value
from relay.config.configuration import Configuration
from relay.config.value import size_bytes
from relay.m365.cloud import CLOUDS
from relay.m365.preset import PRESETS, HostFrom, Kind
from relay.route.oauth import ClientCertificate, ClientSecret, ManagedIdentity, OAuth
from relay.route.route import Credentials, TlsMode
from relay.simulator.certificate import self_signed
from tests.config.test_read import Folder
from tests.fakes.certificate import Authority

LEAST = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:2525"
[[route]]
name = "exchange"
"""
INSIDE = '[tenant]\ndomains = ["contoso.com"]\n'
OAUTH = 'username = "a@contoso.com"\n[route.oauth]\n'
IDS = 'tenant = "contoso.com"\nclient_id = "app"\n'
SUBMISSION = LEAST + 'kind = "submission"\n' + OAUTH
SECRET = IDS + 'client_secret_file = "secret"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    for name in ("secret", "password"):
        (tmp_path / name).write_text("opensesame\n")
        (tmp_path / name).chmod(0o600)
    return Folder(tmp_path)


def oauth_of(configuration: Configuration) -> OAuth:
    credentials = configuration.routes[0].credentials
    assert isinstance(credentials, OAuth)
    return credentials


def certificate_in(folder: Path, password: bytes | None = None) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden
    (folder / "entra.pem").write_bytes(self_signed("relay", key).public_bytes(serialization.Encoding.PEM))
    (folder / "entra.key").write_bytes(key.private_bytes(*form))


def test_the_choices_are_those_of_the_tables() -> None:
    assert typing.get_args(value.RouteKind) == tuple(kind.value for kind in Kind)
    assert typing.get_args(value.CloudName) == tuple(CLOUDS)


def test_a_submission_route_needs_mailbox_and_application_only(folder: Folder) -> None:
    configuration = folder.read(SUBMISSION + SECRET)
    assert configuration.warnings == ()
    (route,) = configuration.routes
    assert (route.kind, route.hosts, route.port) == (Kind.SUBMISSION, ("smtp.office365.com",), 587)
    assert (route.tls, route.connections, route.recipients_per_message) == (TlsMode.REQUIRED, 3, 500)
    oauth = oauth_of(configuration)
    assert (oauth.username, oauth.role, oauth.margin_s) == ("a@contoso.com", "SMTP.SendAsApp", 60)
    application = oauth.application
    assert application.authority == "https://login.microsoftonline.com/contoso.com"
    assert application.scope == "https://outlook.office365.com/.default"
    assert application.proof == ClientSecret("opensesame") and application.client_id == "app"
    assert "opensesame" not in repr(configuration)


def test_high_volume_has_its_own_host_scope_role_and_margin(folder: Folder) -> None:
    configuration = folder.read(INSIDE + SUBMISSION.replace('"submission"', '"high-volume"') + SECRET)
    oauth = oauth_of(configuration)
    assert configuration.routes[0].hosts == ("smtp.hve.mx.microsoft",)
    assert configuration.routes[0].recipients_per_message == 50
    assert (oauth.role, oauth.margin_s, oauth.ends_session) == ("Mail.Send", 600, True)
    assert oauth.application.scope == "https://outlook.office.com/.default"


def test_a_cloud_changes_host_authority_and_scope(folder: Folder) -> None:
    text = SUBMISSION.replace('kind = "submission"', 'kind = "submission"\ncloud = "gcc-high"') + SECRET
    configuration = folder.read(text)
    assert configuration.routes[0].hosts == ("smtp.office365.us",)
    application = oauth_of(configuration).application
    assert application.authority == "https://login.microsoftonline.us/contoso.com"
    assert application.scope == "https://outlook.office365.us/.default"


def test_what_the_administrator_writes_counts(folder: Folder) -> None:
    keys = 'kind = "submission"\nhost = "127.0.0.1"\nport = 1587\nconnections = 2\nrecipients_per_message = 7\nipv4_only = true'
    own = 'authority = "localhost:1443"\nscope = "https://x.test/.default"\nmargin = "5m"\nsession_ends_with_token = false\n'
    configuration = folder.read(SUBMISSION.replace('kind = "submission"', keys) + SECRET + own)
    (route,), oauth = configuration.routes, oauth_of(configuration)
    assert (route.hosts, route.port, route.connections) == (("127.0.0.1",), 1587, 2)
    assert route.recipients_per_message == 7 and route.ipv4_only
    assert oauth.application.authority == "https://localhost:1443/contoso.com"
    assert oauth.application.scope == "https://x.test/.default"
    assert (oauth.margin_s, oauth.ends_session) == (300, False)


@pytest.mark.parametrize("kind", ["connector", "direct"])
def test_a_route_to_the_mx_needs_a_domain_or_a_host(folder: Folder, kind: str) -> None:
    problem = folder.problems(LEAST + f'kind = "{kind}"\n')[0]
    assert problem.startswith("route[0].host: is missing") and 'mx_of = "contoso.com"' in problem
    (route,) = folder.read(
        INSIDE + LEAST + f'kind = "{kind}"\nhost = "contoso-com.mail.protection.outlook.com"\n'
    ).routes
    assert (route.port, route.ipv4_only) == (25, True)
    assert (route.recipients_per_message, route.recipients_per_domain) == (500, 100)


def mx_of(folder: Folder, keys: str, tenant: str) -> tuple[tuple[str, ...], str]:
    (route,) = folder.read(LEAST + f'kind = "connector"\n{keys}\n[tenant]\n{tenant}\n').routes
    return route.hosts, route.mx_of


def test_the_mx_is_that_of_the_tenants_initial_domain_or_its_first(folder: Folder) -> None:
    assert mx_of(folder, "", 'domains = ["*.contoso.com", "Contoso.com", "b.test"]') == ((), "contoso.com")
    assert mx_of(folder, "", 'domains = ["contoso.com", "contoso.onmicrosoft.com"]') == (
        (),
        "contoso.onmicrosoft.com",
    )


def test_what_is_in_force_shows_the_hosts_or_whose_mx_they_are(folder: Folder) -> None:
    rows = dict(in_force(folder.read(INSIDE + LEAST + 'kind = "direct"\nmx_of = "contoso.com"\n')))
    assert rows["route[0].mx_of"] == "contoso.com" and "route[0].hosts" not in rows
    rows = dict(in_force(folder.read(INSIDE + LEAST + 'kind = "direct"\nhost = "mx.test"\n')))
    assert rows["route[0].hosts"] == "mx.test" and "route[0].mx_of" not in rows


def test_a_domain_of_the_route_or_its_host_count_before_the_tenants(folder: Folder) -> None:
    tenant = 'domains = ["contoso.com"]'
    assert mx_of(folder, 'mx_of = "Fabrikam.com"', tenant) == ((), "fabrikam.com")
    assert mx_of(folder, 'host = "mx.test"', tenant) == (("mx.test",), "")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('kind = "direct"\nmx_of = "contoso.com"\nhost = "mx.test"', "mx_of: and host exclude each other"),
        ('kind = "direct"\nmx_of = "*.contoso.com"', "mx_of: write one domain"),
        ('kind = "direct"\nmx_of = "contoso"', "mx_of: write a domain"),
        ('host = "mx.test"\nmx_of = "contoso.com"', 'mx_of: goes with kind = "connector" or "direct"'),
    ],
)
def test_a_domain_for_the_mx_that_means_nothing_is_refused(folder: Folder, keys: str, words: str) -> None:
    assert words in folder.problem(INSIDE + LEAST + keys + "\n")


def test_a_cloud_without_high_volume_needs_a_host(folder: Folder) -> None:
    text = INSIDE + SUBMISSION.replace('"submission"', '"high-volume"\ncloud = "dod"') + SECRET
    assert 'none is known for the cloud "dod"' in folder.problem(text)


def test_an_mx_takes_no_login(folder: Folder) -> None:
    text = LEAST + 'kind = "connector"\nhost = "mx.test"\nusername = "u"\npassword_file = "password"\n'
    assert folder.problem(text).startswith("route[0].username: ")


@pytest.mark.parametrize("kind", ["submission", "high-volume", "acs"])
def test_a_kind_that_logs_in_needs_a_login(folder: Folder, kind: str) -> None:
    problem = folder.problem(INSIDE + LEAST + f'kind = "{kind}"\n')
    assert problem.startswith("route[0].username: is missing") and "password_file" in problem


def test_a_password_for_submission_is_warned_of_and_not_for_others(folder: Folder) -> None:
    login = 'username = "a@contoso.com"\npassword_file = "password"\n'
    configuration = folder.read(LEAST + 'kind = "submission"\n' + login)
    assert configuration.routes[0].credentials == Credentials("a@contoso.com", "opensesame")
    (warning,) = configuration.warnings
    assert "December 2026" in warning and "[route.oauth]" in warning
    assert folder.read(INSIDE + LEAST + 'kind = "high-volume"\n' + login).warnings == ()


def test_communication_services_take_no_token(folder: Folder) -> None:
    text = SUBMISSION.replace('"submission"', '"acs"') + SECRET
    assert folder.problem(text).startswith("route[0].oauth: ")


def test_any_server_may_take_tokens(folder: Folder) -> None:
    text = LEAST + 'host = "smtp.example.net"\n' + OAUTH + SECRET
    assert oauth_of(folder.read(text)).role == ""


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        (IDS, "oauth", "write one of client_secret_file"),
        (SECRET + 'managed_identity = "system"\n', "oauth", "exclude each other"),
        ('client_secret_file = "secret"\ntenant = "t"\n', "oauth.client_id", "is missing"),
        ('client_secret_file = "secret"\nclient_id = "c"\n', "oauth.tenant", "is missing"),
        (SECRET.replace("contoso.com", "common"), "oauth.tenant", "the tenant itself"),
        (SECRET.replace("contoso.com", "a/b"), "oauth.tenant", "a domain of it"),
        (SECRET + 'authority = "http://x.test"\n', "oauth.authority", "host"),
        (SECRET + 'authority = "https://x.test/tenant"\n', "oauth.authority", "a key of its own"),
        (SECRET + 'scope = "https://outlook.office.com/SMTP.Send"\n', "oauth.scope", "/.default"),
        (SECRET + 'key = "entra.key"\n', "oauth.key", "goes with a certificate"),
        (SECRET + 'client_secret_expires = "2027-01-31"\n', "oauth.client_secret_expires", "without quotes"),
        (
            SECRET + "client_secret_expires = 2027-01-31T00:00:00Z\n",
            "oauth.client_secret_expires",
            "without quotes",
        ),
        (SECRET.replace('"secret"', '"gone"'), "oauth.client_secret_file", "No such file"),
        (IDS + 'client_secret_env = "GONE"\n', "oauth.client_secret_env", "GONE is not set"),
        (IDS + 'certificate = "gone.pem"\n', "oauth.certificate", "No such file"),
        (IDS + 'certificate = "secret"\n', "oauth.certificate", "no usable PEM certificate"),
        ('managed_identity = "system"\ntenant = "t"\n', "oauth.tenant", "of no use"),
        (SECRET + 'ca_file = "gone.pem"\n', "oauth.ca_file", "cannot read"),
        (SECRET + 'tenent = "t"\n', "oauth.tenent", 'did you mean "tenant"?'),
        (SECRET + 'client_secret = "hush"\n', "oauth.client_secret", "name that with client_secret_file"),
        (IDS + 'certificate = "x"\nkey_password = "hush"\n', "oauth.key_password", "key_password_env"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, keys: str, key: str, words: str
) -> None:
    monkeypatch.delenv("GONE", raising=False)
    problem = folder.problem(SUBMISSION + keys)
    assert problem.startswith(f"route[0].{key}: ") and words in problem
    assert "hush" not in problem and "opensesame" not in problem


def test_a_mailbox_is_needed_and_no_password(folder: Folder) -> None:
    text = SUBMISSION + SECRET
    assert folder.problem(text.replace('username = "a@contoso.com"\n', "")).startswith("route[0].username: ")
    both = text.replace("[route.oauth]", 'password_file = "password"\n[route.oauth]')
    assert "exclude each other" in folder.problem(both)


def test_a_secret_from_the_environment_is_kept_from_children(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTRA", "opensesame")
    configuration = folder.read(SUBMISSION + IDS + 'client_secret_env = "ENTRA"\n')
    assert oauth_of(configuration).application.proof == ClientSecret("opensesame")
    assert configuration.secret_names == {"ENTRA"}


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_certificate_is_read_with_its_key(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, is_hidden: bool
) -> None:
    monkeypatch.setenv("KEY_PASSWORD", "hush")
    certificate_in(folder.path, b"hush" if is_hidden else None)
    keys = IDS + 'certificate = "entra.pem"\nkey = "entra.key"\n'
    configuration = folder.read(
        SUBMISSION + keys + ('key_password_env = "KEY_PASSWORD"\n' if is_hidden else "")
    )
    application = oauth_of(configuration).application
    assert isinstance(application.proof, ClientCertificate)
    assert "BEGIN PRIVATE KEY" in application.proof.key and "ENCRYPTED" not in application.proof.key
    assert application.expires_at is not None and configuration.warnings == ()
    assert "PRIVATE" not in repr(configuration)


def test_a_key_without_or_with_a_wrong_passphrase_is_refused(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_PASSWORD", "wrong")
    certificate_in(folder.path, b"hush")
    keys = SUBMISSION + IDS + 'certificate = "entra.pem"\nkey = "entra.key"\n'
    assert "name its passphrase with key_password_env" in folder.problem(keys)
    assert "passphrase is wrong" in folder.problem(keys + 'key_password_env = "KEY_PASSWORD"\n')
    certificate_in(folder.path)
    assert "is not encrypted" in folder.problem(keys + 'key_password_env = "KEY_PASSWORD"\n')


def test_a_key_of_another_certificate_or_kind_is_refused(folder: Folder, tmp_path: Path) -> None:
    certificate_in(folder.path)
    (tmp_path / "other").mkdir()
    certificate_in(tmp_path / "other")
    keys = SUBMISSION + IDS + 'certificate = "entra.pem"\nkey = "other/entra.key"\n'
    assert "does not belong to" in folder.problem(keys)
    certificate, key = Authority(tmp_path / "other").issue("relay")
    elliptic = f'certificate = "{certificate}"\nkey = "{key}"\n'
    assert "no RSA key" in folder.problem(SUBMISSION + IDS + elliptic)


@pytest.mark.parametrize(("written", "client_id"), [("system", ""), ("1234-abcd", "1234-abcd")])
def test_a_managed_identity_needs_no_secret(folder: Folder, written: str, client_id: str) -> None:
    configuration = folder.read(SUBMISSION + f'managed_identity = "{written}"\n')
    application = oauth_of(configuration).application
    assert application.proof == ManagedIdentity(client_id)
    assert (application.authority, application.client_id) == ("", "")


@pytest.mark.parametrize(("days", "warns"), [(100, False), (20, True), (-1, True)])
def test_a_secret_that_ends_soon_is_warned_of(folder: Folder, days: int, warns: bool) -> None:
    day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    warnings = folder.read(SUBMISSION + SECRET + f"client_secret_expires = {day}\n").warnings
    assert bool(warnings) is warns
    assert all(w.startswith("route[0].oauth: the client secret of the application app end") for w in warnings)


@pytest.mark.parametrize("mode", ["none", "opportunistic"])
def test_a_token_without_tls_is_warned_of(folder: Folder, mode: str) -> None:
    text = SUBMISSION.replace("[route.oauth]", f'tls = "{mode}"\n[route.oauth]') + SECRET
    (warning,) = folder.read(text).warnings
    assert warning.startswith("route[0].tls: ") and "the token may cross" in warning


def test_the_documented_presets_are_those_in_force() -> None:
    text = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    rows = {
        cells[0]: cells
        for cells in (row.split("|") for row in re.findall(r"^\| ([a-z-]+ \|.*) \|$", text, re.M))
    }
    for preset in PRESETS.values():
        _, host, port, ipv4_only, recipients, connections, takes, _ = (
            cell.strip() for cell in rows[f"{preset.kind.value} "]
        )
        assert (port, connections) == (str(preset.port), str(preset.connections))
        assert ipv4_only == ("yes" if preset.ipv4_only else "no")
        of_a_domain = f", of a domain {preset.recipients_per_domain}" if preset.recipients_per_domain else ""
        assert recipients == f"{preset.recipients or '`deliver.recipients_max`'}{of_a_domain}"
        size, *rules = takes.split(", ")
        assert (size_bytes(size) if rules or size != "any mail" else 0) == preset.size_bytes
        assert ("to the inside" in rules, "from the account itself" in rules) == (
            preset.internal_only,
            preset.sender_fixed,
        )
        assert ("to be written" in host) == (preset.host_from is HostFrom.NOWHERE)
        assert ("looked up" in host) == (preset.host_from is HostFrom.MX)


def test_what_is_in_force_shows_the_application_and_no_secret(folder: Folder) -> None:
    rows = dict(in_force(folder.read(SUBMISSION + SECRET)))
    assert rows["route[0].kind"] == "submission"
    assert rows["route[0].oauth"] == "the application app"
    assert rows["route[0].oauth.scope"] == "https://outlook.office365.com/.default"
    assert "opensesame" not in str(rows)
