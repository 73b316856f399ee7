"""The demo's applications: one that sends its campaign as fast as it can, one that sends single mails all day."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from relay.cli.demo_mail import content
from relay.cli.demo_plan import Mail

SESSIONS = 8
REPLY_WITHIN_S = 60.0


@dataclass(slots=True)
class Sending:
    """What the relay answered."""

    accept_s: list[float] = field(default_factory=list)
    """From the final dot to its 250, of each accepted mail."""
    refusals: list[str] = field(default_factory=list)


async def send_all(sending: Sending, mails: Iterable[Mail], host: str, port: int) -> None:
    """All of it over SESSIONS connections."""
    waiting = iter(mails)
    async with asyncio.TaskGroup() as sessions:
        for _ in range(SESSIONS):
            sessions.create_task(_session(sending, waiting, host, port))


async def send_evenly(sending: Sending, mails: Iterable[Mail], host: str, port: int, pause_s: float) -> None:
    """One after the other, each in a session of its own, as people cause them."""
    for mail in mails:
        await asyncio.sleep(pause_s)
        await _session(sending, iter((mail,)), host, port)


async def _session(sending: Sending, mails: Iterator[Mail], host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    await _reply(reader)
    writer.write(b"EHLO shop.contoso.example\r\n")
    await _reply(reader)
    for mail in mails:
        await _send(sending, mail, reader, writer)
    writer.write(b"QUIT\r\n")
    await _reply(reader)
    writer.close()


async def _send(
    sending: Sending, mail: Mail, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    lines = [f"MAIL FROM:<{mail.sender}>", *(f"RCPT TO:<{each}>" for each in mail.recipients), "DATA"]
    writer.write("".join(f"{line}\r\n" for line in lines).encode())
    replies = [await _reply(reader) for _ in lines]
    refused = [reply for reply in replies if reply[:1] in "45"]
    if not replies[-1].startswith("354"):
        sending.refusals += refused[:1]
        return
    writer.write(content(mail).replace(b"\r\n.", b"\r\n..") + b".\r\n")
    dotted_at = time.monotonic()
    reply = await _reply(reader)
    if reply.startswith("250") and not refused:
        sending.accept_s.append(time.monotonic() - dotted_at)
    else:
        sending.refusals += [*refused, reply][:1]


async def _reply(reader: asyncio.StreamReader) -> str:
    """A reply's last line; ConnectionError when there is none."""
    async with asyncio.timeout(REPLY_WITHIN_S):
        while True:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the relay hung up")
            if line[3:4] != b"-":
                return line.decode("ascii", "replace").rstrip()
