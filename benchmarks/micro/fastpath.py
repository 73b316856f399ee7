"""What the native part costs: decoder, stuffing and header scan, beside the plain-Python way.

    python -m benchmarks.micro.fastpath

Each line is the median of several runs, each long enough for the clock; the spread is
that of the runs. The Python twins do the same work on whole mails held in memory and
carry no state over the cuts, so they are what the native part must beat, not a
replacement for it.
"""

import base64
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from functools import partial
from time import perf_counter

from relay._fastpath import DataDecoder, has_leading_dot, scan_header, stuff_dots
from relay.message.header import Header
from relay.message.received import received_field

RUNS = 15
RUN_S = 0.02

FIELDS = b"".join(
    name + b": " + value + b"\r\n"
    for name, value in [
        (b"Received", b"from app.example.com ([192.0.2.1])\r\n\tby mail.example.com with ESMTPS id 1\r\n\tfor <bob@example.net>; now"),
        *[(b"X-Application-%d" % index, b"some value of usual length, %d" % index) for index in range(12)],
        (b"From", b"Application <app@example.com>"),
        (b"To", b"Bob <bob@example.net>"),
        (b"Subject", b"A report of yesterday's figures,\r\n which needs two lines"),
        (b"MIME-Version", b"1.0"),
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Date", b"Tue, 24 Nov 2026 02:07:41 +0000"),
        (b"Message-ID", b"<1@app.example.com>"),
    ]
)  # fmt: skip
"""20 fields."""


@dataclass(frozen=True)
class Mail:
    name: str
    content: bytes


def text(size: int) -> bytes:
    """Lines of words, up to 78 characters; one sentence in ten words, one line in 50 with a dot first."""
    rng = random.Random(1)
    lines = [FIELDS]
    length = len(FIELDS)
    while length < size:
        words = " ".join("x" * rng.randint(2, 9) + ("." if rng.random() < 0.1 else "") for _ in range(11))
        line = b"." * (rng.random() < 0.02) + words[: rng.randint(40, 78)].encode() + b"\r\n"
        lines.append(line)
        length += len(line)
    return b"".join(lines)


def attachment(size: int) -> bytes:
    return (
        FIELDS
        + b"\r\n"
        + base64.encodebytes(random.Random(2).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    )


MAILS = [
    Mail("text, 10 KiB", text(10_240)),
    Mail("text with bare LF, 10 KiB", text(10_240).replace(b"\r\n", b"\n")[:-1] + b"\r\n"),
    Mail("lines of 2 bytes, 10 KiB", b"ab\r\n" * 2_560),
    Mail("lines of dots, 10 KiB", b".\r\n" * 3_413),
    Mail("base64, 1 MiB", attachment(1_048_576)),
]


def decode_native(wire: bytes, decoder: DataDecoder) -> bytearray:
    decoder.reset()
    out = bytearray()
    decoder.feed(wire, 0, len(wire), out)
    assert decoder.finished and not decoder.error
    return out


def decode_plain(wire: bytes) -> bytes:
    """The quickest way in Python known to us: every pass is one C call."""
    end = (b"\r\n" + wire).index(b"\r\n.\r\n")
    data = wire[:end]
    assert data.count(b"\r") == data.count(b"\r\n") and b"\0" not in data
    if data.count(b"\n") != data.count(b"\r\n"):
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 2000
    data = data.replace(b"\r\n..", b"\r\n.")
    return data[1:] if data.startswith(b"..") else data


def decode_by_line(wire: bytes) -> bytes:
    """As mail servers in Python do it."""
    lines = []
    for ended in wire.splitlines(keepends=True):
        line = ended.rstrip(b"\r\n")
        if ended == b".\r\n":
            break
        assert len(line) <= 1998 and b"\0" not in line
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"\r\n".join(lines)


def stuff_native(content: bytes) -> bytearray:
    out = bytearray()
    stuff_dots(content, out, True)
    return out


def stuff_plain(content: bytes) -> bytes:
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def header_by_line(content: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    name = b""
    for line in content[: content.index(b"\r\n\r\n")].split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            fields[name] += line
        else:
            written, _, value = line.partition(b":")
            name = written.lower()
            fields.setdefault(name, value)
    return fields


def header_checks(content: bytes) -> tuple[int, bool, bool, bytes | None]:
    """What a receiver asks of each mail."""
    header = Header.of(content, 262_144)
    return header.received_hops, header.has(b"Date"), header.has(b"From"), header.get(b"Message-ID")


def received() -> bytes:
    return received_field(
        helo=b"app.example.com",
        client="192.0.2.1",
        hostname="relay.example.com",
        protocol=b"ESMTP",
        queue_id="01hzy3qf0g800",
        now=1_795_486_061.0,
        recipient=b"bob@example.net",
    )


def seconds(work: Callable[[], object]) -> list[float]:
    """Seconds a call, one figure a run."""
    loops = 1
    while (once := _run(work, loops)) < RUN_S:
        loops = max(2 * loops, int(loops * RUN_S / max(once, 1e-9)))
    return [_run(work, loops) / loops for _ in range(RUNS)]


def _run(work: Callable[[], object], loops: int) -> float:
    start = perf_counter()
    for _ in range(loops):
        work()
    return perf_counter() - start


def report(name: str, size: int, work: Callable[[], object]) -> None:
    runs = seconds(work)
    median = statistics.median(runs)
    rate = f"{size / median / 1e6:9,.0f} MB/s" if size else " " * 14
    print(f"  {name:<34}{median * 1e6:10.2f} µs{rate}   {min(runs) * 1e6:.2f} to {max(runs) * 1e6:.2f}")


def main() -> None:
    for mail in MAILS:
        print(f"\n{mail.name}: {len(mail.content):,} bytes")
        wire = bytes(stuff_native(mail.content)) + b".\r\n"
        plain = mail.content.replace(b"\n.", b"\n")
        size = len(mail.content)
        report("decode, native", size, partial(decode_native, wire, DataDecoder(max_line=2000)))
        report("decode, Python, whole passes", size, partial(decode_plain, wire))
        report("decode, Python, line by line", size, partial(decode_by_line, wire))
        report("stuff, native", size, partial(stuff_native, mail.content))
        report("see that none is needed, native", size, partial(has_leading_dot, plain, False))
        report("stuff, Python replace", size, partial(stuff_plain, mail.content))
    content = FIELDS + b"\r\n" + MAILS[0].content
    size = len(FIELDS)
    print(f"\nheader of 20 fields: {size:,} bytes")
    report("scan, native", size, partial(scan_header, content, 0))
    report("scan and what a receiver asks", size, partial(header_checks, content))
    report("Python, line by line", size, partial(header_by_line, content))
    report("email.parser", size, partial(BytesHeaderParser().parsebytes, FIELDS))
    report("write a Received field", 0, received)


if __name__ == "__main__":
    main()
