"""`[[webhook]]`: what is taken, what is refused, and that no secret is shown."""

import time
from base64 import b64encode
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from relay.cli.check_config import in_force
from relay.config import marks, webhook_table
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.config.webhook import WEBHOOKS_MAX
from relay.trace.history.state import State
from relay.webhook.options import EVENTS, WebhookOptions
from tests.config.test_read import LEAST
from tests.fakes.certificate import Authority

KEY, OLD_KEY = b"k" * 32, b"o" * 32
HOOK = """
[[webhook]]
name = "crm"
url = "https://crm.example.com/events"
secret_file = "secret"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, key in (("secret", KEY), ("old", OLD_KEY)):
        (tmp_path / name).write_text(f"whsec_{b64encode(key).decode()}\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path


def configure(folder: Path, text: str) -> Configuration:
    (folder / "relay.toml").write_text(LEAST + text)
    return read(folder / "relay.toml", time.time())


def hook(folder: Path, more: str = "", url: str = "https://crm.example.com/events") -> WebhookOptions:
    found = configure(folder, HOOK.replace("https://crm.example.com/events", url) + more).webhooks
    assert found is not None
    return found.hooks[0]


def problems(folder: Path, text: str) -> str:
    with pytest.raises(InvalidConfiguration) as raised:
        configure(folder, text)
    return "\n".join(raised.value.problems)


def test_there_is_none_unless_it_is_asked_for(folder: Path) -> None:
    assert configure(folder, "").webhooks is None


def test_the_least_is_all_events_of_all_mail(folder: Path) -> None:
    found = configure(folder, HOOK).webhooks
    assert found is not None
    assert (found.hostname, found.history, found.folder) == (
        "relay.example.com", folder / "spool" / "history.db", folder / "spool" / "webhooks",
    )  # fmt: skip
    assert found.hooks == (WebhookOptions("crm", "https://crm.example.com/events", (KEY,)),)
    assert configure(folder, HOOK).warnings == ()


def test_what_is_given_is_taken(folder: Path) -> None:
    authority = Authority(folder)
    found = hook(
        folder,
        """
