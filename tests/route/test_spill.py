"""Where a mail may go when its route is full."""

from relay.route.match import Match
from relay.route.route import Credentials, Route
from relay.route.spill import may_spill
from relay.route.table import RouteTable
from relay.route.tenant import Tenant
from tests.route.mails import envelope, never

TENANT = Tenant(("contoso.com",))
INSIDE, OUTSIDE = b"y@contoso.com", b"y@b.example"
ROUTES = (
    Route("pool", ("h",), spill="connector"),
    Route("connector", ("h",), spill="direct", senders=("never.example",), message_size_bytes=5000),
    Route("direct", ("h",), internal_only=True, matches=(Match(campaigns=("none",)),)),
    Route("fixed", ("h",), sender_fixed=True, credentials=Credentials("a@contoso.com", "x")),
    Route("to fixed", ("h",), spill="fixed"),
)
TABLE = RouteTable(ROUTES, TENANT)
POOL, CONNECTOR, DIRECT, FIXED, TO_FIXED = ROUTES


def test_a_mail_spills_to_the_route_that_is_named_whatever_that_one_matches() -> None:
    assert may_spill(TABLE, POOL, envelope(OUTSIDE), [OUTSIDE], never) is CONNECTOR
    assert may_spill(TABLE, CONNECTOR, envelope(INSIDE), [INSIDE], never) is DIRECT


def test_its_rules_are_asked_for_those_recipients_that_would_spill() -> None:
    mail = envelope(INSIDE, OUTSIDE)
    assert may_spill(TABLE, CONNECTOR, mail, [INSIDE], never) is DIRECT
    assert may_spill(TABLE, CONNECTOR, mail, [INSIDE, OUTSIDE], never) is None
    assert may_spill(TABLE, POOL, envelope(OUTSIDE, size=5001), [OUTSIDE], never) is None


def test_a_fixed_sender_spills_nobody_else() -> None:
    mail = envelope(INSIDE, sender=b"a@contoso.com")
    assert may_spill(TABLE, TO_FIXED, mail, [INSIDE], lambda: b"a@contoso.com") is FIXED
    assert may_spill(TABLE, TO_FIXED, mail, [INSIDE], lambda: b"b@contoso.com") is None
    assert may_spill(TABLE, TO_FIXED, envelope(INSIDE), [INSIDE], never) is None


def test_without_a_spill_route_mail_waits() -> None:
    assert may_spill(TABLE, DIRECT, envelope(INSIDE), [INSIDE], never) is None


def test_a_route_that_is_gone_takes_nothing() -> None:
    gone = Route("old", ("h",), spill="gone")
    assert may_spill(RouteTable([gone]), gone, envelope(INSIDE), [INSIDE], never) is None
