"""As much HTTP/1.1 as token requests, Graph and the control need (RFC 9112): one request, one response, close."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

HEAD_MAX_BYTES = 16_384
BODY_MAX_BYTES = 65_536
"""A client assertion with its certificate chain has some 8 KiB."""


class Request(Struct, frozen=True):
    """`path` without the query, `query` without its question mark."""

    method: str
    path: str
    query: str
    body: bytes
    authorization: str = ""
    """The field of that name; empty when there is none."""


class Head(Struct, frozen=True):
    """What comes before the body."""

    method: str
    target: str
    length: int
    authorization: str = ""


class Response(Struct, frozen=True):
    """JSON, whatever it is."""

    status: int
    body: object
    fields: Mapping[str, str] = {}
    """Further ones of its header."""


def parse_head(text: bytes) -> Head | None:
    """The head of a request, up to and with its blank line; None when it is none or its body has no length."""
    lines = text.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return None
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    length = fields.get("content-length", "0")
    if "transfer-encoding" in fields or not length.isascii() or not length.isdigit():
        return None
    return Head(words[0], words[1], int(length), fields.get("authorization", ""))


def request_of(head: Head, body: bytes) -> Request:
    """The whole request."""
    path, _, query = head.target.partition("?")
    return Request(head.method, path, query, body, head.authorization)


def encode(response: Response) -> bytes:
    """As it goes over the wire."""
    body = msgspec.json.encode(response.body)
    further = "".join(f"{name}: {value}\r\n" for name, value in response.fields.items())
    head = (
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"{further}"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_REASONS: Mapping[int, str] = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 429: "Too Many Requests", 503: "Service Unavailable",
}  # fmt: skip
