"""Microsoft's published limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.m365.limit import LIMITS, Counted, terrl
from relay.m365.row import Scope

PUBLISHED = [
    (1, 10_000), (2, 10_312), (10, 12_006), (25, 14_259), (50, 17_231), (100, 22_059),
    (500, 48_247), (1000, 72_446), (10_000, 324_979), (100_000, 1_590_639),
]  # fmt: skip


@pytest.mark.parametrize(("licences", "most"), PUBLISHED)
def test_the_tenants_limit_is_as_published_or_one_below(licences: int, most: int) -> None:
    assert terrl(licences) in (most, most - 1)


def test_a_trial_tenant_has_5000() -> None:
    assert terrl(0) == 5000


def test_a_negative_number_of_licences_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        terrl(-1)


@given(st.integers(0, 10_000_000), st.integers(1, 1000))
def test_more_licences_never_mean_less(licences: int, more: int) -> None:
    assert terrl(licences) <= terrl(licences + more)


def test_the_three_limits_of_a_mailbox_are_there() -> None:
    mailbox = {limit.counted: (limit.most, limit.window_s) for limit in LIMITS if limit.scope is Scope.SENDER}
    assert mailbox == {
        Counted.CONNECTIONS: (3, None),
        Counted.MESSAGES: (30, 60),
        Counted.RECIPIENTS: (10_000, 86_400),
    }


def test_limits_have_names_of_their_own_and_a_source() -> None:
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)
    assert all(limit.source and limit.note and limit.most > 0 and limit.kinds for limit in LIMITS)
