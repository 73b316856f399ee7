"""Reports go by a route that takes them, with the sender it takes."""

from dataclasses import replace

import pytest

from relay.m365.preset import Kind
from relay.message.priority import Priority
from relay.route.match import Match
from relay.route.report_way import way_to
from relay.route.route import Credentials, Route
from relay.route.table import RouteTable

LOGIN = Credentials("relay@contoso.com", "x")
PLAIN = Route("plain", ("mx.test",))
CONNECTOR = Route("connector", ("mx.test",), kind=Kind.CONNECTOR)
SMARTHOST = Route("smarthost", ("mx.test",), credentials=LOGIN)
MAILBOX = Route("mailbox", ("smtp.office365.com",), kind=Kind.SUBMISSION, credentials=LOGIN)
POOL = Route("pool", ("smtp.office365.com",), kind=Kind.SUBMISSION, mailboxes=(LOGIN,))
FIXED = replace(MAILBOX, name="fixed", kind=Kind.HIGH_VOLUME, sender_fixed=True)
INSIDE = Route("inside", ("mx.test",), recipients=("contoso.com",))


def found(*routes: Route, name: str = "", sender: str = "", author: str = "") -> tuple[str, bytes] | None:
    way = way_to(b"app@contoso.com", RouteTable(routes), name, sender, author)
    return None if way is None else (way.route.name, way.sender)


@pytest.mark.parametrize("route", [PLAIN, CONNECTOR, SMARTHOST], ids=lambda route: route.name)
def test_the_null_sender_goes_where_it_is_taken(route: Route) -> None:
    assert found(route) == (route.name, b"")
    assert found(route, sender="relay@contoso.com") == (route.name, b"")


@pytest.mark.parametrize("route", [MAILBOX, POOL], ids=lambda route: route.name)
def test_a_mailbox_sends_reports_for_a_known_sender_only(route: Route) -> None:
    assert found(route, sender="relay@contoso.com") == (route.name, b"relay@contoso.com")


@pytest.mark.parametrize("route", [MAILBOX, POOL, FIXED], ids=lambda route: route.name)
def test_the_first_mailbox_of_a_route_sends_them_as_itself(route: Route) -> None:
    assert found(route) == (route.name, b"relay@contoso.com")
    assert found(replace(route, recipients=("example.net",))) is None


def test_a_login_that_is_no_address_is_no_sender() -> None:
    resource = replace(MAILBOX, kind=Kind.COMMUNICATION, credentials=Credentials("resource.app.tenant", "x"))
    assert found(resource) is None
    assert found(resource, sender="donotreply@contoso.com") == ("mailbox", b"donotreply@contoso.com")


def test_a_mailbox_that_may_not_send_for_the_known_sender_is_no_way() -> None:
    assert found(POOL, sender="other@contoso.com") is None


def test_the_first_route_that_leads_there_counts() -> None:
    assert found(INSIDE, PLAIN) == ("inside", b"")
    outside = Route("outside", ("mx.test",), recipients=("example.net",))
    assert found(outside) is None


def test_a_route_for_other_mail_is_passed_over() -> None:
    large = replace(PLAIN, name="large", matches=(Match(larger_than_bytes=1_000_000),))
    bulk = replace(PLAIN, name="bulk", matches=(Match(priorities=(Priority.BULK,)),))
    assert found(large, bulk, PLAIN) == ("plain", b"")
    assert found(large, bulk) is None


def test_an_account_that_must_be_the_author_sends_no_reports_from_another() -> None:
    assert found(FIXED, author="postmaster@contoso.com") is None
    assert found(FIXED, author="relay@contoso.com") == ("fixed", b"relay@contoso.com")


def test_a_named_route_takes_all_reports() -> None:
    assert found(INSIDE, PLAIN, name="plain") == ("plain", b"")
    assert found(INSIDE, POOL, name="pool") == ("pool", b"relay@contoso.com")
    assert found(INSIDE, MAILBOX, name="mailbox", sender="relay@contoso.com") == (
        "mailbox",
        b"relay@contoso.com",
    )
    assert found(PLAIN, name="gone") is None
