"""`[oauth_inbound]`, and clients that log in with tokens."""

from pathlib import Path

import pytest

from relay.config.problem import InvalidConfiguration
from relay.identity.bearer import Inbound
from tests.config.test_client import client, store
from tests.config.test_read import LEAST, Folder
from tests.fakes.certificate import Authority
from tests.fakes.tokens import APP, AUDIENCE, TENANT, USER

INBOUND = f'[oauth_inbound]\ntenant = "{TENANT}"\naudiences = ["{AUDIENCE}"]\n'
OTHER = "0" + APP[1:]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_tokens_of_a_tenant_log_in_the_clients_of_its_applications(folder: Folder) -> None:
    text = client(f'oauth_app = "{APP.upper()}"\nsenders = ["example.com"]') + INBOUND
    read = folder.read(text)
    assert read.inbound == Inbound(TENANT, (AUDIENCE,), "https://login.microsoftonline.com")
    (erp,) = read.clients.clients
    assert (erp.oauth_app, erp.oauth_users, erp.username) == (APP, (), "")


def test_what_the_administrator_writes_counts(folder: Folder) -> None:
    (folder.path / "authority").mkdir()
    authority = Authority(folder.path / "authority")
    keys = f'roles = ["Relay.Send"]\ncloud = "21vianet"\nca_file = "{authority.ca_file}"\n'
    text = client(f'oauth_app = "{APP}"\noauth_users = ["{USER.upper()}"]') + INBOUND
    read = folder.read(text + keys)
    assert read.inbound == Inbound(
        TENANT,
        (AUDIENCE,),
        "https://login.partner.microsoftonline.cn",
        ("Relay.Send",),
        str(authority.ca_file),
    )
    assert read.clients.clients[0].oauth_users == (USER,)
    other = folder.read(text + 'authority = "login.example:8443"').inbound
    assert other is not None and other.authority == "https://login.example:8443"


def test_without_the_table_no_tokens_are_taken(folder: Folder) -> None:
    assert folder.read(LEAST).inbound is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (client(f'oauth_app = "{APP}"'), "client[0].oauth_app: needs to know whose tokens to take; add [oauth_inbound]"),
        (client(f'oauth_users = ["{USER}"]\nnetworks = ["10.0.0.0/8"]') + INBOUND, "client[0].oauth_users: goes with oauth_app"),
        (client('oauth_app = "shop"') + INBOUND, "client[0].oauth_app: write the id as Entra shows it"),
        (client(f'oauth_app = "{APP}"\noauth_users = ["bob@contoso.com"]') + INBOUND, "client[0].oauth_users[0]: write the id as Entra"),
        (client(f'oauth_app = "{APP}"\noauth_users = []') + INBOUND, "client[0].oauth_users: must not be empty"),
        (client(f'oauth_app = "{APP}"\n[[client]]\nname = "b"\noauth_app = "{APP.upper()}"') + INBOUND, f'client[1].oauth_app: "{APP}" is that of client[0] already'),
        (client(f'oauth_app = "{APP}"\noauth_users = ["{USER}"]\n[[client]]\nname = "b"\noauth_app = "{APP}"\noauth_users = ["{USER}"]') + INBOUND,
         f'client[1].oauth_users: "{USER}" is that of client[0] already'),
        (LEAST + INBOUND.replace(TENANT, "contoso.com"), "oauth_inbound.tenant: write the id as Entra shows it"),
        (LEAST + INBOUND.replace(f'"{AUDIENCE}"', ""), "oauth_inbound.audiences: must not be empty"),
        (LEAST + INBOUND.replace(AUDIENCE, AUDIENCE + "/.default"), 'oauth_inbound.audiences[0]: write what a token for the relay has as "aud"'),
        (LEAST + INBOUND.replace(AUDIENCE, "https://graph.microsoft.com/"), "oauth_inbound.audiences: \"https://graph.microsoft.com/\" is a service of Microsoft's"),
        (LEAST + INBOUND.replace(AUDIENCE, "https://outlook.office365.com"), "is a service of Microsoft's"),
        (LEAST + INBOUND.replace(AUDIENCE, "00000003-0000-0000-c000-000000000000"), "is a service of Microsoft's"),
        (LEAST + INBOUND + 'authority = "http://login.example"', "oauth_inbound.authority: write the authority's host"),
        (LEAST + INBOUND + 'cloud = "moon"', "oauth_inbound.cloud: must be one of"),
        (LEAST + INBOUND + 'ca_file = "nowhere.pem"', "oauth_inbound.ca_file: "),
        (LEAST + INBOUND + "roles = []", "oauth_inbound.roles: must not be empty"),
        (LEAST + "[oauth_inbound]\n", "oauth_inbound.tenant: is missing"),
        (LEAST + INBOUND + 'audience = "x"', 'unknown key; found "x"; did you mean "audiences"?'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(folder: Folder, text: str, problem: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        folder.read(text)
    assert any(problem in each for each in caught.value.problems), caught.value.problems


def test_an_application_and_its_users_may_be_clients_of_their_own(folder: Folder) -> None:
    text = client(
        f'oauth_app = "{APP}"\n[[client]]\nname = "bob"\noauth_app = "{APP}"\noauth_users = ["{USER}"]\n'
        f'[[client]]\nname = "other"\noauth_app = "{OTHER}"'
    )
    assert len(folder.read(text + INBOUND).clients.clients) == 3


def test_tokens_that_nobody_uses_are_warned_of(folder: Folder) -> None:
    def warnings(text: str) -> list[str]:
        return [each for each in folder.read(text).warnings if each.startswith("oauth_inbound")]

    assert "no client has an oauth_app" in warnings(LEAST + INBOUND)[0]
    by_token = client(f'oauth_app = "{APP}"') + INBOUND
    assert "tokens are taken over TLS only" in warnings(by_token)[0]
    (folder.path / "authority").mkdir()
    certificate, key = Authority(folder.path / "authority").issue("localhost")
    keys = f'2525"\ntls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"\nauth = "required"'
    assert warnings(by_token.replace('2525"', keys)) == []


def test_a_line_of_the_clients_file_says_the_same(folder: Folder) -> None:
    store(folder, {"name": "shop", "oauth_app": APP, "oauth_users": [USER], "senders": ["example.com"]})
    (shop,) = folder.read(LEAST + INBOUND).clients.clients
    assert (shop.oauth_app, shop.oauth_users) == (APP, (USER,))
    with pytest.raises(
        InvalidConfiguration, match=r"clients.jsonl, shop.oauth_app: needs to know whose tokens"
    ):
        folder.read(LEAST)
