"""The whole relay with tokens: a wrong secret is told, a mended one taken with a reload, an ending one warned of."""

import signal
from pathlib import Path

from tests.fakes.authority import CLIENT, SECRET, TENANT, TokenAuthority, token_authority
from tests.process.relay import running, wait_until

TEXT = """
[relay]
hostname = "relay.example.com"
receivers = 1
[spool]
path = "spool"
free_space_floor = 0
[[listener]]
address = "127.0.0.1:0"
[[route]]
name = "exchange"
kind = "submission"
host = "127.0.0.1"
port = 9
username = "orders@contoso.example"
[route.oauth]
tenant = "{tenant}"
client_id = "{client_id}"
client_secret_file = "secret"
client_secret_expires = 2020-01-31
authority = "{authority.base}"
ca_file = "{authority.ca_file}"
"""


def text_for(authority: TokenAuthority) -> str:
    return TEXT.format(authority=authority, tenant=TENANT, client_id=CLIENT)


def test_a_mended_secret_is_taken_with_a_reload(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("wrong")
    with token_authority(tmp_path) as authority, running(tmp_path, text_for(authority)) as relay:
        relay.send()
        failed = relay.wait_for("token_failed")
        assert failed["level"] == "error" and "AADSTS7000215" in str(failed["reason"])
        stopped = relay.wait_for("connection_failed")
        assert stopped["level"] == "error" and "AADSTS7000215" in str(stopped["reason"])
        assert relay.wait_for("credential_expiring")["level"] == "error"
        (tmp_path / "secret").write_text(SECRET)
        relay.process.send_signal(signal.SIGHUP)
        fetched = relay.wait_for("token_fetched")
        assert (fetched["application"], fetched["lifetime"]) == (f"the application {CLIENT}", 3600)
        # Nothing listens there: the token was fetched before the connection was tried.
        relay.wait_for("connection_failed", 2)
        assert authority.token_requests == 2
        assert relay.stop() == 0
        log = relay.log_file.read_text()
        assert SECRET not in log and authority.tokens[0] not in log


def test_a_relay_stops_while_its_authority_hangs(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    with token_authority(tmp_path) as authority:
        authority.orders.delay_s = 4.0
        with running(tmp_path, text_for(authority)) as relay:
            relay.send()
            relay.wait_for("credential_expiring")
            wait_until(lambda: authority.token_requests > 0)
            assert relay.stop() == 0
            assert not relay.events("fault")
