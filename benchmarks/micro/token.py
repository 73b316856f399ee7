"""What a login with a token costs a receiver's loop: verified, remembered, refused.

    python -m benchmarks.micro.token [--count N]

Tokens are signed by the simulated Entra's key, with as many groups in them as make their
size. "handshake" is what came before, for comparison: TLS 1.3 with a key on P-256, both
sides in this process, half of it counted. Medians.
"""

import argparse
import asyncio
import secrets
import ssl
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import msgspec
import uvloop

from relay.clock import SystemClock
from relay.identity.bearer import Inbound, Issuers
from relay.identity.client import Client, Clients
from relay.identity.directory import Directory
from relay.identity.issuer_cache import IssuerCache
from relay.identity.jws import public_key
from relay.receive.login_cache import KEY_BYTES, LoginCache
from relay.receive.token_logins import TokenLogins
from relay.receive.verdict import Granted, Refused, Verdict
from relay.simulator import certificate
from relay.simulator.token import Claims, TokenKey
from relay.smtp.sasl_server import Login

TENANT, APP = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
ISSUER, AUDIENCE = f"https://sts.windows.net/{TENANT}/", "api://relay"
GROUP_BYTES = 52
"""Of a token, for a group in it."""


def main() -> None:
    """A line for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=2_000)
    count = parser.parse_args().count
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure(count))


async def _measure(count: int) -> None:
    key, clock = TokenKey(), SystemClock()
    (jwk,) = msgspec.convert(key.public()["keys"], list[dict[str, object]])
    public = public_key(jwk)
    assert public is not None
    known = Issuers({(ISSUER, key.id): public}, frozenset((ISSUER,)))
    print(
        f"{'bytes':>6} {'verified µs':>11} {'remembered µs':>13} {'bad signature µs':>16} {'no token µs':>11}"
    )
    for size in (1_000, 2_000, 3_000, 8_000):
        inbound = Inbound(TENANT, (AUDIENCE,))
        directory = Directory(Clients((Client("shop", oauth_app=APP),)), secrets.token_bytes)
        issuers = IssuerCache(inbound, lambda _: known, lambda _: None, clock, lambda: 0.5)
        cache = LoginCache(secrets.token_bytes(KEY_BYTES), 100_000, 300.0)
        logins = TokenLogins(inbound, directory, issuers, cache, asyncio.get_running_loop(), clock)
        asked = asyncio.Event()
        issuers.ask(asked.set)
        await asked.wait()
        texts = [_token(key, size, number).encode() for number in range(count)]
        forged = [text[:-8] + b"AAAAAAAA" for text in texts]
        figures = [
            _each(logins, texts, lambda verdict: isinstance(verdict, Granted) and not verdict.is_cached),
            _each(logins, texts, lambda verdict: isinstance(verdict, Granted) and verdict.is_cached),
            _each(logins, forged, lambda verdict: isinstance(verdict, Refused)),
            _each(logins, [b"x" * size] * count, lambda verdict: isinstance(verdict, Refused)),
        ]
        print(
            f"{len(texts[0]):>6} {figures[0]:>11.0f} {figures[1]:>13.1f} {figures[2]:>16.0f} {figures[3]:>11.1f}"
        )
        await logins.close()
    print(f"handshake {_handshake(max(1, count // 10)):.0f} µs")


def _each(logins: TokenLogins, texts: list[bytes], holds: Callable[[Verdict | None], bool]) -> float:
    """Microseconds a login, the median."""
    seconds = []
    for text in texts:
        login = Login("XOAUTH2", "shop", text)
        started = time.perf_counter()
        verdict = logins.judge(login, lambda _: None)
        seconds.append(time.perf_counter() - started)
        assert holds(verdict), verdict
    return median(seconds) * 1e6


def _token(key: TokenKey, size: int, number: int) -> str:
    now = int(time.time())
    groups = tuple(f"{index:036}" for index in range(max(0, size - 1_000) // GROUP_BYTES))
    return key.sign(
        Claims(AUDIENCE, ISSUER, APP, "oid", TENANT, now, now, now + 3_600, groups, sub=f"{number}")
    )


def _handshake(count: int) -> float:
    """Microseconds of the server's side, about half of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = certificate.authority(folder / "ca.pem", folder / "ca.key")
        key = certificate.new_key()
        (folder / "server.pem").write_bytes(certificate.pem(authority.issue(("localhost",), key)))
        certificate.write_key(folder / "server.key", key)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(folder / "server.pem", folder / "server.key")
        client = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
        far = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (near, far, near, far):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        seconds.append(time.perf_counter() - started)
    return median(seconds) / 2 * 1e6


if __name__ == "__main__":
    main()
