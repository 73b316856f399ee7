"""HTTP for msal: one deadline, bounded answers, no redirects."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relay import tls
from relay.identity import http
from relay.identity.access import TokenRefused
from relay.identity.http import Http
from tests.fakes.certificate import Authority


@contextmanager
def serving(
    answer: Callable[[BaseHTTPRequestHandler], None], context: tls.ServerContext | None = None
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def log_message(self, format: str, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def test_what_is_asked_and_answered_arrives() -> None:
    with serving(
        lambda each: say(each, 200, f"{each.path} {each.headers['X-A']}".encode(), Retry="1")
    ) as base:
        client = Http(5.0)
        answer = client.get(f"{base}/a?b=1", params={"c": "d e"}, headers={"X-A": "x"})
        assert (answer.status_code, answer.text) == (200, "/a?b=1&c=d+e x")
        assert answer.headers["Retry"] == "1" and client.last is answer
        answer.raise_for_status()
        assert client.post(base, data={"a": "b"}).status_code == 200


def test_an_error_is_an_answer_with_its_body() -> None:
    with serving(lambda each: say(each, 401, b'{"error":"x"}')) as base:
        answer = Http(5.0).post(base, data={})
        assert (answer.status_code, answer.text) == (401, '{"error":"x"}')
        with pytest.raises(ValueError, match="401"):
            answer.raise_for_status()


def test_a_redirect_is_not_followed() -> None:
    paths: list[str] = []

    def send_away(handler: BaseHTTPRequestHandler) -> None:
        paths.append(handler.path)
        say(handler, 302 if handler.path == "/token" else 200, b"", Location="/elsewhere")

    with serving(send_away) as base:
        assert Http(5.0).post(f"{base}/token", data={"client_secret": "s"}).status_code == 302
        assert Http(5.0).get(f"{base}/token").status_code == 302
    assert paths == ["/token", "/token"]


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_MAX_BYTES", 100_000)
    endless = serving(lambda each: say(each, 200, b"x" * 300_000))
    with endless as base, pytest.raises(TokenRefused, match="more than 100000 bytes"):
        Http(5.0).get(base)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        try:
            handler.wfile.write(b"x")
        except OSError:
            return
        time.sleep(0.05)


def test_an_answer_that_drips_meets_the_deadline_of_the_whole() -> None:
    began_at = time.monotonic()
    with serving(drip) as base, pytest.raises(TokenRefused, match=r"within 0\.3 seconds"):
        Http(0.3).get(base)
    assert time.monotonic() - began_at < 2


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """A server that says `first`, and then for 20 seconds a drop now and then."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    is_done = threading.Event()

    def drip_on() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(10)
            try:
                peer.recv(4096)
                peer.sendall(first)
                for _ in range(400):
                    if is_done.wait(0.05):
                        return
                    peer.sendall(drop)
            except OSError:
                return

    thread = threading.Thread(target=drip_on, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        is_done.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    ("scheme", "first", "drop"),
    [
        pytest.param("http", b"H", b"x", id="status line"),
        pytest.param("http", b"HTTP/1.1 200 OK\r\nX: ", b"x", id="header"),
        pytest.param("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="never more than Continue"),
        pytest.param("http", b"HTTP/1.1 500 No\r\n\r\n", b"x", id="body of an error"),
        # A record of a handshake, of 16 KiB.
        pytest.param("https", b"\x16\x03\x03\x40\x00", b"\x02", id="TLS handshake"),
    ],
)
def test_whatever_drips_meets_the_deadline_of_the_whole(scheme: str, first: bytes, drop: bytes) -> None:
    began_at = time.monotonic()
    with dripping(first, drop) as host, pytest.raises(TokenRefused, match=r"within 0\.3 seconds") as caught:
        Http(0.3).get(f"{scheme}://{host}/")
    assert not caught.value.is_fault
    assert time.monotonic() - began_at < 10


def test_a_proxy_that_drips_its_answer_to_connect_meets_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    began_at = time.monotonic()
    with dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x") as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        with pytest.raises(TokenRefused, match=r"login\.test gave no answer within 0\.3 seconds"):
            Http(0.3).get("https://login.test/")
    assert time.monotonic() - began_at < 10


def test_https_takes_the_authority_of_the_file_and_no_other(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("127.0.0.1")
    context = tls.server_context(str(certificate), str(key))
    with serving(lambda each: say(each, 200, b"in secret"), context) as base:
        assert Http(10.0, ca_file=str(authority.ca_file)).get(base).text == "in secret"
        with pytest.raises(TokenRefused) as caught:
            Http(10.0).get(base)
    assert caught.value.is_fault


def test_the_deadline_is_for_all_requests_together() -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.05)
        say(handler, 200, b"")

    client, answers = Http(1.0), 0
    with serving(slow) as base, pytest.raises(TokenRefused, match=r"within 1 seconds"):
        # Each is far within it; together they would take five seconds.
        for _ in range(100):
            client.get(base)
            answers += 1
    assert answers


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_server_that_speaks_no_http_or_hangs_up_is_unreachable(answer: bytes) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    with serving(hang_up) as base, pytest.raises(TokenRefused, match="cannot reach 127") as caught:
        Http(5.0).get(base)
    assert not caught.value.is_fault


def test_a_proxy_of_the_environment_is_used_and_not_for_managed_identities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        serving(lambda each: say(each, 200, each.path.encode())) as proxy,
        serving(lambda each: say(each, 200, b"direct")) as base,
    ):
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("http_proxy", proxy)
        assert Http(5.0).get(f"{base}/x").text == f"{base}/x"
        assert Http(5.0, by_proxy=False).get(f"{base}/x").text == "direct"


def test_a_ca_file_that_is_missing_is_a_fault() -> None:
    with pytest.raises(TokenRefused, match=r"gone\.pem") as caught:
        Http(5.0, ca_file="/gone.pem")
    assert caught.value.is_fault
