"""An assignment survives its way through the channel, whole and in pieces."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from relay.config.configuration import ControlOptions
from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions, Unreportable
from relay.identity.client import Client, Clients, Password, Policy
from relay.identity.expiry import Credential
from relay.m365.preset import Kind
from relay.message.priority import Priority
from relay.message.uncertain import Uncertain
from relay.process import assignment, channel
from relay.process.assignment import Assignment, InheritedListener
from relay.queue.weights import CampaignWeight
from relay.receive.options import Limits, ListenerOptions, ListenerTls, Rewrite
from relay.route.match import Match, Side
from relay.route.oauth import (
    Application,
    ClientCertificate,
    ClientSecret,
    ManagedIdentity,
    OAuth,
    Proof,
)
from relay.route.route import Credentials, MailboxRule, Route, TlsMode, Withheld
from relay.route.rule import Rules
from relay.route.tenant import Tenant
from relay.smtp.scram import verifier_of
from relay.spool.options import SpoolOptions
from relay.trace.history.state import State
from relay.webhook.options import WebhookOptions, Webhooks


def oauth(proof: Proof) -> OAuth:
    application = Application("app", "https://a.test/t", "https://o.test/.default", proof, "ca.pem", 1.5)
    return OAuth("a@contoso.example", application, "role", ("https://o.test",), 600.0, False)


TOLD = Assignment(
    role="receiver-0",
    number=0,
    hostname="relay.example.com",
    drain_s=30.0,
    log_level="info",
    run=Path("/run/relay"),
    spool=SpoolOptions(path=Path("/spool"), stall_s=3.5),
    limits=Limits(connections=7),
    control=ControlOptions(Path("/run/control.sock"), 0o660, 5),
    deliverer=DelivererOptions(
        "relay.example.com",
        Path("/spool/handover.sock"),
        weights={"erp": 3},
        campaign_weights=(CampaignWeight("May*", 2),),
    ),
    report=ReportOptions("relay.example.com", sender="a@contoso.example", unreportable=Unreportable.DROP),
    routes=(
        Route(
            name="a", hosts=("a.example", "b.example"), tls=TlsMode.IMPLICIT, recipients=("*.example.net",)
        ),
        Route(name="b", hosts=("::1",), credentials=Credentials("ü", 'p"ä\\ss')),
        *(
            Route(name=str(proof), hosts=("c.example",), kind=Kind.SUBMISSION, credentials=oauth(proof))
            for proof in (ClientSecret('s"ü'), ClientCertificate("a\nb", "c\nd"), ManagedIdentity("id"))
        ),
        Route(
            name="several",
            hosts=(),
            mx_of="contoso.example",
            mailboxes=(Credentials("c", 'mail"box'), oauth(ClientSecret("pooled"))),
            mailbox_rules=(MailboxRule(("c", "a@contoso.example"), ("*.example",)), MailboxRule(("c",))),
        ),
        Route(
            name="pool",
            hosts=("d.example",),
            mailboxes=(
                Credentials("a@contoso.example", "of-the-pool"),
                OAuth("b@contoso.example", oauth(ClientSecret("contoso-app")).application),
            ),
            mailbox_rules=(MailboxRule(("a@contoso.example", "b@contoso.example"), ("news.example",)),),
            matches=(
                Match(
                    ("a.example",),
                    ("b.example",),
                    ("10.0.0.0/8",),
                    Side.INSIDE,
                    1,
                    2,
                    (Priority.BULK,),
                    ("c*",),
                ),
            ),
            on_uncertain=Uncertain.HOLD,
            spill="a",
        ),
    ),
    credentials=(Credential("certificate of the route a", 1_900_000_000.5, "renew it", 14),),
    listeners=(
        InheritedListener(
            5, ListenerOptions("[::1]:25", ListenerTls.STARTTLS, priority=Priority.BULK), "/tls.pem"
        ),
    ),
    rewrites=(
        Rewrite(("local",), "a@contoso.example", clients=("10.0.0.0/8",)),
        Rewrite(("b",), "c@d", False),
    ),
    clients=Clients(
        (
            Client(
                "erp",
                "ERP",
                (Password("$argon2id$…", verifier_of("sesame", b"\0\xff"), 5.5),),
                ("web.example.com",),
            ),
            Client("printer", networks=("10.0.0.7/32",), policy=Policy(("<>",), ()), is_disabled=True),
        ),
        "seed",
    ),
    webhooks=Webhooks(
        "relay.example.com",
        Path("/spool/history.db"),
        Path("/spool/webhooks"),
        (WebhookOptions("crm", "https://crm.example/", (b"\0\xff" * 16, b"old"), (State.EXPIRED,), ("a",)),),
    ),
    console=9,
)


def test_an_assignment_survives_its_way() -> None:
    assert assignment.decode(assignment.encode(TOLD)) == TOLD


def test_whoever_logs_in_nowhere_is_told_no_secret() -> None:
    told = msgspec.structs.replace(TOLD, routes=assignment.without_logins(TOLD.routes))
    assert [route.name for route in told.routes] == [route.name for route in TOLD.routes]
    secrets = ('p\\"ä', 's\\"ü', "c\\nd", "of-the-pool", "contoso-app", 'mail\\"box', "pooled")
    assert all(secret in assignment.encode(TOLD).decode() for secret in secrets)
    assert not any(secret in assignment.encode(told).decode() for secret in secrets)
    assert assignment.decode(assignment.encode(told)) == told


def test_whoever_chooses_a_route_is_told_which_mailboxes_may_send_for_whom() -> None:
    (pool,) = assignment.without_logins([route for route in TOLD.routes if route.name == "pool"])
    assert pool.mailboxes == (Withheld("a@contoso.example"), Withheld("b@contoso.example"))
    rules = Rules(pool, Tenant())
    assert rules.take_sender(b"A@contoso.example") and rules.take_sender(b"x@news.example")
    assert not rules.take_sender(b"x@elsewhere.example")
    (single,) = assignment.without_logins([TOLD.routes[1]])
    assert single.credentials == Withheld("ü") and Rules(single, Tenant()).take_sender(b"x@elsewhere.example")


def test_an_assignment_larger_than_a_socket_takes_at_once_arrives() -> None:
    routes = tuple(replace(TOLD.routes[0], name=str(number)) for number in range(5000))
    payload = assignment.encode(msgspec.structs.replace(TOLD, routes=routes))
    assert len(payload) > 1_000_000
    near, far = socket.socketpair()
    with near, far:
        sender = threading.Thread(target=near.sendall, args=(len(payload).to_bytes(4, "big") + payload,))
        sender.start()
        assert channel.receive_assignment(far) == payload
        sender.join()


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\x05four"])
def test_a_supervisor_that_hangs_up_is_seen(sent: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(sent)
        near.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            channel.receive_assignment(far)


def test_an_assignment_without_bounds_is_refused() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(ValueError, match="exceeds"):
            channel.receive_assignment(far)
