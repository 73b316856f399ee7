"""Which route a mail takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.route.route import Route
from relay.route.table import CACHE_MAX, RouteTable


def route(name: str, recipients: tuple[str, ...] = (), senders: tuple[str, ...] = ()) -> Route:
    return Route(name=name, hosts=(f"{name}.example",), recipients=recipients, senders=senders)


def chosen(table: RouteTable, sender: bytes, recipient: bytes) -> str | None:
    found = table.choose(sender, recipient)
    return None if found is None else found.name


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
    assert RouteTable([]).choose(b"a@b.example", b"c@d.example") is None


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
