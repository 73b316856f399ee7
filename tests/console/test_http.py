"""As much HTTP as there is."""

from pathlib import Path

import pytest

from relay.console.http import FRESH_S, Site, answer
from relay.trace import snapshot
from relay.trace.tally import Counts
from tests.fakes.clock import FakeClock


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for role in ("deliverer", "receiver-0"):
        snapshot.write(tmp_path, role, Counts())
    written = (tmp_path / f"deliverer.{snapshot.read(tmp_path)[0].pid}.json").stat().st_mtime
    return Site(tmp_path, FakeClock(written + 1))


def get(site: Site, path: str, method: str = "GET") -> tuple[bytes, bytes]:
    """Status line and body; the length is checked on the way."""
    response = answer(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), site)
    head, _, body = response.partition(b"\r\n\r\n")
    if method == "GET":
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    return head.split(b"\r\n")[0], body


def test_metrics_are_text(site: Site) -> None:
    status, body = get(site, "/metrics")
    assert status == b"HTTP/1.1 200 OK"
    assert body.startswith(b"# HELP m365_relay_mails_accepted_total ")


def test_a_query_changes_nothing(site: Site) -> None:
    assert get(site, "/metrics?x=1")[0] == b"HTTP/1.1 200 OK"


def test_a_relay_at_work_is_healthy(site: Site) -> None:
    assert get(site, "/healthz") == (b"HTTP/1.1 200 OK", b"ok\n")


def test_a_missing_process_is_named(tmp_path: Path) -> None:
    snapshot.write(tmp_path, "receiver-0", Counts())
    status, body = get(Site(tmp_path, FakeClock()), "/healthz")
    assert (status, body) == (b"HTTP/1.1 503 Service Unavailable", b"deliverer is not running\n")


def test_a_silent_process_is_named(tmp_path: Path) -> None:
    for role in ("deliverer", "receiver-0"):
        snapshot.write(tmp_path, role, Counts())
    age = snapshot.ages(tmp_path, 0.0)["deliverer"]
    status, body = get(Site(tmp_path, FakeClock(-age + FRESH_S + 1)), "/healthz")
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert body.startswith(b"deliverer has been silent for 16 s")


def test_head_has_no_body(site: Site) -> None:
    status, body = get(site, "/metrics", "HEAD")
    assert (status, body) == (b"HTTP/1.1 200 OK", b"")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"EHLO example.com\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
    ],
)
def test_other_requests_get_their_status(site: Site, request_head: bytes, status: bytes) -> None:
    assert answer(request_head, site).split(b" ")[1] == status
