"""Whose trouble stops a login."""

import pytest

from relay.m365.preset import Kind
from relay.m365.row import Scope
from relay.queue.breaker import StopKey
from tests.deliver.reaching import reach


def test_two_routes_of_a_mailbox_have_the_mailbox_in_common_and_their_names_not() -> None:
    one, two = reach("one", "A@contoso.test"), reach("two", "a@contoso.test")
    common = set(one.keys) & set(two.keys)
    assert {key.scope for key in common} == {Scope.SENDER, Scope.FOREST, Scope.TENANT}
    assert one.mailbox == two.mailbox == "a@contoso.test"


def test_ways_to_the_mx_have_our_address_in_common_and_logins_have_not() -> None:
    connector, direct = reach("c", "", Kind.CONNECTOR), reach("d", "", Kind.DIRECT, host="other.test")
    assert {key.scope for key in set(connector.keys) & set(direct.keys)} == {
        Scope.SOURCE_ADDRESS,
        Scope.TENANT,
    }
    assert StopKey(Scope.SOURCE_ADDRESS, "mx") not in reach().keys


def test_another_server_that_speaks_of_its_tenant_speaks_of_its_route() -> None:
    plain, ours = reach("plain", "", Kind.SMTP, host="other.test"), reach()
    assert not set(plain.keys) & set(ours.keys)
    for scope in (Scope.TENANT, Scope.SENDER, Scope.ROUTE):
        assert plain.key(scope, b"x@shop.test") == StopKey(Scope.ROUTE, "plain")
    assert plain.key(Scope.TENANT_EXTERNAL, b"") == plain.outside != ours.outside


@pytest.mark.parametrize(
    "scope", [Scope.SENDER, Scope.ROUTE, Scope.SOURCE_ADDRESS, Scope.FOREST, Scope.TENANT]
)
def test_what_stops_all_mail_of_a_login_is_among_what_is_asked(scope: Scope) -> None:
    tested = reach()
    assert tested.key(scope, b"x@shop.test") in tested.keys


def test_a_sender_is_denied_to_the_mailbox_or_where_nobody_logs_in_to_the_route() -> None:
    assert reach().key(Scope.SENDER_AS, b"X@Shop.test") == StopKey(
        Scope.SENDER_AS, "a@contoso.test", "x@shop.test"
    )
    assert reach("c", "", Kind.CONNECTOR).key(Scope.SENDER_AS, b"x@shop.test") == StopKey(
        Scope.SENDER_AS, "c", "x@shop.test"
    )


def test_a_domain_stops_where_there_is_one_and_microsoft_says_so() -> None:
    of_domain = StopKey(Scope.SENDER_DOMAIN, "shop.test")
    assert reach().key(Scope.SENDER_DOMAIN, b"x@Shop.test") == of_domain
    assert reach().key(Scope.SENDER_DOMAIN, b"") == StopKey(Scope.SENDER_AS, "a@contoso.test", "")
    plain = reach("plain", "", Kind.SMTP)
    assert plain.key(Scope.SENDER_DOMAIN, b"x@shop.test") == StopKey(Scope.SENDER_AS, "plain", "x@shop.test")
    assert reach().aside(b"x@shop.test") == (reach().outside, of_domain)
    assert reach().aside(b"", is_external=False) == () and plain.aside(b"x@shop.test") == (plain.outside,)


def test_high_volume_is_another_mailbox_of_the_same_name() -> None:
    high, plain = reach(kind=Kind.HIGH_VOLUME), reach()
    assert high.key(Scope.SENDER, b"") != plain.key(Scope.SENDER, b"")
