"""The simulator's control, asked over its HTTPS; and the relay's metrics, over HTTP."""

import asyncio
from urllib.parse import urlsplit

import msgspec

from relay import tls
from relay.cli.demo_process import Facts
from relay.simulator.ledger import Kept
from relay.simulator.report import Report

WITHIN_S = 10.0
PAGE = 1000
"""So many mails the control tells at once."""


async def withdraw_send_as(facts: Facts, mailbox: str) -> None:
    """What an administrator's slip does: the mailbox may send as nobody but itself."""
    body = msgspec.json.encode({"address": mailbox, "send_as": []})
    await _ask(facts, "POST", "mailbox", body)


async def report(facts: Facts) -> Report:
    """What the tenant has seen so far."""
    return msgspec.json.decode(await _ask(facts, "GET", "report"), type=Report)


async def mails(facts: Facts) -> list[Kept]:
    """All mails that it took."""
    found: list[Kept] = []
    while page := msgspec.json.decode(await _ask(facts, "GET", f"mails?after={len(found)}"), type=list[Kept]):
        found += page
    return found


async def _ask(facts: Facts, method: str, what: str, body: bytes = b"") -> bytes:
    url = facts.control.rpartition("/")[0] + f"/{what}"
    return await fetch(url, method, body, ca_file=facts.ca_file)


async def fetch(url: str, method: str = "GET", body: bytes = b"", *, ca_file: str | None = None) -> bytes:
    """The body of a 200; ConnectionError for anything else."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    context = tls.client_context(ca_file=ca_file) if parts.scheme == "https" else None
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(WITHIN_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
    start, _, content = answer.partition(b"\r\n\r\n")
    if b" 200 " not in start.split(b"\r\n")[0]:
        raise ConnectionError(f"{url}: {start[:80]!r} {content[:200]!r}")
    return content
