"""Slow, greedy and broken clients: each meets its limit, and the others are served."""

import contextlib
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.memory import Growth
from tests.integration.recording import Recording, recording
from tests.integration.serving import Generations, Serving, configuration
from tests.integration.wire import Wire

LIMITS = """
idle_timeout = "2s"
rate_grace = "2s"
minimum_rate = 500
transaction_timeout = "6s"
connections_per_address = 50
errors_per_session = 10
"""
ERRORS = 10
MAIL = b"Subject: x\r\n\r\nHello\r\n"
GROWTH_MAX_MIB = 16.0
"""A session has a buffer of 4 KiB, or 64 KiB while it reads content, and pauses when nobody reads its replies: what
50 such sessions take, and what the allocator keeps."""


@pytest.fixture
def hop() -> Iterator[Recording]:
    with recording() as sink:
        yield sink


@pytest.fixture
def relay(tmp_path: Path, hop: Recording) -> Iterator[Generations]:
    with Serving.started(tmp_path, configuration(hop.port, limits=LIMITS)) as running:
        yield running
        assert running.now.events("fault") == []


def assert_serves(relay: Generations, hop: Recording, count: int = 1) -> None:
    """Everybody else is served."""
    with Wire(relay.port) as wire:
        assert wire.send(MAIL).startswith(b"250")
    hop.received(count)


@pytest.mark.parametrize("said", [b"", b"EHLO c\r\n", b"EHLO c\r\nMAIL FROM:<a@example.com>\r\n"])
def test_a_client_that_says_nothing_is_told_so(relay: Generations, hop: Recording, said: bytes) -> None:
    with Wire(relay.port) as wire:
        wire.socket.sendall(said)
        for _ in range(said.count(b"\r\n")):
            assert wire.reply().startswith(b"250")
        began = time.monotonic()
        assert wire.reply().startswith(b"421 4.4.2")
        assert wire.reply() == b""
        assert 1.0 < time.monotonic() - began < 6.0
    assert_serves(relay, hop)


def test_content_that_trickles_is_cut_off(relay: Generations, hop: Recording) -> None:
    with Wire(relay.port) as wire:
        wire.open()
        assert wire.say(b"DATA").startswith(b"354")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10.0 and not _has_input(wire):
                wire.socket.sendall(b"x")
                time.sleep(0.05)
        assert wire.reply().startswith(b"421 4.4.2")
        assert time.monotonic() - began < 6.0
    assert_serves(relay, hop)
    assert len(hop.sink.mails) == 1


def test_a_transaction_that_never_ends_is_ended(relay: Generations, hop: Recording) -> None:
    with Wire(relay.port) as wire:
        wire.open()
        began = time.monotonic()
        while (answer := wire.say(b"NOOP")).startswith(b"250"):
            assert time.monotonic() - began < 12.0
            time.sleep(0.2)
        assert answer.startswith(b"421 4.4.2"), answer
    assert_serves(relay, hop)


def test_the_51st_connection_of_an_address_is_turned_away(relay: Generations, hop: Recording) -> None:
    with contextlib.ExitStack() as stack:
        taken: list[Wire] = []
        refused: list[Wire] = []
        for _ in range(200):
            wire = stack.enter_context(Wire(relay.port, banner=b""))
            (taken if wire.banner.startswith(b"220") else refused).append(wire)
        assert len(taken) == 50
        assert {wire.banner[:9] for wire in refused} == {b"421 4.7.0"}
        assert all(wire.reply() == b"" for wire in refused)
        assert taken[0].say(b"EHLO client").startswith(b"250")
        taken[0].close()
        time.sleep(0.2)
        assert_serves(relay, hop)


def test_too_many_errors_end_the_session(relay: Generations, hop: Recording) -> None:
    with Wire(relay.port) as wire:
        answers = [wire.say(b"GARBAGE") for _ in range(ERRORS)]
        assert all(answer.startswith(b"500") for answer in answers), answers
        wire.socket.sendall(b"GARBAGE\r\n")
        assert wire.reply().startswith(b"500")
        assert wire.reply().startswith(b"421 4.7.0")
        assert wire.reply() == b""
    assert_serves(relay, hop)


def test_clients_that_never_read_take_no_memory(relay: Generations, hop: Recording) -> None:
    """Commands without end, replies unread: the session must stop reading."""
    with Growth(relay.now.children()) as growth, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(relay.port)) for _ in range(40)]
        for wire in wires:
            wire.socket.settimeout(0.2)
            with contextlib.suppress(TimeoutError, ConnectionError):
                for _ in range(200):
                    wire.socket.sendall(b"EHLO client\r\n" * 1_000)
        assert_serves(relay, hop)
    assert growth.mib["receiver-0"] < GROWTH_MAX_MIB, growth.mib


@pytest.mark.parametrize("what", ["command", "line", "header"])
def test_lines_without_end_take_no_memory(relay: Generations, hop: Recording, what: str) -> None:
    with Growth(relay.now.children()) as growth, contextlib.ExitStack() as stack:
        for _ in range(10):
            wire = stack.enter_context(Wire(relay.port))
            if what != "command":
                wire.open()
                assert wire.say(b"DATA").startswith(b"354")
            piece = b"x" * 65_536 if what != "header" else b"X-Field: value\r\n" * 4_096
            with contextlib.suppress(ConnectionError):
                for _ in range(64):
                    wire.socket.sendall(piece)
                answer = wire.say(b"\r\n.")
                assert answer == b"" or answer.startswith(b"5"), answer
        assert_serves(relay, hop)
    assert len(hop.sink.mails) == 1
    assert growth.mib["receiver-0"] < GROWTH_MAX_MIB, growth.mib


def _has_input(wire: Wire) -> bool:
    return bool(select.select([wire.socket], [], [], 0)[0])
