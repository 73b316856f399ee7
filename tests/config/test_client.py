"""`[[client]]`, the clients file, and the keys of a listener about who comes in."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.budget.ring import Counted, Per, Quota
from relay.config.client_file import ClientFile, edited, load
from relay.config.client_table import StoredClient
from relay.errors import ConfigurationError
from relay.identity.client import Client, Password, Policy
from relay.message.priority import Priority
from relay.receive.options import LOOPBACK, Auth
from relay.smtp.scram import verifier_of
from tests.config.test_read import LEAST, Folder
from tests.fakes.certificate import Authority

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
SEED = "s" * 44
FIRST = f'{{"format":1,"seed":"{SEED}"}}\n'
SCRAM = verifier_of("sesame", b"salt of 16 bytes")
FINGERPRINT = ":".join(["AB"] * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def listener(keys: str, clients: str = "") -> str:
    return LEAST.replace('2525"', f'2525"\n{keys}') + clients


def client(keys: str) -> str:
    return f'{LEAST}[[client]]\nname = "erp"\n{keys}\n'


def store(folder: Folder, *lines: Mapping[str, object], name: str = "clients.jsonl") -> Path:
    path = folder.path / name
    path.write_text("".join(json.dumps(line) + "\n" for line in ({"format": 1, "seed": SEED}, *lines)))
    path.chmod(0o600)
    return path


def test_a_client_is_a_name_ways_in_and_a_policy(folder: Folder) -> None:
    text = client(
        f'username = "ERP"\npassword_hash = "{HASH}"\ncertificates = ["Web.example.com", "sha256:{FINGERPRINT}", "A@example.com"]\n'
        'networks = ["10.0.0.0/8"]\nsenders = ["example.com", "<>"]\nfrom = ["*.example.org"]\ndisabled = true'
    )
    assert folder.read(text).clients.clients == (
        Client(
            "erp",
            "ERP",
            (Password(HASH),),
            ("web.example.com", "ab" * 32, "a@example.com"),
            ("10.0.0.0/8",),
            Policy(("example.com", "<>"), ("*.example.org",)),
            True,
        ),
    )


def test_from_is_ruled_as_senders_are_unless_it_says_otherwise(folder: Folder) -> None:
    (erp,) = folder.read(client('networks = ["10.0.0.0/8"]\nsenders = ["example.com"]')).clients.clients
    assert erp.policy == Policy(("example.com",), ("example.com",))


def test_a_hash_may_stand_in_a_file_of_its_own(folder: Folder) -> None:
    (folder.path / "hash").write_text(HASH + "\n")
    (folder.path / "hash").chmod(0o600)
    (erp,) = folder.read(
        client('username = "a"\npassword_hash_file = "hash"\nsenders = ["a@b.example"]')
    ).clients.clients
    assert erp.passwords == (Password(HASH),)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("", "client[0]: has no way in; give it a username, certificates, networks or an oauth_app"),
        ('username = "a"', "client[0].password_hash: is missing; username goes with one, or with password_hash_file (m365-relay "
         "client add makes both)"),
        (f'password_hash = "{HASH}"\nnetworks = ["10.0.0.0/8"]', "client[0].username: is missing; a password goes with one"),
        ('username = "a"\npassword_hash = "sesame"', 'client[0].password_hash: is no argon2id hash; one looks like '
         '"$argon2id$v=19$m=19456,t=2,p=1$salt$hash"'),
        ('username = "a"\npassword = "sesame"', "client[0].password: a secret does not stand in the configuration; m365-relay client "
         "add makes one and keeps its hash"),
        ('networks = ["10.0.0.1/8"]', 'client[0].networks[0]: write a network such as "10.0.0.0/8" or "2001:db8::/32"; did you mean '
         '"10.0.0.0/8"?; found "10.0.0.1/8"'),
        ('networks = ["10.0.0.0/8"]\nsenders = ["a@"]', 'client[0].senders[0]: write an address, a domain, "*.example.com" for all '
         'below it, or "<>" for the null sender; found "a@"'),
    ],
)  # fmt: skip
def test_a_wrong_client_is_told_what_to_do(folder: Folder, keys: str, problem: str) -> None:
    assert problem in folder.problems(client(keys))
    assert "sesame" not in "".join(folder.problems(client(keys)))


@pytest.mark.parametrize(
    "keys", ['certificates = ["not a name"]', 'certificates = ["@b"]', 'certificates = ["AB:CD/EF"]']
)
def test_what_no_certificate_shows_is_refused(folder: Folder, keys: str) -> None:
    assert "openssl x509 -noout -fingerprint" in folder.problem(client(keys))


def test_a_client_that_may_send_as_anybody_is_a_warning(folder: Folder) -> None:
    (warning,) = folder.read(client('networks = ["10.0.0.0/8"]')).warnings
    assert warning.startswith("client[0]: may send as anybody")


def test_no_two_clients_share_what_they_show(folder: Folder) -> None:
    store(
        folder,
        {"name": "ERP", "username": "A", "networks": ["10.0.0.0/8"], "passwords": [{"hash": HASH}]},
    )
    assert folder.problems(
        client(f'username = "a"\npassword_hash = "{HASH}"\nnetworks = ["10.0.0.0/8"]')
    ) == (
        'clients.jsonl, ERP.name: "erp" is that of client[0] already; no two may have it',
        'clients.jsonl, ERP.username: "a" is that of client[0] already; no two may have it',
        'clients.jsonl, ERP.networks: "10.0.0.0/8" is that of client[0] already; no two may have it',
    )


def test_the_clients_file_is_read_beside_the_configuration(folder: Folder) -> None:
    line = {
        "name": "web",
        "username": "web",
        "senders": ["example.com"],
        "passwords": [{"hash": HASH, "scram": str(SCRAM)}, {"hash": HASH, "until": 5.5}],
    }
    store(folder, line)
    clients = folder.read(LEAST).clients
    assert clients.seed == SEED
    assert clients.clients == (
        Client(
            "web",
            "web",
            (Password(HASH, SCRAM), Password(HASH, None, 5.5)),
            policy=Policy(("example.com",), ("example.com",)),
        ),
    )
    store(folder, name="elsewhere")
    elsewhere = folder.read(LEAST.replace('.com"', '.com"\nclients_file = "elsewhere"', 1))
    assert elsewhere.clients.clients == ()
    assert elsewhere.relay.clients_file == folder.path / "elsewhere"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o602])
def test_a_clients_file_that_others_may_read_is_refused(folder: Folder, mode: int) -> None:
    path = store(folder)
    path.chmod(mode)
    assert f"chmod 600 {path}" in folder.problem(LEAST)


def test_a_clients_file_that_the_relays_group_may_read_is_good(folder: Folder) -> None:
    store(folder).chmod(0o640)
    assert folder.read(LEAST).warnings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the file: "),
        ("{}\n", "line 1: format: is missing; it has no default"),
        (FIRST.replace("1", "2"), "line 1: format: must be one of 1; found 2"),
        (FIRST + '{"name":"a b"}\n', 'line 2: name: write a name of letters'),
        (FIRST + '\n{"name":"a","passwords":[{"hash":"sesame"}]}\n', "line 3: passwords[0].hash: is no argon2id"),
        (FIRST + f'{{"name":"a","passwords":[{{"hash":"{HASH}","scram":"sesame"}}]}}\n',
         "line 2: passwords[0].scram: is no SCRAM-SHA-256 verifier"),
    ],
)  # fmt: skip
def test_a_damaged_clients_file_is_told_by_its_line(folder: Folder, text: str, problem: str) -> None:
    path = folder.path / "clients.jsonl"
    path.write_text(text)
    path.chmod(0o600)
    found = folder.problem(LEAST)
    assert found.startswith(f"{path}: {problem}") and "sesame" not in found


def test_an_edit_that_fails_changes_nothing(folder: Folder) -> None:
    path = store(folder, {"name": "a", "networks": ["10.0.0.0/8"]})
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), edited(path, SEED, None) as content:
        content.clients.clear()
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert [each.name for each in folder.path.iterdir()] == ["clients.jsonl"]


def test_an_edit_keeps_mode_seed_and_order(folder: Folder) -> None:
    path = store(
        folder, {"name": "a", "networks": ["10.0.0.0/8"]}, {"name": "b", "networks": ["10.1.0.0/16"]}
    )
    path.chmod(0o640)
    with edited(path, "other" * 10, None) as content:
        content.put(StoredClient(name="a", networks=["10.2.0.0/16"]))
        content.put(StoredClient(name="c", networks=["10.3.0.0/16"]))
    found = load(path)
    assert found is not None and found.seed == SEED
    assert [each.name for each in found.clients] == ["a", "b", "c"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_clients_file_is_its_owners_alone(folder: Folder) -> None:
    path = folder.path / "clients.jsonl"
    with edited(path, SEED, None) as content:
        assert content == ClientFile(SEED)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == ClientFile(SEED)


def test_a_folder_that_is_not_there_is_named(folder: Folder) -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot open the folder"),
        edited(folder.path / "no/clients", SEED, None),
    ):
        pass


def test_a_route_for_a_client_that_nobody_is_is_a_warning(folder: Folder) -> None:
    rule = '[[route.match]]\nclients = ["10.0.0.0/8", "erp", "crm"]\n'
    known = '[[client]]\nname = "erp"\nnetworks = ["10.0.0.0/8"]\nsenders = ["example.com"]\n'
    assert folder.read(LEAST + rule + known).warnings == (
        'route[0].match[0].clients: "crm" is no client; see: m365-relay client list',
    )


def test_a_name_is_told_from_an_address(folder: Folder) -> None:
    text = f'{LEAST}[[client]]\nname = "10.0.0.7"\nnetworks = ["10.0.0.7/32"]\n'
    assert folder.problem(text).startswith("client[0].name: write a name of letters")


def test_who_edits_waits_for_another_and_not_for_ever(
    folder: Folder,
) -> None:
    path = store(folder)
    with (
        edited(path, SEED, None),
        pytest.raises(ConfigurationError, match="another command has held"),
        edited(path, SEED, None, wait_s=0.05),
    ):
        pass


# Listeners

KNOWN = '[[client]]\nname = "erp"\nnetworks = ["192.0.2.0/24"]\nsenders = ["example.com"]\n'


def test_a_listener_says_who_comes_in(folder: Folder, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("relay.example.com")
    keys = (
        f'tls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"\nclient_ca_file = "ca.pem"\n'
        'networks = ["0.0.0.0/0"]\nauth = "required"\nproxy_networks = ["10.0.0.1/32"]\nxclient_networks = ["10.0.0.2/32"]\n'
    )
    certified = '[[client]]\nname = "web"\ncertificates = ["web.example.com"]\nsenders = ["example.com"]\n'
    configuration = folder.read(listener(keys, KNOWN + certified))
    assert configuration.warnings == ()
    (found,) = configuration.listeners
    assert found.client_ca_file == authority.ca_file and found.client_crl_file is None
    options = found.options
    assert options.auth is Auth.REQUIRED and not options.auth_without_tls
    assert options.auth_without_tls_networks == LOOPBACK
    assert (options.proxy_networks, options.xclient_networks) == (("10.0.0.1/32",), ("10.0.0.2/32",))


def test_a_revocation_list_that_ends_is_warned_of(folder: Folder, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("relay.example.com")
    keys = (
        f'tls = "implicit"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        f'client_ca_file = "{authority.ca_file}"\nclient_crl_file = "crl.pem"\n'
    )
    certified = '[[client]]\nname = "web"\ncertificates = ["web.example.com"]\nsenders = ["example.com"]\n'
    authority.revoke(days=7)
    configuration = folder.read(listener(keys, certified))
    assert configuration.warnings == ()
    assert [each.name for each in configuration.credentials] == [
        "certificate of the listener 127.0.0.1:2525",
        "authority of the clients of the listener 127.0.0.1:2525",
        "revocation list of the listener 127.0.0.1:2525",
    ]
    authority.revoke(days=1)
    (warning,) = folder.read(listener(keys, certified)).warnings
    assert "the revocation list of the listener 127.0.0.1:2525 ends on" in warning
    assert "every client's certificate is refused" in warning
    (tmp_path / "crl.pem").write_text("nothing")
    assert "holds no usable PEM revocation list" in folder.problem(listener(keys, certified))
    assert "holds no usable PEM certificate" in folder.problem(
        listener(keys.replace(str(authority.ca_file), "crl.pem"), certified)
    )


@pytest.mark.parametrize(
    ("keys", "clients", "warning"),
    [
        ('networks = ["0.0.0.0/0"]', "", 'networks: "0.0.0.0/0" lets everybody send: an open relay, unless something else keeps them '
         'away; with auth = "required" only those who prove who they are'),
        ('networks = ["::/0"]\nauth = "optional"\nauth_without_tls = true', KNOWN, 'networks: "::/0" lets everybody send: an open '
         'relay, unless something else keeps them away; with auth = "required" only those who prove who they are'),
        ('auth = "required"', KNOWN, 'auth: is "required", but nobody can log in without TLS; write tls = "starttls", or "implicit"'),
        ('auth = "optional"\nauth_without_tls = true', "", 'auth: is "optional", and there is no client yet: m365-relay client add NAME'),
        ('auth_without_tls = true', "", 'auth_without_tls: is not used with auth = "off"; write auth = "optional"'),
        ('auth = "optional"\nauth_without_tls = true\nauth_without_tls_networks = ["10.0.0.0/8"]', KNOWN,
         "auth_without_tls: lets passwords cross the network for all to read, from 10.0.0.0/8; use TLS where the machines know it"),
    ],
)  # fmt: skip
def test_a_dangerous_combination_is_a_warning(folder: Folder, keys: str, clients: str, warning: str) -> None:
    assert folder.read(listener(keys, clients)).warnings == (f"listener[0].{warning}",)


@pytest.mark.parametrize("key", ["proxy_networks", "xclient_networks"])
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_not_everybody_is_a_proxy(folder: Folder, key: str, network: str) -> None:
    assert f'listener[0].{key}: "{network}" would believe everybody' in folder.problem(
        listener(f'{key} = ["{network}"]')
    )


def test_a_client_ca_needs_tls_and_a_file(folder: Folder) -> None:
    found = folder.problems(listener('client_ca_file = "none.pem"'))
    assert found[0] == 'listener[0].client_ca_file: needs TLS; write tls = "starttls" or tls = "implicit"'
    assert "cannot read" in found[1]
    assert "goes with a client_ca_file" in folder.problem(listener('client_crl_file = "crl.pem"'))


RULES = """
networks = ["10.0.0.0/8"]
senders = []
recipients = ["inside", "partner.example"]
routes = ["world"]
priority = "bulk"
priority_max = "normal"
message_size = "10 MB"
recipients_per_message = 50
connections = 4
weight = 3
campaign = "Letters"
messages_per_minute = 1
messages_per_hour = 2
messages_per_day = 3
recipients_per_minute = 4
recipients_per_hour = 5
recipients_per_day = 6
"""
TENANT = '[tenant]\ndomains = ["contoso.com"]\n'
ROUTE = '[[route]]\nname = "world"\nhost = "mx.example"\ntls = "none"\n'


def test_a_policy_says_how_much_and_to_whom(folder: Folder) -> None:
    (erp,) = folder.read(client(RULES) + TENANT + ROUTE).clients.clients
    assert erp.policy == Policy(
        senders=(),
        authors=(),
        recipients=("inside", "partner.example"),
        routes=("world",),
        priority=Priority.BULK,
        priority_max=Priority.NORMAL,
        message_bytes=10_000_000,
        recipients_per_message=50,
        connections=4,
        weight=3,
        campaign="Letters",
        quotas=tuple(
            Quota(of, per, count)
            for count, (of, per) in enumerate(((of, per) for of in Counted for per in Per), 1)
        ),
    )


def test_the_deliverer_is_told_who_weighs_more_than_others(folder: Folder) -> None:
    assert folder.read(client(RULES) + TENANT + ROUTE).deliverer.weights == {"erp": 3}
    assert folder.read(client('networks = ["10.0.0.0/8"]')).deliverer.weights == {}


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ('routes = ["moon"]', 'client[0].routes: names no route: "moon"; there are '),
        ('recipients = ["inside"]', "client[0].recipients: asks who is inside, and nobody is"),
        ('recipients = ["<>"]', 'client[0].recipients[0]: every recipient has an address; "<>" is for senders'),
        ("recipients = []", "client[0].recipients: must not be empty"),
        ('priority_max = "bulk"\npriority = "high"', 'client[0].priority: "high" is above priority_max = "bulk"'),
        ("weight = 0", "client[0].weight: must be at least 1"),
        ('campaign = ""', "client[0].campaign: "),
        ("weight = 101", "client[0].weight: must be at most 100"),
        ("connections = 1001", "client[0].connections: must be at most 1000"),
        ("messages_per_day = 0", "client[0].messages_per_day: must be at least 1"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_is_a_problem(folder: Folder, keys: str, problem: str) -> None:
    assert any(
        each.startswith(problem) for each in folder.problems(client(f'networks = ["10.0.0.0/8"]\n{keys}'))
    ), folder.problems(client(f'networks = ["10.0.0.0/8"]\n{keys}'))
