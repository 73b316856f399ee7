"""Who signs: domains, parents, and keys that come and go by the clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.identity.dkim import (
    CACHE_MAX,
    DomainPolicy,
    KeyRing,
    NoActiveKey,
    Selector,
    unicode_domain,
)
from relay.message.dkim.canonical import Canonicalization
from relay.message.dkim.signature import Algorithm
from tests.fakes.clock import FakeClock
from tests.identity.keys import ed25519_key, rsa_key

RSA = rsa_key()
ED = ed25519_key()
NOW = FakeClock().now()


def policy(domain: bytes = b"example.com", *selectors: Selector, subdomains: bool = False) -> DomainPolicy:
    return DomainPolicy(domain, selectors or (Selector(b"s1", RSA),), subdomains=subdomains)


def names(ring: KeyRing, domain: bytes, now: float = NOW) -> list[tuple[bytes, bytes]]:
    """d= and s= of the signatures."""
    return [(signer.options.domain, signer.options.selector) for signer in ring.signers(domain, now)]


def test_the_domain_of_a_policy_is_signed_and_no_other() -> None:
    ring = KeyRing([policy()])
    assert names(ring, b"example.com") == [(b"example.com", b"s1")]
    for other in (
        b"example.org",
        b"com",
        b"",
        b"notexample.com",
        b"sub.example.com",
        b"example.com.evil.org",
    ):
        assert names(ring, other) == []


@pytest.mark.parametrize("spelling", [b"Example.COM", b"example.com.", b"EXAMPLE.com."])
def test_case_and_a_final_dot_do_not_matter(spelling: bytes) -> None:
    assert names(KeyRing([policy()]), spelling) == [(b"example.com", b"s1")]


def test_a_policy_with_subdomains_signs_them_at_any_depth() -> None:
    ring = KeyRing([policy(subdomains=True)])
    for domain in (b"example.com", b"news.example.com", b"a.b.example.com"):
        assert names(ring, domain) == [(b"example.com", b"s1")]
    assert names(ring, b"notexample.com") == []


def test_the_exact_domain_comes_before_its_parents_and_near_ones_before_far_ones() -> None:
    ring = KeyRing(
        [
            policy(b"example.com", subdomains=True),
            policy(b"news.example.com", Selector(b"n1", RSA)),
            policy(b"shop.example.com", Selector(b"p1", RSA), subdomains=True),
        ]
    )
    assert names(ring, b"news.example.com") == [(b"news.example.com", b"n1")]
    assert names(ring, b"eu.shop.example.com") == [(b"shop.example.com", b"p1")]
    # news.example.com takes no subdomains, so the next parent that does is asked.
    assert names(ring, b"eu.news.example.com") == [(b"example.com", b"s1")]


def test_a_domain_in_another_alphabet_is_known_in_both_spellings() -> None:
    ring = KeyRing([policy(b"xn--bcher-kva.example", subdomains=True)])
    for domain in ("bücher.example", "BÜCHER.example", "shop.bücher.example", "xn--bcher-kva.example"):
        assert names(ring, domain.encode()) == [(b"xn--bcher-kva.example", b"s1")]
    assert names(ring, b"b\xfccher.example") == []  # Latin-1, no UTF-8


def test_what_looks_like_an_a_label_and_is_none_stays_as_it_is() -> None:
    assert unicode_domain(b"xn--\xff.example") == b"xn--\xff.example"
    assert unicode_domain(b"xn--bcher-kva.example") == "bücher.example".encode()


def test_the_options_say_what_the_policy_says() -> None:
    ring = KeyRing(
        [
            DomainPolicy(
                b"example.com",
                (Selector(b"s1", ED),),
                header=Canonicalization.SIMPLE,
                body=Canonicalization.RELAXED,
                oversign=(b"From",),
                identity=b"@example.com",
                lifetime_s=3600,
            )
        ]
    )
    (signer,) = ring.signers(b"example.com", NOW)
    assert signer.key is ED
    options = signer.options
    assert (options.algorithm, options.header, options.body) == (
        Algorithm.ED25519_SHA256,
        Canonicalization.SIMPLE,
        Canonicalization.RELAXED,
    )
    assert (options.oversign, options.identity, options.lifetime_s) == ((b"From",), b"@example.com", 3600)


def test_both_algorithms_sign_side_by_side_rsa_first() -> None:
    ring = KeyRing([policy(b"example.com", Selector(b"e1", ED), Selector(b"r1", RSA))])
    assert names(ring, b"example.com") == [(b"example.com", b"r1"), (b"example.com", b"e1")]


def test_a_rotation_needs_no_more_than_time() -> None:
    clock = FakeClock()
    switch, retire = clock.now() + 100, clock.now() + 200
    old, new = Selector(b"old", RSA, retire_at=retire), Selector(b"new", rsa_key(1), active_from=switch)
    ring = KeyRing([policy(b"example.com", old, new)])
    seen = []
    for _ in range(4):
        seen.append(names(ring, b"example.com", clock.now())[0][1])
        clock.advance(75)
    assert seen == [b"old", b"old", b"new", b"new"]
    clock.set_wall(switch)
    assert names(ring, b"example.com", clock.now()) == [(b"example.com", b"new")]
    clock.set_wall(switch - 0.001)  # An administrator puts the clock back.
    assert names(ring, b"example.com", clock.now()) == [(b"example.com", b"old")]


def test_before_the_first_key_begins_mail_is_unsigned_on_purpose() -> None:
    ring = KeyRing([policy(b"example.com", Selector(b"s1", RSA, active_from=NOW + 1))])
    assert ring.signers(b"example.com", NOW) == ()
    assert names(ring, b"example.com", NOW + 1) == [(b"example.com", b"s1")]


def test_after_the_last_key_mail_is_not_unsigned_by_accident() -> None:
    ring = KeyRing([policy(b"example.com", Selector(b"s1", RSA, retire_at=NOW))])
    assert names(ring, b"example.com", NOW - 1) == [(b"example.com", b"s1")]
    for _ in range(2):
        with pytest.raises(NoActiveKey, match=r"example\.com"):
            ring.signers(b"example.com", NOW)


def test_a_gap_between_two_keys_is_no_accident_free_zone() -> None:
    early, late = Selector(b"s1", RSA, retire_at=NOW), Selector(b"s2", RSA, active_from=NOW + 10)
    ring = KeyRing([policy(b"example.com", early, late)])
    with pytest.raises(NoActiveKey):
        ring.signers(b"example.com", NOW + 5)
    assert names(ring, b"example.com", NOW + 10) == [(b"example.com", b"s2")]


def test_body_modes_are_those_of_the_policies_and_no_more() -> None:
    simple = DomainPolicy(b"example.org", (Selector(b"s1", RSA),), body=Canonicalization.SIMPLE)
    assert KeyRing().body_modes() == frozenset()
    assert KeyRing([policy()]).body_modes() == {Canonicalization.RELAXED}
    assert KeyRing([policy(), simple]).body_modes() == {Canonicalization.RELAXED, Canonicalization.SIMPLE}


def test_two_policies_for_one_domain_are_refused() -> None:
    with pytest.raises(ValueError, match="two policies"):
        KeyRing([policy(), policy()])


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two selectors"):
        KeyRing([policy(b"example.com", Selector(b"s1", RSA), Selector(b"s1", ED))])


def test_a_key_ring_without_policies_is_false() -> None:
    assert not KeyRing()
    assert KeyRing([policy()])


def test_from_domains_that_never_end_do_not_fill_the_memory() -> None:
    ring = KeyRing([policy(subdomains=True)])
    for number in range(CACHE_MAX + 10):
        assert ring.signers(b"%d.example.com" % number, NOW)
    assert len(ring._choices) <= CACHE_MAX


moments = st.none() | st.integers(0, 8).map(float)
selectors = st.builds(
    Selector,
    st.sampled_from([b"a", b"b", b"c", b"d", b"e"]),
    st.sampled_from([RSA, ED]),
    active_from=moments,
    retire_at=moments,
)


@given(
    st.lists(selectors, min_size=1, max_size=5, unique_by=lambda each: each.name),
    st.lists(st.floats(-1, 9), max_size=20),
)
def test_what_is_remembered_never_differs_from_what_a_fresh_look_says(
    chosen: list[Selector], times: list[float]
) -> None:
    domain = policy(b"example.com", *chosen)
    ring = KeyRing([domain])
    for now in times:
        active = domain.active(now)
        if not active and any(selector.since <= now for selector in chosen):
            with pytest.raises(NoActiveKey):
                ring.signers(b"example.com", now)
            continue
        assert names(ring, b"example.com", now) == [(b"example.com", selector.name) for selector in active]
        for selector in active:
            rivals = [s for s in chosen if s.key is selector.key and s.is_active(now)]
            assert selector.since == max(rival.since for rival in rivals)
