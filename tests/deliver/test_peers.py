"""Against next hops that others wrote: Postfix's smtp-sink and aiosmtpd."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay.trace import event as trace
from tests.deliver.relaying import CONTENT, relaying, route_to
from tests.fakes.loop import in_loop

SMTP_SINK = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_smtp_sink = pytest.mark.skipif(
    SMTP_SINK is None and not os.environ.get("CI"),
    reason="smtp-sink is not installed (Debian package postfix)",
)


@asynccontextmanager
async def smtp_sink(folder: Path, *flags: str) -> AsyncIterator[int]:
    """A running smtp-sink that dumps each mail into a file of the folder; its port."""
    assert SMTP_SINK is not None, "CI installs postfix"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = _prepare(folder)
    process = await asyncio.create_subprocess_exec(
        SMTP_SINK, *user, *flags, "-d", "%M.", f"127.0.0.1:{port}", "100", cwd=folder
    )
    try:
        await listening(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


def _prepare(folder: Path) -> list[str]:
    """Make the folder; smtp-sink refuses to run as root and writes as the user it is told to become."""
    folder.mkdir()
    if os.geteuid() != 0:
        return []
    folder.chmod(0o777)
    for parent in list(folder.parents)[:3]:
        parent.chmod(0o755)
    return ["-u", "nobody"]


async def listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


def dumped(folder: Path) -> list[bytes]:
    """The content of each dump: what stands behind smtp-sink's own fields, one line end being LF."""
    return [file.read_bytes() for file in sorted(folder.iterdir())]


@needs_smtp_sink
@pytest.mark.parametrize(
    "flags", [(), ("-p",), ("-8",), ("-e",)], ids=["all", "no-pipelining", "no-8bitmime", "helo"]
)
@in_loop
async def test_smtp_sink_gets_every_mail_once_and_unaltered(tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder = tmp_path / "sunk"
    async with smtp_sink(folder, *flags) as port, relaying(tmp_path, route_to(port)) as relay:
        bodies = [b"Subject: %d\r\n\r\n.\r\n..two\r\nlast %d\r\n" % (n, n) for n in range(60)]
        await relay.hint(*(relay.accept(f"{n}@c.test", content=body) for n, body in enumerate(bodies)))
        await relay.until_empty()
        assert len(relay.told(trace.Delivered)) == 60
    found = dumped(folder)
    assert len(found) == 60
    for body in bodies:
        text = body.replace(b"\r\n", b"\n")
        assert sum(text.strip(b"\n") in dump for dump in found) == 1


@needs_smtp_sink
@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("-q", "data"), ""),
        (("-Q", "rcpt"), "451"),
        (("-f", "rcpt"), "5"),
        (("-r", "data"), "4"),
        (("-r", "."), "4"),
    ],
    ids=["drops", "421", "hard", "soft-data", "soft-dot"],
)
@in_loop
async def test_a_moody_smtp_sink_loses_nothing(tmp_path: Path, flags: tuple[str, str], code: str) -> None:
    async with smtp_sink(tmp_path / "sunk", *flags) as port:
        route = route_to(port, connections=2, retry_first_s=0.1)
        async with relaying(tmp_path, route, lane_backoff_first_s=0.02) as relay:
            mails = [relay.accept() for _ in range(5)]
            await relay.hint(*mails)
            await relay.until(lambda: relay.told(trace.Held) or relay.told(trace.Deferred))
            replies = [event.reply for event in relay.told(trace.Held)]
            replies += [event.reply for event in relay.told(trace.Deferred)]
            assert all(reply.startswith(code) for reply in replies)
            left = {entry.queued.id for entry in relay.store.scan() if hasattr(entry, "queued")}
            assert left == {mail.id for mail in mails}


@in_loop
async def test_aiosmtpd_gets_the_mail_unaltered(tmp_path: Path) -> None:
    smtp = pytest.importorskip("aiosmtpd.smtp", reason="aiosmtpd is not installed")

    class Keeper:
        def __init__(self) -> None:
            self.mails: list[tuple[str, list[str], bytes]] = []

        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
            # aiosmtpd has no types.
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))  # type: ignore[attr-defined]
            return "250 2.0.0 kept"

    keeper = Keeper()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: smtp.SMTP(keeper, enable_SMTPUTF8=True), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, relaying(tmp_path, route_to(port)) as relay:
        await relay.hint(*(relay.accept("ü@c.test", is_utf8=True, is_8bit=True) for _ in range(10)))
        await relay.until_empty()
    assert keeper.mails == [("a@sender.test", ["ü@c.test"], CONTENT)] * 10
