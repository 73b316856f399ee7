"""Proofs: one new sender of a mailbox at a time."""

from relay.deliver.proofs import KNOWN_MAX, Proofs
from relay.m365.preset import Kind
from tests.deliver.reaching import reach

SHOP = b"x@shop.test"


def test_only_a_login_at_microsoft_that_sends_as_another_is_proved() -> None:
    proofs = Proofs()
    assert proofs.is_needed(reach(), SHOP)
    assert not proofs.is_needed(reach(), b"A@CONTOSO.test"), "the mailbox itself"
    assert not proofs.is_needed(reach(), b""), "nobody"
    assert not proofs.is_needed(reach(mailbox="", kind=Kind.CONNECTOR), SHOP), "no login"
    assert not proofs.is_needed(reach(kind=Kind.SMTP), SHOP), "another server"


def test_one_proof_of_a_mailbox_is_under_way_over_all_its_routes() -> None:
    proofs, one, two, other = Proofs(), reach("one"), reach("two"), reach(mailbox="b@contoso.test")
    proofs.begin(one, SHOP)
    assert proofs.is_under_way(two) and not proofs.is_under_way(other)
    proofs.end(one, is_proved=True)
    assert not proofs.is_under_way(two)
    assert not proofs.is_needed(two, b"X@SHOP.test") and proofs.is_needed(other, SHOP)


def test_what_failed_or_was_doubted_is_proved_again() -> None:
    proofs = Proofs()
    proofs.begin(reach(), SHOP)
    proofs.end(reach(), is_proved=False)
    assert proofs.is_needed(reach(), SHOP)
    proofs.begin(reach(), SHOP)
    proofs.end(reach(), is_proved=True)
    proofs.doubt(reach().mailbox, b"X@Shop.test")
    assert proofs.is_needed(reach(), SHOP)


def test_an_end_without_a_beginning_proves_nothing() -> None:
    proofs = Proofs()
    proofs.end(reach(), is_proved=True)
    assert proofs.is_needed(reach(), SHOP) and not proofs.is_under_way(reach())


def test_what_is_known_has_a_bound() -> None:
    proofs, tested = Proofs(), reach()
    for number in range(KNOWN_MAX + 1):
        proofs.begin(tested, b"%d@shop.test" % number)
        proofs.end(tested, is_proved=True)
    assert proofs.is_needed(tested, b"0@shop.test") and not proofs.is_needed(
        tested, b"%d@shop.test" % KNOWN_MAX
    )