previous_secret_file = "old"
events = ["held", "expired"]
routes = ["smarthost"]
batch_size = 7
pause = "2s"
timeout = "15s"
retry_first = "1s"
retry_max = "1m"
ca_file = "ca.pem"
""",
    )
    assert found == WebhookOptions(
        "crm", "https://crm.example.com/events", (KEY, OLD_KEY), (State.HELD, State.EXPIRED), ("smarthost",), (), 7,
        2.0, 15.0, 1.0, 60.0, str(authority.ca_file),
    )  # fmt: skip


def test_secrets_may_stand_in_the_environment_and_are_kept_from_children(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", f"whsec_{b64encode(KEY).decode()}")
    found = configure(folder, HOOK.replace('secret_file = "secret"', 'secret_env = "HOOK_SECRET"'))
    assert found.webhooks is not None and found.webhooks.hooks[0].secrets == (KEY,)
    assert "HOOK_SECRET" in found.secret_names


def test_no_secret_is_shown_anywhere(folder: Path) -> None:
    found = configure(folder, HOOK + 'previous_secret_file = "old"\n')
    rows = dict(in_force(found))
    assert rows["webhook[0].secret"] == "is set, and the previous one"
    shown = f"{rows} {found.webhooks!r}"
    for key in (KEY, OLD_KEY):
        assert b64encode(key).decode() not in shown and repr(key) not in shown
    assert marks.secrets(found)["webhook.crm.secret"] == KEY + b"\0" + OLD_KEY


def test_check_config_says_every_key_and_of_the_url_no_query(folder: Path) -> None:
    found = configure(folder, HOOK.replace("/events", "/events?sig=abc"))
    rows = {
        key.removeprefix("webhook[0]."): value for key, value in in_force(found) if key.startswith("webhook")
    }
    assert rows == {
        "name": "crm", "url": "https://crm.example.com/events?…", "secret": "is set",
        "events": "delivered, deferred, failed, held, expired", "routes": "(all)", "clients": "(all)",
        "batch_size": "100", "pause": "1s", "timeout": "20s", "retry_first": "5s", "retry_max": "10m",
    }  # fmt: skip


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/", "http://[::1]/x", "http://localhost/", "HTTPS://A.example"]
)
def test_urls_that_are_taken(folder: Path, url: str) -> None:
    assert hook(folder, url=url).url == url
    assert configure(folder, HOOK).warnings == ()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("crm.example.com/events", "write a URL"),
        ("ftp://crm.example.com/", "write a URL"),
        ("https:///events", "write a URL"),
        ("https://crm.example.com:99999/", "write a URL"),
        ("https://crm.example.com/a b", "without spaces"),
        ("https://crm.example.com/ä", "in ASCII"),
        ("https://crm.example.com/#x", "must hold no #"),
        ("http://crm.example.com/", "write https, or allow_http = true"),
        ("http://10.0.0.7/", "write https, or allow_http = true"),
        ("https://" + "a" * 2_100, "up to 2048 characters"),
    ],
)
def test_urls_that_are_refused(folder: Path, url: str, why: str) -> None:
    found = problems(folder, HOOK.replace("https://crm.example.com/events", url))
    assert "webhook[0].url" in found and why in found


def test_a_password_in_a_url_is_refused_and_not_repeated(folder: Path) -> None:
    found = problems(folder, HOOK.replace("crm.example.com", "app:hunter2@crm.example.com"))
    assert "must hold no name or password" in found and "hunter2" not in found


def test_nor_is_it_where_the_scheme_is_left_out(folder: Path) -> None:
    found = problems(folder, HOOK.replace("https://crm.example.com", "app:hunter2@crm.example.com"))
    assert "webhook[0].url" in found and "hunter2" not in found


def test_http_over_the_network_is_said_and_warned_of(folder: Path) -> None:
    text = HOOK.replace("https:", "http:") + "allow_http = true\n"
    assert configure(folder, text).warnings == (
        "webhook[0].url: is http: everybody on the way can read who gets mail",
    )
    assert "is of no use here" in configure(folder, HOOK + "allow_http = true\n").warnings[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HOOK.replace('secret_file = "secret"\n', ""), "webhook[0].secret_file: is missing"),
        (HOOK + 'secret_env = "X"\n', "webhook[0].secret_file: and secret_env exclude each other"),
        (HOOK.replace('"secret"', '"gone"'), "webhook[0].secret_file: cannot read"),
        (HOOK + 'secret = "whsec_hunter2"\n', "webhook[0].secret: unknown key"),
        (
            HOOK + 'routes = ["smarthots"]\n',
            'webhook[0].routes: names no route: "smarthots"; there are smarthost',
        ),
        (HOOK + 'events = ["bounced"]\n', "must be one of"),
        (HOOK + "events = []\n", "must not be empty"),
        (HOOK + HOOK, '"crm" is another webhook\'s already'),
        (HOOK.replace('"crm"', '"../crm"'), "webhook[0].name: write up to 64 of"),
        (HOOK + "batch_size = 1001\n", "must be at most 1000"),
        (HOOK + 'retry_first = "1h"\n', "must be at most retry_max, 10m"),
        (HOOK + 'ca_file = "gone.pem"\n', "webhook[0].ca_file: cannot read"),
        (HOOK + "[history]\nenabled = false\n", "history.enabled is false"),
        (
            "".join(HOOK.replace('"crm"', f'"h{i}"') for i in range(WEBHOOKS_MAX + 1)),
            f"{WEBHOOKS_MAX} are the most",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(folder: Path, text: str, why: str) -> None:
    found = problems(folder, text)
    assert why in found and "hunter2" not in found


def test_a_file_that_holds_no_secret_is_refused_without_its_content(folder: Path) -> None:
    (folder / "secret").write_text("correct horse battery staple")
    found = problems(folder, HOOK)
    assert 'begins with "whsec_"' in found and "openssl rand" in found and "horse" not in found


def test_a_client_that_nobody_is_and_an_old_secret_that_is_the_new_one_are_warned_of(folder: Path) -> None:
    found = configure(folder, HOOK + 'clients = ["erp"]\nprevious_secret_file = "secret"\n')
    assert [text.split(":")[0] for text in found.warnings] == [
        "webhook[0].clients",
        "webhook[0].previous_secret",
    ]


def test_the_words_for_events_are_those_of_the_code() -> None:
    assert set(get_args(webhook_table.EventWord)) == EVENTS.keys()


def test_webhooks_travel_to_their_process(folder: Path) -> None:
    found = configure(folder, HOOK).webhooks
    assert found is not None
    assert (
        msgspec.json.decode(msgspec.json.encode(found.hooks), type=tuple[WebhookOptions, ...]) == found.hooks
    )
