"""Suspensions: names, ends, and rows that a later process reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.budget.row import MAX_KEY_BYTES, SUSPENSION
from relay.queue.suspension import (
    NAME_MAX,
    Kind,
    Suspension,
    Suspensions,
    from_row,
    proper_name,
    row_key,
    row_of,
)

NAMES = st.text(min_size=1).filter(lambda name: len(name.encode("utf-8", "replace")) <= NAME_MAX)


@given(
    st.builds(
        Suspension,
        st.sampled_from([kind.value for kind in Kind]),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.just("fritz"),
        st.floats(0, 2e9),
        st.none() | st.floats(0, 2e9),
    )
)
def test_a_row_is_read_as_it_was_written(suspension: Suspension) -> None:
    key, value = row_of(suspension)
    assert value is not None and from_row(value) == suspension
    assert key.startswith(SUSPENSION) and len(key) <= MAX_KEY_BYTES + 1


@given(NAMES, NAMES, st.sampled_from(Kind), st.sampled_from(Kind))
def test_two_names_have_two_rows(one: str, other: str, kind: Kind, other_kind: Kind) -> None:
    same = (kind, one) == (other_kind, other)
    assert (row_key(kind, one) == row_key(other_kind, other)) == same


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x95\xa1a\xa1b\xa1c\xa1d\x00", b"\x90"])
def test_what_is_no_row_is_said(value: bytes) -> None:
    with pytest.raises(ValueError, match="no suspension"):
        from_row(value)


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        (Kind.ROUTE, "SmartHost", "SmartHost"),
        (Kind.CAMPAIGN, "May @x", "May @x"),
        (Kind.MAILBOX, "Orders@Contoso.com", "orders@contoso.com"),
        (Kind.SENDER_DOMAIN, "@News.Test", "news.test"),
        (Kind.RECIPIENT_DOMAIN, "GONE.test", "gone.test"),
        (Kind.RECIPIENT_DOMAIN, "gone.test.", "gone.test"),
    ],
)
def test_names_are_compared_as_what_they_name(kind: Kind, given: str, name: str) -> None:
    assert proper_name(kind, given) == name


def test_those_whose_time_has_come_are_told_and_the_next_one() -> None:
    tested = Suspensions()
    assert not tested and tested.next_end() is None
    for name, until in (("a", 10.0), ("b", 20.0), ("c", None)):
        tested.put(Suspension("campaign", name, "", "fritz", 0.0, until))
    assert tested.next_end() == 10.0
    assert [each.name for each in tested.ended(15.0)] == ["a"]
    assert tested.end(Kind.CAMPAIGN, "a") is not None and tested.end(Kind.CAMPAIGN, "a") is None
    assert tested.next_end() == 20.0 and len(tested) == 2
    tested.put(Suspension("campaign", "b", "", "fritz", 0.0))
    assert tested.next_end() is None and len(tested) == 2
