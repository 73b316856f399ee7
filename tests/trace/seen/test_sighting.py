"""What was seen of a sender: sums, bounds, days; and that parts add up to the whole."""

import string
from itertools import groupby

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from relay.trace.seen.sighting import DAY_S, MOST, TEXT_MAX, Sighting, Who, is_basic, is_unknown

NOON = 1_800_000_000.0


def test_a_mail_is_counted_with_its_size_its_recipients_and_its_protection() -> None:
    seen = Sighting(first=NOON)
    seen.mailed(NOON, 100, 1, is_tls=True)
    seen.mailed(NOON + 5, 300, 4, is_tls=False)
    assert (seen.mails, seen.plain, seen.size, seen.largest) == (2, 1, 400, 300)
    assert (seen.recipients, seen.recipients_most, seen.last, seen.plain_last) == (5, 4, NOON + 5, NOON + 5)


def test_the_busiest_day_is_remembered() -> None:
    seen = Sighting()
    for day, mails in ((0, 3), (1, 7), (2, 2)):
        for _ in range(mails):
            seen.mailed(NOON + day * DAY_S, 1, 1, is_tls=True)
    assert (seen.busiest, seen.today) == (7, 2)


def test_what_grows_by_what_others_send_is_bounded_and_says_so() -> None:
    seen = Sighting()
    for name, most in MOST.items():
        values = getattr(seen, name)
        for number in range(10_000):
            seen.keep(name, values, f"{number}" * 200)
        assert len(values) == most and max(map(len, values)) <= TEXT_MAX
    assert seen.more == MOST.keys()
    assert len(msgspec.json.encode(seen)) < 30_000


def test_what_is_there_already_is_no_overflow() -> None:
    seen = Sighting()
    for number in range(MOST["helos"]):
        seen.keep("helos", seen.helos, f"host{number}")
    seen.keep("helos", seen.helos, "host0")
    assert not seen.more


def test_a_long_text_is_the_same_when_it_comes_again() -> None:
    seen = Sighting()
    for _ in range(MOST["helos"] + 1):
        seen.keep("helos", seen.helos, "x" * 1_000)
    assert seen.helos == {"x" * TEXT_MAX} and not seen.more


_MAILS = st.lists(
    st.tuples(
        st.integers(0, 3 * DAY_S), st.integers(0, 10_000), st.integers(1, 50), st.booleans(),
        st.text(string.ascii_lowercase, max_size=2),
    ),
    max_size=40,
)  # fmt: skip


@given(_MAILS, st.integers(1, 7))
def test_batches_add_up_to_what_one_would_hold(
    mails: list[tuple[int, int, int, bool, str]], size: int
) -> None:
    """Of seconds, so of one day: what a batch holds of the day before does not count for the busiest one."""
    mails = sorted(mails)

    def of(part: list[tuple[int, int, int, bool, str]]) -> Sighting:
        seen = Sighting(first=NOON + part[0][0]) if part else Sighting()
        for after, size, recipients, is_tls, sender in part:
            seen.mailed(NOON + after, size, recipients, is_tls=is_tls)
            seen.keep("senders", seen.senders, sender)
        return seen

    whole, parts = of(mails), Sighting()
    for _, day in groupby(mails, lambda mail: (NOON + mail[0]) // DAY_S):
        of_day = list(day)
        for start in range(0, len(of_day), size):
            parts.add(of(of_day[start : start + size]))
    # Of more senders than are kept, which ones is chance; everything else must be the same.
    assert len(parts.senders) == len(whole.senders) or "senders" in whole.more
    parts.senders = whole.senders
    assert parts == whole


def test_basic_authentication_is_a_password_that_crosses_the_wire_or_would_have() -> None:
    assert is_basic(Who("erp", "10.0.0.1", "PLAIN"), Sighting())
    assert is_basic(Who("erp", "10.0.0.1", "LOGIN"), Sighting())
    assert not is_basic(Who("erp", "10.0.0.1", "SCRAM-SHA-256"), Sighting())
    assert not is_basic(Who("erp", "10.0.0.1", "OAUTHBEARER"), Sighting())
    tried = Sighting(tried={"LOGIN without TLS as scanner: unknown user"})
    assert is_basic(Who("learning:10.0.0.1", "10.0.0.1", "learning"), tried)


def test_unknown_is_who_has_no_name() -> None:
    assert is_unknown(Who("learning:10.0.0.1", "10.0.0.1", "learning"))
    assert is_unknown(Who("", "10.0.0.1", "nothing"))
    assert not is_unknown(Who("printer", "10.0.0.1", "network"))


def test_a_person_is_taken_out_of_every_list() -> None:
    seen = Sighting(
        senders={"Anna@example.com", "b@example.com"},
        authors={"anna@example.com"},
        tried={"PLAIN with TLS as anna@example.com: unknown user"},
        refusals={"MAIL anna@example.com: 550 5.7.1 no"},
    )
    assert seen.lose("anna@example.com") and not seen.lose("anna@example.com")
    assert (seen.senders, seen.authors, seen.tried, seen.refusals) == ({"b@example.com"}, set(), set(), set())
