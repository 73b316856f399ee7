"""Denials: pairs of mailbox and sender, domains, in any case."""

from hypothesis import given
from hypothesis import strategies as st

from relay.queue.denial import Denials, bytes_of, domain_of, text_of


def test_a_pair_denies_that_mailbox_that_sender_alone() -> None:
    denials = Denials()
    assert not denials
    denials.deny("a@contoso.test", b"X@Shop.test")
    assert denials and not denials.may_send("a@contoso.test", b"x@shop.TEST")
    assert denials.may_send("b@contoso.test", b"x@shop.test")
    assert denials.may_send("a@contoso.test", b"y@shop.test")
    denials.allow("a@contoso.test", b"x@shop.test")
    assert not denials and denials.may_send("a@contoso.test", b"x@shop.test")


def test_a_domain_denies_everybody_of_it_and_nobody_below() -> None:
    denials = Denials()
    denials.deny_domain(b"Shop.test")
    assert denials.stops(b"anybody@SHOP.test") == b"shop.test"
    assert not denials.stops(b"anybody@www.shop.test") and not denials.stops(b"")
    denials.allow_domain(b"shop.TEST")
    assert not denials and not denials.stops(b"anybody@shop.test")


def test_the_null_sender_can_be_denied_and_has_no_domain() -> None:
    denials = Denials()
    denials.deny("a@contoso.test", b"")
    assert not denials.may_send("a@contoso.test", b"") and denials.may_send("a@contoso.test", b"x@shop.test")
    assert domain_of(b"") == b"" and domain_of(b"nobody") == b""


def test_allowing_what_was_never_denied_changes_nothing() -> None:
    denials = Denials()
    denials.allow("a@contoso.test", b"x@shop.test")
    denials.allow_domain(b"shop.test")
    assert not denials


def test_the_domain_is_behind_the_last_at() -> None:
    assert domain_of(b'"a@b"@Shop.test') == b"shop.test"


@given(st.binary(max_size=40))
def test_an_address_is_the_same_bytes_again(address: bytes) -> None:
    assert bytes_of(text_of(address)) == address.lower()
