"""Who is counted, for what, and which limits two routes share."""

from dataclasses import replace

from relay.budget.limit import DAY_S, Charge, Limit, Scope, Unit
from relay.m365.preset import Kind
from relay.route.route import Credentials, Route
from relay.route.tariff import TENANT_KEY, Tariff, limits_in_force
from relay.route.tenant import Tenant

TENANT = Tenant(("contoso.com", "*.contoso.net"))
A_MINUTE = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)
A_DAY = Limit(Scope.MAILBOX, Unit.RECIPIENTS, 10_000, DAY_S)
OUTSIDE = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 5_000, DAY_S)
BYTES = Limit(Scope.ROUTE, Unit.BYTES, 10**9, DAY_S)
TO = [b"a@contoso.com", b"b@Contoso.COM", b"c@fabrikam.com"]


def route(name: str, username: str = "", *limits: Limit, kind: Kind = Kind.SMTP) -> Route:
    credentials = Credentials(username, "x") if username else None
    return Route(name=name, hosts=("h",), kind=kind, credentials=credentials, limits=limits)


def charged(routes: list[Route], which: int = 0) -> list[Charge]:
    return Tariff(routes[which], routes[which].credentials, limits_in_force(routes), TENANT).charges(
        TO, 5_000
    )


def test_a_mail_is_charged_for_everything_its_route_limits() -> None:
    routes = [route("r", "Orders@Contoso.com", A_MINUTE, A_DAY, OUTSIDE, BYTES)]
    assert charged(routes) == [
        Charge(Scope.MAILBOX, "orders@contoso.com", Unit.MESSAGES, 1),
        Charge(Scope.MAILBOX, "orders@contoso.com", Unit.RECIPIENTS, 3),
        Charge(Scope.TENANT, TENANT_KEY, Unit.EXTERNAL_RECIPIENTS, 1),
        Charge(Scope.ROUTE, "r", Unit.BYTES, 5_000),
    ]


def test_two_limits_of_one_unit_are_one_charge() -> None:
    an_hour = Limit(Scope.MAILBOX, Unit.MESSAGES, 100, 3600)
    assert charged([route("r", "m", A_MINUTE, an_hour)]) == [Charge(Scope.MAILBOX, "m", Unit.MESSAGES, 1)]


def test_a_route_without_limits_is_charged_nothing() -> None:
    routes = [route("free"), route("r", "m", A_MINUTE, OUTSIDE)]
    assert charged(routes) == []
    assert Tariff(routes[0], routes[0].credentials, limits_in_force(routes), TENANT).places == ()


def test_two_routes_of_one_mailbox_share_its_limits_and_the_smaller_is_in_force() -> None:
    routes = [
        route("a", "M@x", A_MINUTE),
        route("b", "m@X", replace(A_MINUTE, count=20), A_DAY),
        route("c", "m@x"),
    ]
    assert limits_in_force(routes) == (replace(A_MINUTE, count=20, key="m@x"), replace(A_DAY, key="m@x"))
    assert charged(routes, 0) == charged(routes, 1) == charged(routes, 2) != []


def test_high_volume_is_counted_apart_from_a_mailbox_of_that_name() -> None:
    routes = [route("a", "m@x", A_MINUTE), route("b", "m@x", kind=Kind.HIGH_VOLUME)]
    assert charged(routes, 1) == []


def test_only_routes_that_are_counted_for_the_tenant_are_charged_for_it() -> None:
    routes = [
        route("a", "m", OUTSIDE),
        route("b", "n", replace(OUTSIDE, count=100)),
        route("c", "o", A_MINUTE),
    ]
    assert limits_in_force(routes)[0] == replace(OUTSIDE, count=100, key=TENANT_KEY)
    assert charged(routes, 0) == charged(routes, 1)
    assert all(charge.scope is not Scope.TENANT for charge in charged(routes, 2))


def test_mail_to_the_inside_is_not_charged_as_external() -> None:
    tariff = Tariff(
        route("r", "m", OUTSIDE),
        route("r", "m", OUTSIDE).credentials,
        limits_in_force([route("r", "m", OUTSIDE)]),
        TENANT,
    )
    assert tariff.charges([b"a@contoso.com", b"a@x.y.contoso.net"], 1) == []
    outside = [b"a@contoso.net", b"a@sub.contoso.com", b"postmaster", b'"x@contoso.com"@z', b"\xff@\xff"]
    assert [charge.amount for charge in tariff.charges(outside, 1)] == [len(outside)]


def test_refused_recipients_are_given_back_and_the_message_is_not() -> None:
    routes = [route("r", "m", A_MINUTE, A_DAY, OUTSIDE, BYTES)]
    assert Tariff(routes[0], routes[0].credentials, limits_in_force(routes), TENANT).unsent(TO[1:]) == [
        Charge(Scope.MAILBOX, "m", Unit.RECIPIENTS, 2),
        Charge(Scope.TENANT, TENANT_KEY, Unit.EXTERNAL_RECIPIENTS, 1),
    ]


def test_names_that_are_too_long_for_a_row_are_cut() -> None:
    (limit,) = limits_in_force([route("r", "ä" * 600, A_MINUTE)])
    assert len(limit.key.encode()) == 480
