"""The control socket: who may connect, what is answered, and clients that mean no good."""

import asyncio
import json
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from relay.config.configuration import ControlOptions
from relay.control import server as shell
from relay.control.server import CONNECTIONS_MAX, ControlServer
from relay.control.session import REQUEST_MAX_BYTES
from relay.errors import ConfigurationError
from relay.message.queue_id import format_id
from relay.trace import event as trace
from tests.control.controlled import NOBODY, asking, controlled
from tests.deliver.relaying import Relaying, route_to
from tests.fakes.loop import in_loop


async def fill(relay: Relaying, mails: int) -> None:
    """Mails that nobody takes."""
    await relay.hint(*(relay.accept(f"{n}@c.test", campaign="May") for n in range(mails)))
    assert relay.deliverer is not None
    queue = relay.deliverer._queue
    await relay.until(lambda: queue.depth().ready >= mails)


@in_loop
async def test_the_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)):
        found = os.lstat(tmp_path / "control")
        assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    assert not (tmp_path / "control").exists()


@in_loop
async def test_a_group_may_be_let_in(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)) as (_, server):
        options = ControlOptions(tmp_path / "other", 0o660, os.getgid())
        second = ControlServer(options, server._office)
        await second.listen()
        found = os.lstat(tmp_path / "other")
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getgid())
        await second.close()


@in_loop
async def test_what_a_dead_deliverer_left_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "control"))
    dead.close()
    async with controlled(tmp_path, route_to(NOBODY)) as (_, server):
        (tmp_path / "file").write_text("not ours")
        with pytest.raises(ConfigurationError, match="control"):
            await ControlServer(ControlOptions(tmp_path / "file"), server._office).listen()
        assert (tmp_path / "file").read_text() == "not ours"


@in_loop
async def test_who_wants_what_and_what_came_of_it_stand_in_the_log(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)) as (relay, _), asking(tmp_path) as client:
        await fill(relay, 3)
        count = await client.act("hold", where={"campaign": "May"}, reason="why not")
        assert (count.selected, count.changed) == (3, 3)
        [began], [ended] = relay.told(trace.Commanded), relay.told(trace.CommandEnded)
        assert (began.do, began.uid, began.pid) == ("hold", os.getuid(), os.getpid())
        assert began.detail == ended.detail == "campaign May"
        assert (ended.selected, ended.changed, ended.problem) == (3, 3, "")
        assert {each.by for each in relay.told(trace.Steered)} == {began.by}


@in_loop
async def test_requests_of_one_connection_are_answered_in_their_order(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)), asking(tmp_path) as client:
        client.writer.write(b'{"do":"stopped"}\nnonsense\n\n{"do":"stopped"}\n')
        assert [str((await client.answer())[-1].get("error", ""))[:14] for _ in range(3)] == [
            "", "the request is", ""
        ]  # fmt: skip


@in_loop
async def test_progress_is_told_while_an_order_runs(tmp_path: Path) -> None:
    with patch("relay.control.office.PROGRESS_S", 0.0):
        async with controlled(tmp_path, route_to(NOBODY)) as (relay, _), asking(tmp_path) as client:
            await fill(relay, 2000)
            *progress, end = await client.ask(do="hold", where={"all": True})
            assert len(progress) >= 4 and all(each["of"] == 2000 for each in progress)
            assert end["result"]["changed"] == 2000  # type: ignore[index]


# Clients that mean no good.


@in_loop
async def test_a_client_that_goes_away_ends_its_order_and_nothing_else(tmp_path: Path) -> None:
    # In slices as short as these it is not done before anybody notices.
    with patch("relay.deliver.actions.SLICE", 20):
        await _goes_away(tmp_path)


async def _goes_away(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)) as (relay, _):
        await fill(relay, 3000)
        async with asking(tmp_path) as client:
            client.writer.write(b'{"do":"hold","where":{"all":true}}\n')
            await relay.until(lambda: relay.told(trace.Steered))
        await relay.until(lambda: relay.told(trace.CommandEnded))
        [ended] = relay.told(trace.CommandEnded)
        assert 0 < ended.changed < 3000 and ended.problem == "the client has gone"
        async with asking(tmp_path) as client:
            count = await client.act("hold", where={"all": True})
            assert (count.changed, count.unchanged) == (3000 - ended.changed, ended.changed)


@in_loop
async def test_a_client_that_does_not_read_holds_up_nothing(tmp_path: Path) -> None:
    with patch("relay.control.office.PROGRESS_S", 0.0), patch.object(shell, "TAKE_WITHIN_S", 0.3):
        async with controlled(tmp_path, route_to(NOBODY)) as (relay, server):
            await relay.hint(relay.accept(*(f"{n}@{'x' * 200}.test" for n in range(8_000))))
            assert relay.deliverer is not None
            queue = relay.deliverer._queue
            await relay.until(lambda: queue.depth().ready == 1)
            [mail] = relay.store.mails()
            deaf = socket.socket(socket.AF_UNIX)
            deaf.setblocking(False)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(str(tmp_path / "control"))
            deaf.send(json.dumps({"do": "why", "id": format_id(mail.id)}).encode() + b"\n")
            await relay.until(lambda: server._tasks)
            async with asking(tmp_path) as client:
                assert (await client.act("hold", where={"all": True})).changed == 1
            await relay.until(lambda: not server._tasks)
            deaf.close()


@in_loop
async def test_a_client_that_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    with patch.object(shell, "REQUEST_WITHIN_S", 0.1):
        async with controlled(tmp_path, route_to(NOBODY)), asking(tmp_path) as client:
            async with asyncio.timeout(5):
                assert await client.reader.read() == b""


@in_loop
async def test_a_request_without_an_end_is_refused(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)), asking(tmp_path) as client:
        client.writer.write(b"x" * (REQUEST_MAX_BYTES + 70_000))
        [refused] = await client.answer()
        assert "bytes" in str(refused["error"])
        # What was not read of it is thrown away with the connection.
        with suppress(ConnectionResetError):
            assert await client.reader.read() == b""


@in_loop
async def test_who_is_one_too_many_is_told_so(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)) as (relay, server):
        many = [await asyncio.open_unix_connection(str(tmp_path / "control")) for _ in range(CONNECTIONS_MAX)]
        await relay.until(lambda: len(server._tasks) == CONNECTIONS_MAX)
        async with asking(tmp_path) as client:
            [refused] = await client.answer()
            assert "connections already" in str(refused["error"])
        for _, writer in many:
            writer.close()
        await relay.until(lambda: not server._tasks)
        async with asking(tmp_path) as client:
            await client.result(do="stopped")


@in_loop
async def test_an_order_ends_where_it_is_when_the_deliverer_does(tmp_path: Path) -> None:
    with patch("relay.deliver.actions.SLICE", 20):
        await _ends_with_the_deliverer(tmp_path)


async def _ends_with_the_deliverer(tmp_path: Path) -> None:
    async with controlled(tmp_path, route_to(NOBODY)) as (relay, server), asking(tmp_path) as client:
        await fill(relay, 3000)
        client.writer.write(b'{"do":"hold","where":{"all":true}}\n')
        await relay.until(lambda: relay.told(trace.Steered))
        await server.close()
        answer = (await client.answer())[-1]
        assert "reloads" in str(answer["result"]["cut_short"])  # type: ignore[index]
