"""As much HTTP as metrics and health checks need (RFC 9112): one request, one response, close."""

from pathlib import Path

from relay.clock import Clock
from relay.trace import metrics, snapshot

FRESH_S = 15.0
"""Processes write their counts every second; one that has not for so long is not well."""
NEEDED = ("deliverer", "receiver-0")


class Site:
    """What there is to ask."""

    def __init__(self, run: Path, clock: Clock) -> None:
        self._run = run
        self._clock = clock

    def metrics(self) -> bytes:
        """Prometheus text."""
        return metrics.text(self._run)

    def trouble(self) -> str:
        """Why the relay is not healthy; empty when it is."""
        roles = snapshot.ages(self._run, self._clock.now())
        for role in NEEDED:
            age = roles.get(role)
            if age is None:
                return f"{role} is not running"
            if age > FRESH_S:
                return f"{role} has been silent for {age:.0f} s"
        return ""


def answer(request: bytes, site: Site) -> bytes:
    """The whole response to a request's head."""
    method, _, rest = request.partition(b" ")
    target, _, version = rest.partition(b"\r\n")[0].partition(b" ")
    if not version.startswith(b"HTTP/1."):
        return _response("400 Bad Request", b"not HTTP/1\n")
    if method not in (b"GET", b"HEAD"):
        return _response("405 Method Not Allowed", b"only GET and HEAD\n", "Allow: GET, HEAD\r\n")
    response = _get(target.partition(b"?")[0], site)
    return response if method == b"GET" else response[: response.index(b"\r\n\r\n") + 4]


def _get(path: bytes, site: Site) -> bytes:
    match path:
        case b"/metrics":
            return _response("200 OK", site.metrics(), kind=metrics.CONTENT_TYPE)
        case b"/healthz":
            trouble = site.trouble()
            return _response(
                "503 Service Unavailable" if trouble else "200 OK", f"{trouble or 'ok'}\n".encode()
            )
    return _response("404 Not Found", b"there are /metrics and /healthz\n")


def _response(status: str, body: bytes, more: str = "", kind: str = "text/plain; charset=utf-8") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{more}\r\n"
    )
    return head.encode() + body
