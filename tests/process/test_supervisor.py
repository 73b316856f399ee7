"""The relay's life, with real processes: start, restarts, reloads, ends."""

import os
import signal
import smtplib
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.process.relay import configuration, is_alive, running, wait_until


def test_it_says_when_it_is_ready_and_ends_cleanly(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.wait_for("ready")
        assert relay.children().keys() == {"receiver-0", "deliverer", "console"}
        relay.send(3)
        children = relay.children()
        assert relay.stop() == 0
        assert not any(map(is_alive, children.values()))
        ends = [line["process"] for line in relay.events("draining")]
        assert ends[0] == "supervisor"
        assert [line["role"] for line in relay.events("process_ended")] == [
            "receiver-0",
            "deliverer",
            "console",
        ]
        assert relay.events("fault") == relay.events("process_failed") == []


def test_nobody_else_can_look_into_the_spool(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.send()
        for path in (tmp_path / "spool").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path
        assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
        relay.stop()


def test_an_interrupt_ends_it_like_sigterm(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.wait_for("ready")
        relay.process.send_signal(signal.SIGINT)
        assert relay.process.wait(20) == 0


def test_metrics_and_health_are_served(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.send(2)
        url = relay.console

        def accepted() -> bool:
            return b"\nm365_relay_mails_accepted_total 2.0\n" in get(url)

        wait_until(accepted)
        assert get(url.replace("metrics", "healthz")) == b"ok\n"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(url.replace("metrics", "nothing"))


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        body = response.read()
        assert isinstance(body, bytes)
        return body


@pytest.mark.parametrize("role", ["receiver-0", "deliverer", "console"])
def test_a_child_that_is_killed_is_replaced(tmp_path: Path, role: str) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.send()
        old = relay.children()[role]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: relay.children().get(role, old) != old)
        relay.wait_for("process_started", 4)
        (end,) = relay.events("process_ended")
        assert (end["role"], end["status"]) == (role, -signal.SIGKILL)
        relay.send()
        assert relay.stop() == 0


def test_counts_of_a_dead_receiver_are_kept(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.send(3)
        url = relay.console
        wait_until(lambda: b"mails_accepted_total 3.0" in get(url))
        os.kill(relay.children()["receiver-0"], signal.SIGKILL)
        relay.wait_for("process_started", 4)
        relay.send()
        wait_until(lambda: b"mails_accepted_total 4.0" in get(url))


def test_children_end_when_the_supervisor_dies_and_a_new_one_takes_over(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.send(2)
        children = relay.children()
        relay.process.kill()
        relay.process.wait(20)
        wait_until(lambda: not any(map(is_alive, children.values())))
    (tmp_path / "relay.log").unlink()
    with running(tmp_path, configuration()) as relay:
        relay.wait_for("ready")
        (rebuilt,) = relay.events("queue_rebuilt")
        assert rebuilt["queued"] == 2
        assert relay.stop() == 0


def test_a_reload_replaces_children_and_keeps_the_socket(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay:
        before, old = relay.address, relay.children()
        with smtplib.SMTP(*before, timeout=20) as client:
            client.ehlo()
            (tmp_path / "relay.toml").write_text(configuration(rest="[limits]\nmessage_size = 1000000"))
            relay.process.send_signal(signal.SIGHUP)
            relay.wait_for("ready", 2)
            assert client.noop()[0] == 421
            client.close()
        assert relay.events("ready")[1]["listeners"] == relay.events("ready")[0]["listeners"]
        new = relay.children()
        assert new.keys() == {"receiver-0", "deliverer"}
        assert not set(new.values()) & set(old.values())
        with smtplib.SMTP(*before, timeout=20) as client:
            client.ehlo()
            assert client.esmtp_features["size"] == "1000000"
        relay.send()
        assert relay.stop() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[relay]\n", "spool: is missing"),
        (configuration().replace('path = "spool"', 'path = "other"'), "takes a restart"),
    ],
)
def test_a_wrong_configuration_is_refused_and_the_old_one_kept(tmp_path: Path, text: str, words: str) -> None:
    with running(tmp_path, configuration()) as relay:
        relay.wait_for("ready")
        old = relay.children()
        (tmp_path / "relay.toml").write_text(text)
        relay.process.send_signal(signal.SIGHUP)
        refused = relay.wait_for("configuration_refused")
        assert words in str(refused["problems"])
        assert relay.children() == old
        relay.send()
        assert relay.stop() == 0


def test_a_port_that_is_taken_is_explained(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = configuration().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)
        with running(tmp_path, text) as relay:
            assert relay.process.wait(20) == 69
            (failed,) = relay.events("process_failed")
            assert "another program has this port" in str(failed["reason"])


def test_a_port_that_comes_free_in_a_moment_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = configuration().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)
        with running(tmp_path, text) as relay:
            wait_until(lambda: bool(relay.events("waiting")))
            taken.close()
            assert relay.wait_for("ready")["listeners"] == [f"127.0.0.1:{port}"]
            assert relay.stop() == 0


def test_a_spool_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/data.mdb").write_bytes(b"no database" * 1000)
    with running(tmp_path, configuration()) as relay:
        assert relay.process.wait(20) == 78
        assert any("spool" in str(line["reason"]) for line in relay.events("process_failed"))


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with running(tmp_path, configuration()) as relay, smtplib.SMTP(*relay.address, timeout=20) as client:
        client.ehlo()
        client.mail("a@example.com")
        client.rcpt("b@example.net")
        client.docmd("DATA")
        relay.process.send_signal(signal.SIGTERM)
        relay.wait_for("draining")
        assert relay.process.poll() is None
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(5) == 1
        client.close()


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        address = str(tmp_path / "notify")
        notified.bind(address)
        notified.settimeout(20)
        with running(tmp_path, configuration(), {"NOTIFY_SOCKET": address}) as relay:
            assert told(notified).startswith("READY=1\nSTATUS=Accepting mail on 127.0.0.1:")
            relay.process.send_signal(signal.SIGHUP)
            assert told(notified).startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert told(notified).startswith("READY=1")
            assert relay.stop() == 0
            assert told(notified).startswith("STOPPING=1")


def told(notified: socket.socket) -> str:
    """The next message that is no sign of life."""
    for _ in range(1000):
        message = notified.recv(4096).decode()
        if message != "WATCHDOG=1":
            return message
    raise AssertionError("nothing but signs of life")


def test_passwords_reach_neither_arguments_nor_environment_nor_log(tmp_path: Path) -> None:
    text = configuration(route='username = "u"\npassword_env = "SMARTHOST_PASSWORD"', rest="")
    with running(tmp_path, text, {"SMARTHOST_PASSWORD": "opensesame"}) as relay:
        relay.wait_for("ready")
        for pid in relay.children().values():
            for name in ("cmdline", "environ"):
                assert b"opensesame" not in Path(f"/proc/{pid}/{name}").read_bytes()
        relay.stop()
        assert b"opensesame" not in relay.log_file.read_bytes()


def test_several_receivers_share_the_socket(tmp_path: Path) -> None:
    with running(tmp_path, configuration().replace("receivers = 1", "receivers = 3")) as relay:
        relay.wait_for("ready")
        assert {"receiver-0", "receiver-1", "receiver-2"} <= relay.children().keys()
        relay.send(2)
        assert relay.stop() == 0


def test_a_receiver_waits_while_a_deliverer_looks_after_all_slots(tmp_path: Path) -> None:
    from relay.message.queue_id import MAX_SLOTS
    from relay.spool import lock

    (tmp_path / "spool").mkdir()
    held = [lock.Lock.hold(tmp_path / "spool", lock.receiver(slot)) for slot in range(MAX_SLOTS)]
    with running(tmp_path, configuration()) as relay:
        wait_until(
            lambda: {"deliverer", "console"} <= {line["role"] for line in relay.events("process_started")}
        )
        assert relay.process.poll() is None
        assert relay.events("ready") == relay.events("process_failed") == []
        for each in held:
            each.release()
        relay.wait_for("ready")
        assert relay.stop() == 0


def test_a_deliverer_waits_for_its_predecessor(tmp_path: Path) -> None:
    from relay.spool import lock

    (tmp_path / "spool").mkdir()
    held = lock.Lock.hold(tmp_path / "spool", lock.DELIVERER)
    with running(tmp_path, configuration()) as relay:
        waiting = relay.wait_for("waiting")
        assert waiting["role"] == "deliverer"
        assert relay.events("ready") == []
        held.release()
        relay.wait_for("ready")
        assert relay.stop() == 0
