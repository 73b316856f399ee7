"""The log's lines, and what happens when nobody reads them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from relay.trace import log
from relay.trace.event import Accepted, Committed, Draining, Ready
from relay.trace.log import Log
from tests.fakes.clock import FakeClock

ACCEPTED = Accepted(
    id="A1", message_id="<1@example.com>", sender="a@example.com", recipients=1, size=10, client="::1",
    helo="x", seconds=0.5,
)  # fmt: skip


class Timer:
    """`loop.call_later` that runs when told."""

    def __init__(self) -> None:
        self.planned: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay: float, callback: Callable[[], None]) -> None:
        self.planned.append((delay, callback))

    def run(self) -> None:
        planned, self.planned = self.planned, []
        for _, callback in planned:
            callback()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_CREAT | os.O_RDWR)
    yield fd
    os.close(fd)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    yield ends
    for fd in ends:
        os.close(fd)


def text(fd: int) -> bytes:
    return os.pread(fd, 10_000_000, 0)


def lines(data: bytes) -> list[dict[str, object]]:
    assert data.endswith(b"\n")
    return [msgspec.json.decode(line, type=dict[str, object]) for line in data.splitlines()]


def read_all(fd: int) -> bytes:
    data = bytearray()
    while True:
        try:
            data += os.read(fd, 65_536)
        except BlockingIOError:
            return bytes(data)


def test_a_name_that_is_no_text_stands_there_as_far_as_it_is(file: int) -> None:
    log = Log("receiver-0", FakeClock(1_795_600_000.0), fd=file)
    log(msgspec.structs.replace(ACCEPTED, sender="caf\udce9@example.com"))
    log(ACCEPTED)
    first, second = lines(text(file))
    assert (first["sender"], second["sender"]) == ("caf\\udce9@example.com", "a@example.com")
    assert first["process"] == "receiver-0" and first["recipients"] == 1


def test_a_line_says_when_who_and_what(file: int) -> None:
    Log("receiver-0", FakeClock(1_800_000_000.25), fd=file)(ACCEPTED)
    (line,) = lines(text(file))
    assert line["time"] == "2027-01-15T08:00:00.250Z"
    assert (line["process"], line["event"], line["level"]) == ("receiver-0", "accepted", "info")
    assert (line["id"], line["sender"], line["seconds"]) == ("A1", "a@example.com", 0.5)


def test_the_second_in_a_line_follows_the_clock(file: int) -> None:
    clock = FakeClock(1_800_000_000.999)
    writer = Log("receiver-0", clock, fd=file)
    writer(ACCEPTED)
    clock.advance(0.002)
    writer(ACCEPTED)
    assert [line["time"] for line in lines(text(file))] == [
        "2027-01-15T08:00:00.999Z",
        "2027-01-15T08:00:01.001Z",
    ]


def test_debug_is_silent_unless_asked_for(file: int) -> None:
    committed = Committed(changes=1, size=1, seconds=0.1)
    Log("receiver-0", FakeClock(), fd=file)(committed)
    assert text(file) == b""
    Log("receiver-0", FakeClock(), fd=file, level="debug")(committed)
    assert len(lines(text(file))) == 1


def test_lines_gather_until_the_timer_ends(file: int) -> None:
    timer = Timer()
    writer = Log("receiver-0", FakeClock(), later=timer, fd=file)
    for _ in range(3):
        writer(ACCEPTED)
    assert text(file) == b""
    assert [delay for delay, _ in timer.planned] == [log.FLUSH_AFTER_S]
    timer.run()
    assert len(lines(text(file))) == 3
    writer(ACCEPTED)
    assert len(timer.planned) == 1


def test_64_kib_do_not_wait_for_the_timer(file: int) -> None:
    writer = Log("receiver-0", FakeClock(), later=Timer(), fd=file)
    for _ in range(500):
        writer(ACCEPTED)
    assert log.FLUSH_BYTES <= len(text(file)) < log.FLUSH_BYTES * 2


def test_close_writes_what_waits(file: int) -> None:
    writer = Log("receiver-0", FakeClock(), later=Timer(), fd=file)
    writer(Draining(role="receiver-0"))
    writer.close()
    assert len(lines(text(file))) == 1


def test_a_full_pipe_never_blocks_and_the_gap_is_written_down(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BACKLOG_BYTES", 100_000)
    reader, fd = pipe
    timer = Timer()
    writer = Log("receiver-0", FakeClock(), later=timer, fd=fd)
    for _ in range(2000):
        writer(ACCEPTED)
    received = bytearray()
    for _ in range(20):
        received += read_all(reader)
        timer.run()
    seen = lines(bytes(received))
    kept = [line for line in seen if line["event"] == "accepted"]
    (gap,) = (line for line in seen if line["event"] == "log_dropped")
    assert gap["lines"] == 2000 - len(kept)
    assert 0 < len(kept) < 2000


def test_writes_into_a_pipe_hold_whole_lines(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    one, other = (Log(role, FakeClock(), later=Timer(), fd=fd) for role in ("receiver-0", "receiver-1"))
    for _ in range(60):
        one(ACCEPTED)
        other(ACCEPTED)
    one.flush()
    other.flush()
    assert len(lines(read_all(reader))) == 120


def test_a_reader_that_is_gone_ends_nothing() -> None:
    reader, fd = os.pipe()
    writer = Log("receiver-0", FakeClock(), fd=fd)
    os.close(reader)
    writer(Ready(listeners=("127.0.0.1:25",)))
    writer.close()
    os.close(fd)
