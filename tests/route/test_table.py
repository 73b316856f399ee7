"""Which routes are possible at RCPT; the choice at the end of the data stands in test_choice.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.priority import Priority
from relay.route.mask import CACHE_MAX
from relay.route.match import Match, Side
from relay.route.route import Credentials, MailboxRule, Route
from relay.route.rule import Rule
from relay.route.table import Possible, Refusal, RouteTable
from relay.route.tenant import Tenant


def route(name: str, recipients: tuple[str, ...] = (), senders: tuple[str, ...] = ()) -> Route:
    return Route(name=name, hosts=(f"{name}.example",), recipients=recipients, senders=senders)


def chosen(table: RouteTable, sender: bytes, recipient: bytes) -> str | None:
    found = table.possible(sender, recipient)
    return found.route.name if isinstance(found, Possible) else None


TABLE = RouteTable(
    [
        route("vip", recipients=("boss@example.com",)),
        route("internal", recipients=("example.com", "*.example.com")),
        route("news", senders=("news@sender.example", "*.lists.example")),
        route("bounces", senders=("<>",)),
        route("partner", recipients=("partner.example",), senders=("example.org",)),
    ]
)


@pytest.mark.parametrize(
    ("sender", "recipient", "name"),
    [
        (b"a@b.example", b"boss@example.com", "vip"),
        (b"a@b.example", b"Boss@EXAMPLE.com", "vip"),
        (b"a@b.example", b"clerk@example.com", "internal"),
        (b"a@b.example", b"clerk@deep.sub.example.com", "internal"),
        (b"a@b.example", b"clerk@notexample.com", None),
        (b"news@sender.example", b"x@elsewhere.example", "news"),
        (b"old@sender.example", b"x@elsewhere.example", None),
        (b"x@a.lists.example", b"x@elsewhere.example", "news"),
        (b"x@lists.example", b"x@elsewhere.example", None),
        (b"news@sender.example", b"x@example.com", "internal"),
        (b"", b"x@elsewhere.example", "bounces"),
        (b"", b"x@example.com", "internal"),
        (b"a@example.org", b"x@elsewhere.example", "partner"),
        (b"a@b.example", b"x@partner.example", "partner"),
        (b"a@b.example", b'"odd@example.com"@partner.example', "partner"),
        (b"a@b.example", b"postmaster", None),
        (b"a@b.example", b"x@[192.0.2.1]", None),
    ],
)
def test_the_first_route_that_matches_is_chosen(sender: bytes, recipient: bytes, name: str | None) -> None:
    assert chosen(TABLE, sender, recipient) == name
    assert chosen(TABLE, sender, recipient) == name, "the second answer comes from the cache"


def test_a_route_without_rules_takes_every_mail() -> None:
    table = RouteTable([route("all")])
    assert chosen(table, b"", b"x@y.example") == "all"
    assert chosen(table, b"a@b.example", b"postmaster") == "all"


def test_a_route_without_rules_hides_those_behind_it() -> None:
    table = RouteTable([route("one", recipients=("a.example",)), route("all"), route("late", ("b.example",))])
    assert chosen(table, b"", b"x@a.example") == "one"
    assert chosen(table, b"", b"x@b.example") == "all"


def test_without_routes_nothing_is_chosen() -> None:
    assert RouteTable([]).possible(b"a@b.example", b"c@d.example") == Refusal(b"c@d.example")


def test_routes_are_found_by_name() -> None:
    found = TABLE.get("news")
    assert found is not None and found.senders[0] == "news@sender.example"
    assert TABLE.get("none") is None


def test_two_routes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        RouteTable([route("a"), route("a")])


def test_answers_stay_right_when_the_cache_starts_over() -> None:
    table = RouteTable(
        [route("odd", recipients=("odd.example",)), route("even", recipients=("even.example",))]
    )
    for number in range(3 * CACHE_MAX):
        name = "odd" if number % 2 else "even"
        assert chosen(table, b"", b"%d@%s.example" % (number, name.encode())) == name


TENANT = Tenant(("contoso.com",))
LOGIN = Credentials("orders@contoso.com", "x")


def test_all_conditions_of_a_match_must_hold_and_one_match_is_enough() -> None:
    match = Match(senders=("a.example",), recipients=("b.example",))
    table = RouteTable(
        [Route("r", ("h",), senders=("<>",), matches=(match, Match(recipients=("c.example",))))]
    )
    assert chosen(table, b"x@a.example", b"x@b.example") == "r"
    assert chosen(table, b"x@other.example", b"x@b.example") is None
    assert chosen(table, b"x@a.example", b"x@other.example") is None
    assert chosen(table, b"x@other.example", b"x@c.example") == "r"
    assert chosen(table, b"", b"x@other.example") == "r", "the short forms stand beside the matches"


@pytest.mark.parametrize(
    ("client", "account", "is_served"),
    [
        ("10.1.2.3", "", True),
        ("::ffff:10.1.2.3", "", True),
        ("fe80::1%eth0", "", True),
        ("192.0.2.1", "", False),
        ("192.0.2.1", "printers", True),
        ("192.0.2.1", "Printers", False),
        ("", "", False),
    ],
)
def test_clients_are_networks_or_accounts(client: str, account: str, is_served: bool) -> None:
    table = RouteTable(
        [Route("r", ("h",), matches=(Match(clients=("10.0.0.0/8", "fe80::/10", "printers")),))]
    )
    for _ in ("asked", "remembered"):
        found = table.possible(b"a@b.example", b"c@d.example", client, account)
        assert isinstance(found, Possible) is is_served


def test_recipients_are_inside_or_outside() -> None:
    table = RouteTable(
        [
            Route("in", ("h",), matches=(Match(recipients_are=Side.INSIDE),)),
            Route("out", ("h",), matches=(Match(recipients_are=Side.OUTSIDE, senders=("a.example",)),)),
        ],
        TENANT,
    )
    assert chosen(table, b"x@b.example", b"x@Contoso.com") == "in"
    assert chosen(table, b"x@a.example", b"x@sub.contoso.com") == "out"
    assert chosen(table, b"x@b.example", b"x@sub.contoso.com") is None


def test_a_route_whose_rules_a_mail_would_break_is_passed_over() -> None:
    inside = Route("direct", ("h",), internal_only=True)
    pool = Route(
        "pool", ("h",), mailboxes=(LOGIN,), mailbox_rules=(MailboxRule((LOGIN.username,), ("contoso.com",)),)
    )
    fixed = Route("fixed", ("h",), credentials=Credentials("News@Contoso.com", "x"), sender_fixed=True)
    table = RouteTable([inside, fixed, pool], TENANT)
    assert chosen(table, b"x@b.example", b"y@contoso.com") == "direct"
    assert chosen(table, b"news@contoso.com", b"y@d.example") == "fixed"
    assert chosen(table, b"x@contoso.com", b"y@d.example") == "pool"
    assert table.possible(b"x@b.example", b"y@d.example") == Refusal(b"y@d.example", Rule.INTERNAL_ONLY)
    assert RouteTable([pool]).possible(b"", b"y@d.example") == Refusal(b"y@d.example", Rule.SENDER)


def test_without_a_tenant_nobody_is_inside() -> None:
    table = RouteTable([Route("direct", ("h",), internal_only=True)])
    assert table.possible(b"x@contoso.com", b"y@contoso.com") == Refusal(b"y@contoso.com", Rule.INTERNAL_ONLY)


def test_the_largest_mail_that_any_possible_route_takes_is_told() -> None:
    small = Route("small", ("h",), message_size_bytes=100, recipients=("a.example",))
    large = Route("large", ("h",), message_size_bytes=900, matches=(Match(up_to_bytes=500),))
    table = RouteTable([small, large, Route("any", ("h",), senders=("b.example",))])
    assert table.possible(b"", b"x@a.example") == Possible(small, 500)
    assert table.possible(b"x@b.example", b"x@a.example") == Possible(small, 0)


def test_what_is_known_late_is_not_asked_at_rcpt() -> None:
    match = Match(larger_than_bytes=10, priorities=(Priority.HIGH,), campaigns=("spring",))
    assert chosen(RouteTable([Route("r", ("h",), matches=(match,))]), b"", b"x@y.example") == "r"


@pytest.mark.parametrize(
    ("changed", "early"),
    [
        (Route("r", ("h",), recipients=("a",), senders=("b",)), True),
        (Route("r", ("h",), internal_only=True, matches=(Match(clients=("printers",)),)), True),
        (Route("r", ("h",), message_size_bytes=1), False),
        (Route("r", ("h",), sender_fixed=True, credentials=LOGIN), False),
        (Route("r", ("h",), matches=(Match(larger_than_bytes=1),)), False),
        (Route("r", ("h",), matches=(Match(priorities=(Priority.BULK,)),)), False),
        (Route("r", ("h",), matches=(Match(campaigns=("*",)),)), False),
    ],
)
def test_rcpt_decides_where_nothing_asks_for_what_is_known_late(changed: Route, early: bool) -> None:
    assert RouteTable([changed]).decides_early is early


@given(
    st.lists(st.lists(st.sampled_from(["a", "b.a", "*.a", "x@a", "x@b.a", "*.b.a"]), max_size=3), max_size=5),
    st.sampled_from([b"x@a", b"y@a", b"x@b.a", b"y@b.a", b"z@c.b.a", b"x@ba", b"x"]),
)
def test_the_dictionaries_agree_with_a_scan(rules: list[list[str]], recipient: bytes) -> None:
    routes = [route(str(i), recipients=tuple(patterns)) for i, patterns in enumerate(rules)]
    expected = next(
        (r.name for r in routes if not r.recipients or any(_matches(p, recipient) for p in r.recipients)),
        None,
    )
    assert chosen(RouteTable(routes), b"s@s", recipient) == expected


def _matches(pattern: str, address: bytes) -> bool:
    text = address.decode()
    if "@" in pattern:
        return text == pattern
    if pattern.startswith("*."):
        return text.rpartition("@")[2].endswith(pattern[1:])
    return "@" in text and text.rpartition("@")[2] == pattern
