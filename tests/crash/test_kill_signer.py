"""Signers are killed at random moments under load: no mail is lost, leaves unsigned or waits for long."""

import random
import re
import signal
import time
from contextlib import suppress
from os import kill
from pathlib import Path

from relay.identity.dkim_dns import TxtAnswer
from relay.identity.dkim_judge import Result, judge
from relay.spool.entry import Entry
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from tests.identity.keys import rsa_key, rsa_pem, write_key
from tests.integration.traffic import Ledger, Source
from tests.process.relay import configuration, running

ROUNDS = 3
MAILS = 1_000
KILL_AFTER_S = 0.3
"""A signer that is ready dies within this."""
WAIT_MAX_MS = 4_000
"""A death is seen at once. A mail that waited longer waited for a signer that was dead, until it counted as stuck."""
DKIM = """
[[dkim]]
domain = "load.example"

[[dkim.selector]]
name = "s1"
key_file = "s1.pem"
"""
NUMBER = re.compile(rb"^X-Load-Id: (\d+)\r$", re.MULTILINE)


def test_no_mail_is_lost_unsigned_or_late_when_signers_die(tmp_path: Path) -> None:
    seed = random.randrange(1, 10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = sum([strike(tmp_path / str(number), rng) for number in range(ROUNDS)])
    assert kills >= ROUNDS


def strike(folder: Path, rng: random.Random) -> int:
    """One round; how many signers were killed."""
    folder.mkdir()
    write_key(folder / "s1.pem", rsa_pem())
    record, kills = folder / "source", 0
    # Nothing listens at the next hop: all mail stays where it can be looked at.
    with running(folder, configuration(rest=DKIM)) as relay:
        relay.wait_for("process_started", 3)
        source = Source(relay.address[1], MAILS, size=2_048, timeout_s=30.0, record=record)
        while source.process.poll() is None:
            time.sleep(rng.uniform(0.0, KILL_AFTER_S))
            for pid in relay.signers().values():
                with suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
                    kills += 1
        sent = source.sent()
        assert (sent.acknowledged, sent.refused, sent.cut_off) == (MAILS, 0, 0)
        assert sent.accept_max_ms < WAIT_MAX_MS
        assert relay.stop() == 0
    ledger = Ledger()
    ledger.read_source(record)
    assert kept_and_signed(folder / "spool") == set(ledger.acknowledged)
    return kills


def kept_and_signed(spool: Path) -> set[int]:
    """The numbers of the mails in the spool; each must bear one signature, a good one."""
    txt = TxtAnswer("s1._domainkey.load.example", (rsa_key().public_record_value().encode(),))
    store = Store.open(SpoolOptions(path=spool), read_only=True)
    numbers = set()
    try:
        for entry in store.scan():
            assert isinstance(entry, Entry)
            mail = store.read(entry.queued.id)
            assert mail is not None
            found = NUMBER.search(mail[1])
            assert found is not None
            assert [each.result for each in judge(bytes(mail[1]), lambda name: txt)] == [Result.PASS], found
            numbers.add(int(found[1]))
    finally:
        store.close()
    return numbers
