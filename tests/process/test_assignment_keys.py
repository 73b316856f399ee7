"""Keys reach the receivers as the supervisor read them."""

from pathlib import Path

from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions
from relay.identity.dkim import DomainPolicy, KeyRing, Selector
from relay.message.dkim.canonical import Canonicalization
from relay.process import assignment
from relay.process.assignment import Assignment
from relay.receive.options import Limits
from relay.spool.options import SpoolOptions
from tests.fakes.clock import FakeClock
from tests.identity.keys import ed25519_key, rsa_key


def told(*policies: DomainPolicy) -> Assignment:
    return Assignment(
        role="receiver-0",
        number=0,
        hostname="relay.example.com",
        drain_s=30.0,
        log_level="info",
        run=Path("run"),
        spool=SpoolOptions(path=Path("spool")),
        limits=Limits(),
        deliverer=DelivererOptions(hostname="relay.example.com", handover_path=Path("spool/handover.sock")),
        report=ReportOptions("relay.example.com"),
        routes=(),
        listeners=(),
        dkim=policies,
    )


def test_a_receiver_signs_with_the_keys_the_supervisor_read() -> None:
    now = FakeClock().now()
    policy = DomainPolicy(
        b"example.com",
        (Selector(b"s1", rsa_key(), retire_at=now + 1), Selector(b"e1", ed25519_key(), active_from=now - 1)),
        subdomains=True,
        body=Canonicalization.SIMPLE,
        identity=b"@example.com",
        lifetime_s=3600,
    )
    (arrived,) = assignment.decode(assignment.encode(told(policy))).dkim
    here, there = (KeyRing([each]).signers(b"example.com", now) for each in (policy, arrived))
    assert [signer.options for signer in here] == [signer.options for signer in there]
    # RSA with PKCS #1 v1.5 and Ed25519 are deterministic: the same key makes the same signature.
    assert [signer.key.sign(b"mail") for signer in here] == [signer.key.sign(b"mail") for signer in there]
    assert [(each.active_from, each.retire_at) for each in arrived.selectors] == [
        (None, now + 1),
        (now - 1, None),
    ]
