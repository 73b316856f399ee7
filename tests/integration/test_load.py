"""20,000 mails through the whole relay: all there, once, unaltered."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration import needs
from tests.integration.serving import Serving, configuration, free_port
from tests.integration.traffic import Ledger, Source, sink
from tests.process.relay import wait_until

MAILS = 20_000


@pytest.mark.parametrize(
    "more", [("--reuse",), ("--reuse", "--pipeline", "--dots")], ids=["plain", "pipelined"]
)
def test_every_numbered_mail_arrives_once_and_unaltered(tmp_path: Path, more: tuple[str, ...]) -> None:
    ledger = Ledger()
    with sink(record=tmp_path / "arrivals") as hop:
        with Serving.started(tmp_path, configuration(hop.port)) as relay:
            sent = Source(relay.port, MAILS, record=tmp_path / "sent", more=more).sent()
            assert (sent.acknowledged, sent.refused, sent.uncertain) == (MAILS, 0, 0)
            wait_until(lambda: hop.report().unique == MAILS)
            assert relay.now.stop() == 0
            assert relay.command("spool", "check").returncode == 0
        report = hop.report()
    ledger.read_source(tmp_path / "sent")
    ledger.read_sink(tmp_path / "arrivals")
    assert (report.mails, report.altered, report.unnumbered) == (MAILS, 0, 0)
    assert not ledger.lost and not ledger.repeated


class PostfixSink:
    """Postfix's smtp-sink; it counts and throws away."""

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self._output = output

    @property
    def mails(self) -> int:
        """How many it has taken: the last of the counters it overwrites again and again."""
        counts = re.findall(rb"mesg=(\d+)", self._output.read_bytes())
        return int(counts[-1]) if counts else 0


@contextmanager
def postfix_sink(output: Path) -> Iterator[PostfixSink]:
    command = [needs.program("smtp-sink", "postfix"), "-c"]
    if os.geteuid() == 0:
        command += ["-u", "postfix"]  # It refuses to run as root.
    port = free_port()
    with (
        open(output, "wb") as out,
        subprocess.Popen([*command, f"127.0.0.1:{port}", "1000"], stdout=out, stderr=out) as process,
    ):
        try:
            yield PostfixSink(port, output)
        finally:
            process.terminate()
            process.wait(10)


def test_smtp_source_to_smtp_sink(tmp_path: Path) -> None:
    source = [needs.program("smtp-source", "postfix"), "-s", "20", "-l", "10240", "-m", str(MAILS), "-d"]
    source += ["-f", "a@example.com", "-t", "b@example.net"]
    with postfix_sink(tmp_path / "counts") as hop:
        with Serving.started(tmp_path, configuration(hop.port)) as relay:
            subprocess.run([*source, f"127.0.0.1:{relay.port}"], check=True, timeout=120)
            accepted = {str(line["id"]) for line in relay.now.events("accepted")}
            wait_until(lambda: hop.mails >= MAILS)
            assert relay.now.stop() == 0
            delivered = [str(line["id"]) for line in relay.now.events("delivered")]
            assert relay.now.events("deferred") == relay.now.events("uncertain") == []
        assert hop.mails == MAILS
    assert len(delivered) == MAILS
    assert accepted <= set(delivered) and len(set(delivered)) == MAILS
