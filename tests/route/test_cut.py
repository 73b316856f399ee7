"""Which recipients go in one transaction."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.route.cut import cut

MANY = [b"a@x", b"b@x", b"c@X", b"d@y", b"e@x", b"f@y", b"postmaster"]


@pytest.mark.parametrize(
    ("in_all", "per_domain", "taken"),
    [
        (0, 0, [0, 1, 2, 3, 4, 5, 6]),
        (3, 0, [0, 1, 2]),
        (7, 0, [0, 1, 2, 3, 4, 5, 6]),
        (100, 2, [0, 1, 3, 5, 6]),
        (100, 1, [0, 3, 6]),
        (4, 2, [0, 1, 3, 5]),
        (2, 2, [0, 1]),
        (2, 1, [0, 3]),
        (0, 4, [0, 1, 2, 3, 4, 5, 6]),
        (1, 1, [0]),
    ],
)
def test_the_first_that_fit_are_taken(in_all: int, per_domain: int, taken: list[int]) -> None:
    assert cut(MANY, in_all, per_domain) == taken


def test_of_nobody_nobody_is_taken() -> None:
    assert cut([], 5, 1) == []


@given(
    st.lists(st.sampled_from([b"a@x", b"b@X", b"c@y", b"d@sub.x", b"e"]), max_size=30),
    st.integers(0, 8),
    st.integers(0, 4),
)
def test_cuts_keep_to_both_bounds_and_come_to_an_end(
    addresses: list[bytes], in_all: int, per_domain: int
) -> None:
    left = list(addresses)
    for _ in range(len(addresses)):
        taken = cut(left, in_all, per_domain)
        assert taken == sorted(set(taken)) and (taken or not left)
        domains = Counter(left[index].rpartition(b"@")[2].lower() for index in taken)
        assert not in_all or len(taken) <= in_all
        assert not per_domain or max(domains.values(), default=0) <= per_domain
        left = [address for index, address in enumerate(left) if index not in taken]
    assert left == []
