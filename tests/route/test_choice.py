"""Which routes a mail takes once all of it is known, and a naive scan that must agree."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.message.envelope import Envelope
from relay.message.priority import Priority
from relay.route.match import Match, Side
from relay.route.route import Credentials, Login, MailboxRule, Route
from relay.route.rule import Rule
from relay.route.table import Possible, Refusal, RouteTable
from relay.route.tenant import Tenant
from tests.route.mails import envelope, never

TENANT = Tenant(("contoso.com",))
OWN = "news@contoso.com"
LOGIN = Credentials(OWN, "x")

TABLE = RouteTable(
    [
        Route("urgent", ("h",), matches=(Match(priorities=(Priority.HIGH,), up_to_bytes=500),)),
        Route(
            "campaigns",
            ("h",),
            matches=(
                Match(campaigns=("spring-*",), recipients_are=Side.OUTSIDE),
                Match(campaigns=("invoice",)),
            ),
        ),
        Route(
            "inside",
            ("h",),
            internal_only=True,
            message_size_bytes=10_000,
            sender_fixed=True,
            credentials=LOGIN,
        ),
        Route("large", ("h",), matches=(Match(larger_than_bytes=20_000, clients=("10.0.0.0/8", "scanner")),)),
        Route("small", ("h",), message_size_bytes=20_000),
    ],
    TENANT,
)
TO_OUTSIDE, TO_INSIDE = b"y@b.example", b"y@contoso.com"


def chosen(mail: Envelope, author: Callable[[], bytes | None] = never) -> tuple[str, ...] | Refusal:
    found = TABLE.choose(mail, author)
    return found if isinstance(found, Refusal) else tuple(each.route for each in found)


@pytest.mark.parametrize(
    ("mail", "routes"),
    [
        (envelope(TO_OUTSIDE), ("small",)),
        (envelope(TO_OUTSIDE, priority=Priority.HIGH, size=500), ("urgent",)),
        (envelope(TO_OUTSIDE, priority=Priority.HIGH, size=501), ("small",)),
        (envelope(TO_OUTSIDE, priority=Priority.BULK, size=500), ("small",)),
        (envelope(TO_OUTSIDE, campaign="spring-1"), ("campaigns",)),
        (envelope(TO_OUTSIDE, campaign="spring-"), ("campaigns",)),
        (envelope(TO_OUTSIDE, campaign="spring"), ("small",)),
        (envelope(TO_OUTSIDE, campaign="Spring-1"), ("small",)),
        (envelope(TO_INSIDE, campaign="spring-1"), ("small",)),
        (envelope(TO_INSIDE, campaign="invoice"), ("campaigns",)),
        (envelope(TO_INSIDE, campaign="invoice-2"), ("small",)),
        (envelope(TO_OUTSIDE, size=20_000), ("small",)),
        (envelope(TO_OUTSIDE, size=20_001), ("large",)),
        (envelope(TO_OUTSIDE, size=20_001, client="192.0.2.1", account="scanner"), ("large",)),
        (envelope(TO_OUTSIDE, size=20_001, client="192.0.2.1"), Refusal(TO_OUTSIDE, Rule.SIZE, 20_000)),
        (envelope(TO_INSIDE, TO_OUTSIDE, campaign="spring-1"), ("small", "campaigns")),
        (
            envelope(TO_OUTSIDE, b"z@b.example", TO_INSIDE, size=20_001, client="::1"),
            Refusal(TO_OUTSIDE, Rule.SIZE, 20_000),
        ),
    ],
)
def test_the_first_route_that_matches_and_takes_the_mail_is_chosen(
    mail: Envelope, routes: tuple[str, ...] | Refusal
) -> None:
    assert chosen(mail) == routes
    assert chosen(mail) == routes, "the second answer comes from what is remembered"


@pytest.mark.parametrize(
    ("author", "route"),
    [
        (OWN.encode(), "inside"),
        (b"News@CONTOSO.com", "inside"),
        (b"other@contoso.com", "small"),
        (None, "small"),
    ],
)
def test_from_is_read_for_a_route_whose_sender_is_fixed(author: bytes | None, route: str) -> None:
    assert chosen(envelope(TO_INSIDE, sender=OWN.encode()), lambda: author) == (route,)


def test_from_is_not_read_for_other_senders_and_not_twice() -> None:
    reads: list[bytes] = []

    def author() -> bytes:
        reads.append(OWN.encode())
        return reads[-1]

    assert chosen(envelope(TO_INSIDE, TO_INSIDE), author) == ("small", "small") and reads == []
    assert chosen(envelope(TO_INSIDE, TO_INSIDE, sender=OWN.encode()), author) == ("inside", "inside")
    assert len(reads) == 1


def test_a_mail_keeps_its_recipients_with_all_that_belongs_to_them() -> None:
    mail = envelope(TO_OUTSIDE, TO_INSIDE)
    found = TABLE.choose(mail, never)
    assert not isinstance(found, Refusal)
    assert [each.address for each in found] == [TO_OUTSIDE, TO_INSIDE]


def test_where_rcpt_has_decided_nothing_is_asked_again() -> None:
    mail = envelope(TO_OUTSIDE)
    assert RouteTable([Route("all", ("h",))]).choose(mail, never) is mail.recipients


HIGH_VOLUME = Route(
    "hv", ("h",), internal_only=True, sender_fixed=True, credentials=LOGIN, message_size_bytes=1000
)


@pytest.mark.parametrize(
    ("mail", "author", "refusal"),
    [
        (envelope(TO_OUTSIDE, sender=OWN.encode()), OWN.encode(), Rule.INTERNAL_ONLY),
        (envelope(TO_INSIDE), OWN.encode(), Rule.SENDER),
        (envelope(TO_INSIDE, sender=b""), OWN.encode(), Rule.SENDER),
        (envelope(TO_INSIDE, sender=OWN.encode()), b"a@contoso.com", Rule.AUTHOR),
        (envelope(TO_INSIDE, sender=OWN.encode()), None, Rule.AUTHOR),
        (envelope(TO_INSIDE, sender=OWN.encode(), size=1001), OWN.encode(), Rule.SIZE),
    ],
)
def test_the_rule_that_is_broken_is_told(mail: Envelope, author: bytes | None, refusal: Rule) -> None:
    found = RouteTable([HIGH_VOLUME], TENANT).choose(mail, lambda: author)
    assert isinstance(found, Refusal) and found.rule is refusal
    assert found.size_max == (1000 if refusal is Rule.SIZE else 0)


def test_a_mail_too_small_for_every_match_is_not_called_too_large() -> None:
    table = RouteTable([Route("r", ("h",), matches=(Match(larger_than_bytes=2000),))])
    assert table.choose(envelope(TO_INSIDE), never) == Refusal(TO_INSIDE)


PATTERNS = st.lists(
    st.sampled_from(["a.example", "*.a.example", "x@a.example", "contoso.com", OWN, "<>"]), max_size=2
).map(tuple)
ADDRESSES = (
    b"x@a.example",
    b"y@s.a.example",
    b"Y@contoso.com",
    OWN.encode(),
    b"postmaster",
    b"z@[192.0.2.1]",
)
MATCHES = st.builds(
    Match,
    senders=PATTERNS,
    recipients=PATTERNS,
    clients=st.lists(st.sampled_from(["10.0.0.0/8", "::1", "scanner"]), max_size=2).map(tuple),
    recipients_are=st.sampled_from([None, *Side]),
    larger_than_bytes=st.sampled_from([0, 100, 200]),
    up_to_bytes=st.sampled_from([0, 100, 300]),
    priorities=st.lists(st.sampled_from(Priority), max_size=2).map(tuple),
    campaigns=st.lists(st.sampled_from(["a", "b*", "*"]), max_size=2).map(tuple),
)


@st.composite
def routes(draw: st.DrawFn) -> list[Route]:
    """Up to four, often without any condition, so that rules and order matter."""
    found = []
    for index in range(draw(st.integers(0, 4))):
        login = draw(st.sampled_from([None, LOGIN, Credentials("x@a.example", "x")]))
        several: tuple[Login, ...] = (login,) if login and draw(st.booleans()) else ()
        names = (login.username,) if login else ()
        found.append(
            Route(
                str(index),
                ("h",),
                recipients=draw(PATTERNS) if draw(st.booleans()) else (),
                senders=draw(PATTERNS) if draw(st.booleans()) else (),
                matches=tuple(draw(st.lists(MATCHES, max_size=2))),
                internal_only=draw(st.booleans()),
                sender_fixed=login is not None and draw(st.booleans()),
                message_size_bytes=draw(st.sampled_from([0, 100, 200])),
                credentials=None if several else login,
                mailboxes=several,
                mailbox_rules=tuple(
                    MailboxRule(names, senders) for senders in draw(st.lists(PATTERNS, max_size=1)) if several
                ),
            )
        )
    return found


MAILS = st.builds(
    envelope,
    st.sampled_from(ADDRESSES),
    st.sampled_from(ADDRESSES),
    sender=st.sampled_from((b"", *ADDRESSES[:4])),
    size=st.sampled_from([1, 100, 101, 200, 201, 300, 301]),
    client=st.sampled_from(["10.1.1.1", "::1", "192.0.2.1", "::ffff:10.0.0.1"]),
    account=st.sampled_from(["", "scanner", "10.0.0.0/8"]),
    priority=st.sampled_from(Priority),
    campaign=st.sampled_from(["", "a", "b", "bb", "c"]),
)


@given(routes(), MAILS, st.sampled_from([None, *ADDRESSES[:4]]))
@example([HIGH_VOLUME], envelope(TO_INSIDE, sender=OWN.encode()), OWN.encode())
def test_the_masks_agree_with_a_scan(among: list[Route], mail: Envelope, author: bytes | None) -> None:
    table = RouteTable(among, TENANT)
    expected = [naive_route(among, mail, each.address, author) for each in mail.recipients]
    early = [table.possible(mail.sender, each.address, mail.client, mail.account) for each in mail.recipients]
    if table.decides_early:
        found = [each.route.name if isinstance(each, Possible) else None for each in early]
        assert found == expected
        return
    for possible, name in zip(early, expected, strict=True):
        # What RCPT refuses has no route in the end either; what it takes may lack one.
        assert name is None or isinstance(possible, Possible)
        if isinstance(possible, Possible) and name is not None:
            assert not possible.size_max or mail.size <= possible.size_max
    chosen = table.choose(mail, lambda: author)
    if None in expected:
        assert isinstance(chosen, Refusal)
        assert chosen.recipient == mail.recipients[expected.index(None)].address
    else:
        assert not isinstance(chosen, Refusal)
        assert [each.route for each in chosen] == expected


def naive_route(among: list[Route], mail: Envelope, recipient: bytes, author: bytes | None) -> str | None:
    for route in among:
        if naive_matches(route, mail, recipient) and naive_takes(route, mail, recipient, author):
            return route.name
    return None


def naive_matches(route: Route, mail: Envelope, recipient: bytes) -> bool:
    if not (route.recipients or route.senders or route.matches):
        return True
    if any(names(each, recipient) for each in route.recipients):
        return True
    return any(names(each, mail.sender) for each in route.senders) or any(
        naive_holds(match, mail, recipient) for match in route.matches
    )


def naive_holds(match: Match, mail: Envelope, recipient: bytes) -> bool:
    side = Side.INSIDE if names("contoso.com", recipient) else Side.OUTSIDE
    address = ip_address(mail.client.removeprefix("::ffff:"))
    return (
        (not match.senders or any(names(each, mail.sender) for each in match.senders))
        and (not match.recipients or any(names(each, recipient) for each in match.recipients))
        and (
            not match.clients
            or ("scanner" in match.clients and mail.account == "scanner")
            or any(address in ip_network(each) for each in match.clients if each != "scanner")
        )
        and match.recipients_are in (None, side)
        and (not match.larger_than_bytes or mail.size > match.larger_than_bytes)
        and (not match.up_to_bytes or mail.size <= match.up_to_bytes)
        and (not match.priorities or mail.priority in match.priorities)
        and (not match.campaigns or any(in_campaign(each, mail.campaign) for each in match.campaigns))
    )


def naive_takes(route: Route, mail: Envelope, recipient: bytes, author: bytes | None) -> bool:
    if route.internal_only and not names("contoso.com", recipient):
        return False
    if route.message_size_bytes and mail.size > route.message_size_bytes:
        return False
    own = [login.username for login in route.logins]
    sender = mail.sender.decode()
    if route.sender_fixed and (sender not in own or (author or b"").decode().lower() != sender):
        return False
    rules = route.mailbox_rules
    return (
        not route.mailboxes
        or sender in own
        or any(not rule.senders or any(names(each, mail.sender) for each in rule.senders) for rule in rules)
    )


def in_campaign(pattern: str, campaign: str) -> bool:
    if pattern.endswith("*"):
        return campaign != "" and campaign.startswith(pattern[:-1])
    return campaign == pattern


def names(pattern: str, address: bytes) -> bool:
    text = address.decode().lower()
    if pattern == "<>":
        return text == ""
    if "@" in pattern:
        return text == pattern
    domain = text.rpartition("@")[2]
    if pattern.startswith("*."):
        return "@" in text and domain.endswith(pattern[1:])
    return "@" in text and domain == pattern
