"""TLS towards the next hop."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from relay import tls
from relay.route.route import Credentials, Route, TlsMode
from relay.trace import event as trace
from tests.deliver.relaying import CONTENT, relaying, route_to
from tests.fakes.certificate import Authority
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


def speaking_tls(authority: Authority, name: str = "localhost", **how: object) -> Script:
    certificate, key = authority.issue(name)
    script = Script(tls=tls.server_context(str(certificate), str(key)))
    for field, value in how.items():
        setattr(script, field, value)
    return script


def replace_ca(route: Route, authority: Authority) -> Route:
    return replace(route, ca_file=str(authority.ca_file))


@pytest.mark.parametrize("implicit", [False, True])
@in_loop
async def test_mail_goes_over_verified_tls(tmp_path: Path, authority: Authority, implicit: bool) -> None:
    mode = TlsMode.IMPLICIT if implicit else TlsMode.REQUIRED
    async with Sink(speaking_tls(authority, implicit_tls=implicit)) as sink:
        route = route_to(
            sink.port, host="localhost", ipv4_only=True, tls=mode, ca_file=str(authority.ca_file)
        )
        async with relaying(tmp_path, route) as relay:
            await relay.hint(*(relay.accept(f"{n}@c.test") for n in range(50)))
            await relay.until_empty()
            assert {mail.content for mail in sink.mails} == {CONTENT} and len(sink.mails) == 50
            assert relay.told(trace.ConnectionOpened)[0].tls.startswith("TLSv1.3")


@pytest.mark.parametrize("shows_certificate", [True, False])
@in_loop
async def test_a_next_hop_that_wants_a_client_certificate_gets_the_routes(
    tmp_path: Path, authority: Authority, shows_certificate: bool
) -> None:
    script = speaking_tls(authority)
    assert script.tls is not None
    script.tls.verify_mode = ssl.CERT_REQUIRED
    script.tls.load_verify_locations(authority.ca_file)
    certificate, key = map(str, authority.issue("relay.example.com"))
    async with Sink(script) as sink:
        route = route_to(sink.port, host="localhost", ipv4_only=True, tls=TlsMode.REQUIRED)
        route = replace(replace_ca(route, authority), connect_timeout_s=2.0)
        if shows_certificate:
            route = replace(route, client_certificate=certificate, client_key=key)
        async with relaying(tmp_path, route) as relay:
            await relay.hint(relay.accept("b@c.test"))
            if shows_certificate:
                await relay.until_empty()
                assert [mail.content for mail in sink.mails] == [CONTENT]
            else:
                await relay.until(lambda: bool(relay.told(trace.ConnectionFailed)))
                assert not sink.mails and not relay.told(trace.Held) and relay.store.count() == 1


@in_loop
async def test_a_large_mail_goes_over_tls(tmp_path: Path, authority: Authority) -> None:
    records = [b"Subject: large\r\n\r\n", *(b"%07d.\r\n" % n * 26_000 for n in range(20))]
    async with Sink(speaking_tls(authority)) as sink:
        route = route_to(sink.port, host="localhost", ipv4_only=True, tls=TlsMode.REQUIRED)
        async with relaying(tmp_path, replace_ca(route, authority)) as relay:
            await relay.send(content=records)
            await relay.until_empty()
            assert sink.mails[0].content == b"".join(records)


@in_loop
async def test_the_login_goes_over_tls_only(tmp_path: Path, authority: Authority) -> None:
    script = speaking_tls(authority, login=("user", "secret"))
    async with Sink(script) as sink:
        route = route_to(sink.port, tls=TlsMode.OPPORTUNISTIC, credentials=Credentials("user", "secret"))
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until_empty()
        assert sink.commands.index(b"STARTTLS") < next(
            i for i, line in enumerate(sink.commands) if line.startswith(b"AUTH")
        )


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.IMPLICIT])
@pytest.mark.parametrize(("name", "is_known"), [("other.test", True), ("localhost", False)])
@in_loop
async def test_a_certificate_that_is_wrong_stops_the_lane_and_holds_no_mail(
    tmp_path: Path, authority: Authority, mode: TlsMode, name: str, is_known: bool
) -> None:
    script = speaking_tls(authority, name, implicit_tls=mode is TlsMode.IMPLICIT)
    async with Sink(script) as sink:
        ca_file = str(authority.ca_file) if is_known else None
        route = route_to(sink.port, host="localhost", ipv4_only=True, tls=mode, ca_file=ca_file)
        async with relaying(tmp_path, route) as relay:
            mail = await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            [event] = relay.told(trace.ConnectionFailed)
            assert event.level == "error" and "the certificate of localhost was refused" in event.reason
            assert relay.store.state(mail.id) is None
        assert not any(line.startswith(b"MAIL") for line in sink.commands)


@in_loop
async def test_opportunistic_tls_takes_any_certificate(tmp_path: Path, authority: Authority) -> None:
    async with Sink(speaking_tls(authority, "other.test")) as sink:
        async with relaying(tmp_path, route_to(sink.port, tls=TlsMode.OPPORTUNISTIC)) as relay:
            await relay.send()
            await relay.until_empty()
            assert relay.told(trace.ConnectionOpened)[0].tls


@in_loop
async def test_required_tls_that_is_not_offered_sends_nothing(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port, tls=TlsMode.REQUIRED)) as relay:
        await relay.send()
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        assert "STARTTLS" in relay.told(trace.ConnectionFailed)[0].reason
        assert not sink.mails


@in_loop
async def test_what_was_injected_before_tls_ends_the_connection(tmp_path: Path, authority: Authority) -> None:
    script = speaking_tls(authority, injected=b"250-sink.test\r\n250 AUTH PLAIN\r\n")
    async with Sink(script) as sink:
        route = replace_ca(
            route_to(sink.port, host="localhost", ipv4_only=True, tls=TlsMode.REQUIRED), authority
        )
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            assert "broke the protocol" in relay.told(trace.ConnectionFailed)[0].reason
            assert sink.commands[-1] == b"STARTTLS"


@in_loop
async def test_a_ca_file_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    async with Sink() as sink:
        route = route_to(sink.port, tls=TlsMode.REQUIRED, ca_file=str(tmp_path / "none.pem"))
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            assert "none.pem" in relay.told(trace.ConnectionFailed)[0].reason


@in_loop
async def test_a_next_hop_that_does_not_speak_tls_at_all_is_no_riddle(tmp_path: Path) -> None:
    async with Sink() as sink:
        route = route_to(sink.port, tls=TlsMode.IMPLICIT)
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            assert "does not speak TLS here" in relay.told(trace.ConnectionFailed)[0].reason
        sink.broken_rules.clear()  # it took the handshake for commands


@in_loop
async def test_opportunistic_tls_that_fails_gives_way_to_none(tmp_path: Path, authority: Authority) -> None:
    script = speaking_tls(authority, replies={b"STARTTLS": b"220 but I cannot"})
    async with Sink(script) as sink:
        async with relaying(tmp_path, route_to(sink.port, tls=TlsMode.OPPORTUNISTIC)) as relay:
            await relay.send()
            await relay.until_empty()
            assert relay.told(trace.ConnectionOpened)[0].tls == ""
        assert sink.connections == 2
        sink.broken_rules.clear()  # it took the handshake for commands
