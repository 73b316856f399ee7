"""The signer beside a receiver: it signs, is replaced when it dies, and is gone when its receiver is."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from relay.clock import SystemClock
from relay.identity.dkim_judge import Result
from relay.process.signer_seat import SignerSeat
from relay.trace.event import Event, ProcessEnded, ProcessStarted
from tests.identity.keys import rsa_key, rsa_pem
from tests.process.relay import Relay, is_alive, running, wait_until
from tests.process.signing import policy, send, verdicts


def ready(relay: Relay, count: int = 1) -> dict[str, int]:
    """The signers, once so many have ever been ready: role → pid."""
    wait_until(lambda: len(started(relay)) >= count)
    return relay.signers()


def started(relay: Relay) -> list[str]:
    roles = [str(line["role"]) for line in relay.events("process_started")]
    return [role for role in roles if role.startswith("signer-")]


def threads(pid: int) -> int:
    """One more when a receiver has had to sign by itself."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def waits(pid: int) -> int:
    """How often it has waited so far; a signer waits for questions only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    raise AssertionError("no such line")


def assert_signed(folder: Path, count: int) -> None:
    """So many mails are there, each with one signature, and that is good."""
    assert [[each.result for each in mail] for mail in verdicts(folder)] == [[Result.PASS]] * count


def test_each_receiver_has_a_signer_and_it_signs(tmp_path: Path) -> None:
    text = policy(tmp_path, "s1").replace("receivers = 1", "receivers = 2")
    with running(tmp_path, text) as relay:
        signers = ready(relay, 2)
        assert set(signers) == {"signer-0", "signer-1"}
        receivers = [pid for role, pid in relay.children().items() if role.startswith("receiver-")]
        before = [*map(threads, receivers)]
        for _ in range(5):
            send(relay)
        assert [*map(threads, receivers)] == before
        assert relay.stop() == 0
        assert not any(map(is_alive, signers.values()))
        ends = [line for line in relay.events("process_ended") if str(line["role"]).startswith("signer-")]
        assert [(line["status"], line["level"]) for line in ends] == [(0, "info")] * 2
    assert_signed(tmp_path, 5)


def test_the_end_of_a_signer_that_was_hung_up_on_is_no_surprise_however_late_one_looks(
    tmp_path: Path,
) -> None:
    async def live() -> list[Event]:
        events: list[Event] = []
        is_ready = asyncio.Event()

        def record(event: Event) -> None:
            events.append(event)
            if isinstance(event, ProcessStarted):
                is_ready.set()

        seat = SignerSeat(0, [rsa_key()], record, SystemClock())
        async with asyncio.timeout(20):
            seat.start()
            await is_ready.wait()
            seat.close()
            # As a receiver may that has other things to close first.
            while len(events) < 2:  # noqa: ASYNC110 (a process ends when it ends)
                await asyncio.sleep(0.01)
            await seat.stop()
        return events

    _, ended = asyncio.run(live())
    assert isinstance(ended, ProcessEnded)
    assert (ended.status, ended.level, ended.restart_in) == (0, "info", -1.0)


def test_with_ed25519_alone_there_is_none(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "e1")) as relay:
        send(relay)
        assert relay.signers() == {}
        assert relay.stop() == 0
    assert_signed(tmp_path, 1)


def test_keys_reach_neither_arguments_nor_environment_nor_log(tmp_path: Path) -> None:
    secret = rsa_pem().splitlines()[5]
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (pid,) = ready(relay).values()
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{name}").read_bytes()
            assert b"PRIVATE KEY" not in text and secret not in text
        assert relay.stop() == 0
        assert secret not in relay.log_file.read_bytes()


def test_a_signer_holds_its_two_lines_and_no_file_or_socket_of_the_receiver(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (pid,) = ready(relay).values()
        held = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        # Standard output and error go to the log.
        assert sum(each.startswith("socket:") for each in held) == 2 and len(held) == 4
        assert relay.stop() == 0


def test_a_signer_that_dies_is_replaced_and_meanwhile_mail_is_signed_all_the_same(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (first,) = ready(relay).values()
        send(relay)
        os.kill(first, signal.SIGKILL)
        send(relay)
        (second,) = ready(relay, 2).values()
        assert second != first
        before, sent = waits(second), 2
        # It need not wait after each on a busy machine, and may be about to wait for its first as we look.
        while waits(second) < before + 2:
            send(relay)
            sent += 1
            assert sent < 30
        assert relay.events("process_ended")[0]["status"] == -signal.SIGKILL
        assert relay.stop() == 0
    assert_signed(tmp_path, sent)


def test_a_signer_that_stands_still_is_replaced_and_its_mail_is_signed(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (first,) = ready(relay).values()
        os.kill(first, signal.SIGSTOP)
        send(relay)
        (second,) = ready(relay, 2).values()
        assert second != first and not is_alive(first)
        assert relay.stop() == 0
    assert_signed(tmp_path, 1)


def test_a_signal_to_a_whole_group_does_not_end_it(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (pid,) = ready(relay).values()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(pid, number)
        send(relay)
        assert relay.signers() == {"signer-0": pid}
        assert relay.stop() == 0
    assert_signed(tmp_path, 1)


@pytest.mark.parametrize("victim", ["receiver-0", "supervisor"])
def test_a_signer_ends_with_its_receiver_however_that_ends(tmp_path: Path, victim: str) -> None:
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (pid,) = ready(relay).values()
        os.kill(relay.process.pid if victim == "supervisor" else relay.children()[victim], signal.SIGKILL)
        wait_until(lambda: not is_alive(pid))
        if victim == "receiver-0":
            wait_until(lambda: len(started(relay)) == 2)
            send(relay)
            assert relay.stop() == 0
            assert_signed(tmp_path, 1)


def test_a_reload_brings_a_signer_with_the_new_keys_and_ends_the_old_one(tmp_path: Path) -> None:
    with running(tmp_path, policy(tmp_path, "s1")) as relay:
        (old,) = ready(relay).values()
        send(relay)
        (tmp_path / "relay.toml").write_text(policy(tmp_path, "s2"))
        relay.process.send_signal(signal.SIGHUP)
        relay.wait_for("configuration_read", 2)
        (new,) = ready(relay, 2).values()
        assert new != old and not is_alive(old)
        send(relay)
        assert relay.stop() == 0
    found = verdicts(tmp_path)
    assert [[(each.selector, each.result) for each in mail] for mail in found] == [
        [("s1", Result.PASS)],
        [("s2", Result.PASS)],
    ]
