"""A running relay keeps a history: asked while it runs, over a kill, a reload and a damage."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.sink import Script, Sink
from tests.process.relay import Relay, configuration, running, wait_until

WITHIN_S = 120.0
"""A dozen commands, each a process of its own, on a busy machine."""
REFUSED = b"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"


def ask(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "relay.cli.main", *arguments, "-c", str(folder / "relay.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def mails(folder: Path, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in ask(folder, "trace", *arguments, "--json").splitlines()]


def to(port: int, rest: str = "") -> str:
    # Held, so that no reports of ours come between.
    return configuration(route='failed = "hold"', rest=rest).replace("port = 9\n", f"port = {port}\n")


def outcomes(folder: Path) -> list[str]:
    return [str(r["outcome"]) for mail in mails(folder) for r in mail["recipients"]]  # type: ignore[attr-defined]


def use(folder: Path, port: int) -> None:
    text = to(port)
    with running(folder, text) as relay:
        relay.send(3)
        relay.wait_for("held", 3)
        wait_until(lambda: outcomes(folder) == ["held"] * 3)
        _check(folder, relay)
        _damage(folder, relay)
        assert relay.stop() == 0
    (folder / "relay.log").unlink()
    with running(folder, text) as relay:
        relay.send(2)
        relay.wait_for("held", 2)
        assert relay.stop() == 0
    assert len(mails(folder)) == 3, "one after the damage, two after the restart; those before it are aside"


def _check(folder: Path, relay: Relay) -> None:
    [first, *_] = relay.events("accepted")
    [mail] = mails(folder, str(first["id"]))
    assert (mail["message_id"], mail["sender"]) == (first["message_id"], "a@example.com")
    assert mail["client"] == first["client"]
    assert "There is no such recipient" in ask(folder, "trace", str(mail["id"]))
    assert json.loads(ask(folder, "report", "--json"))["mails"] == 3
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        assert stat.S_IMODE((folder / "spool" / name).stat().st_mode) == 0o600
    # A deliverer that is killed: the next one goes on with the file, and tells nothing twice.
    os.kill(relay.children()["deliverer"], signal.SIGKILL)
    relay.wait_for("queue_rebuilt", 2)
    assert outcomes(folder) == ["held"] * 3
    ask(folder, "trace", "erase", "b@example.net", "--yes")
    assert mails(folder) == []
    told = relay.wait_for("history_erased")
    assert (told["mails"], told["steps"]) == (3, 3) and "b@example.net" not in json.dumps(told)


def _damage(folder: Path, relay: Relay) -> None:
    history = folder / "spool" / "history.db"
    for name in ("", "-wal", "-shm"):
        Path(f"{history}{name}").unlink(missing_ok=True)
    history.write_bytes(b"rubbish" * 2_000)
    assert relay.wait_for("history_moved_aside")["aside"] == "", "the file it wrote to is not there any more"
    assert "damaged" in str(relay.wait_for("history_moved_aside", 2)["aside"]), "what is there now is none"
    relay.send()
    relay.wait_for("held", 4)
    wait_until(lambda: len(mails(folder)) == 1)


def test_a_relay_keeps_a_history_whatever_happens_to_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(WITHIN_S), Sink(Script(replies={b"RCPT TO": REFUSED})) as sink:
            await asyncio.to_thread(use, tmp_path, sink.port)

    asyncio.run(main())


def test_a_relay_without_one_keeps_none(tmp_path: Path) -> None:
    with running(tmp_path, configuration(rest="[history]\nenabled = false\n")) as relay:
        relay.send(1)
        assert relay.stop() == 0
    assert not (tmp_path / "spool" / "history.db").exists()


@pytest.mark.parametrize("rest", ["[history]\nsubject = true\n", ""])
def test_a_relay_keeps_subjects_where_it_is_told_to(tmp_path: Path, rest: str) -> None:
    with running(tmp_path, configuration(rest=rest)) as relay:
        relay.send(2)
        wait_until(lambda: len(mails(tmp_path)) == 2)
        assert relay.stop() == 0
    # Newest first.
    assert [mail["subject"] for mail in mails(tmp_path)] == (["1", "0"] if rest else ["", ""])
    assert ("subject: 1" in ask(tmp_path, "trace", "--steps")) is bool(rest)
    assert ask(tmp_path, "trace", "--csv").splitlines()[0].endswith(",reply,subject")
