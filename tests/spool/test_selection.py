"""Which mails a selection means, and which of their recipients."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.queue_id import format_id
from relay.spool.change import RecipientState, Status
from relay.spool.codec import mail_key, seal_envelope
from relay.spool.selection import Picker, Selection, status_word

NOW = 1_800_000_000.0
STATES = (
    RecipientState(),
    RecipientState(Status.QUEUED, 2, NOW, "451 4.7.500 Server busy"),
    RecipientState(Status.HELD, 1, 0.0, "550 5.1.1 Unknown"),
    RecipientState(Status.DELIVERED, 1, 0.0, "250 ok"),
    RecipientState(Status.CANCELLED),
)


def mail(**fields: object) -> Envelope:
    given: dict[str, object] = {
        "id": 7,
        "sender": b"News@Contoso.com",
        "recipients": (
            Recipient(b"a@one.test", "smarthost"),
            Recipient(b"b@TWO.test", "smarthost"),
            Recipient(b"c@sub.two.test", "other"),
            Recipient(b"d@two.test", "smarthost"),
            Recipient(b"e@two.test", "smarthost"),
        ),
        "received_at": NOW - 100,
        "size": 5,
        "chunks": 1,
        "client": "::1",
        "campaign": "May",
        "priority": Priority.BULK,
    }
    return Envelope(**(given | fields))  # type: ignore[arg-type]  # names are checked at run time


@pytest.mark.parametrize(
    ("selection", "indices"),
    [
        (Selection(all=True), [0, 1, 2]),
        (Selection(ids=(format_id(7),)), [0, 1, 2]),
        (Selection(ids=(format_id(8),)), []),
        (Selection(sender="news@contoso.COM"), [0, 1, 2]),
        (Selection(sender="contoso.com"), [0, 1, 2]),
        (Selection(sender="@contoso.com"), [0, 1, 2]),
        (Selection(sender="toso.com"), []),
        (Selection(sender="<>"), []),
        (Selection(recipient="two.test"), [1]),
        (Selection(recipient="@Two.Test"), [1]),
        (Selection(recipient="a@one.test"), [0]),
        (Selection(route="other"), [2]),
        (Selection(campaign="May"), [0, 1, 2]),
        (Selection(campaign="may"), []),
        (Selection(priority="bulk"), [0, 1, 2]),
        (Selection(priority="high"), []),
        (Selection(older_than=100), [0, 1, 2]),
        (Selection(older_than=101), []),
        (Selection(reply="server BUSY"), [1]),
        (Selection(status="queued"), [0]),
        (Selection(status="deferred"), [1]),
        (Selection(status="held"), [2]),
        (Selection(status="held", route="smarthost"), []),
        (Selection(campaign="May", recipient="one.test", older_than=50), [0]),
        (Selection(campaign="June", recipient="one.test"), []),
    ],
    ids=str,
)
def test_a_selection_means(selection: Selection, indices: list[int]) -> None:
    assert selection.problem == ""
    assert Picker(selection, NOW).pick(mail(), STATES) == indices


def test_the_null_sender_can_be_meant() -> None:
    assert Picker(Selection(sender="<>"), NOW).pick(mail(sender=b""), STATES) == [0, 1, 2]
    assert Picker(Selection(sender="contoso.com"), NOW).pick(mail(sender=b""), STATES) == []


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(), "nothing is selected"),
        (Selection(all=True, route="x"), "at once"),
        (Selection(priority="urgent"), "high, normal and bulk"),
        (Selection(status="delivered"), "queued, deferred, held and uncertain"),
        (Selection(older_than=-1), "not negative"),
        (Selection(ids=("lil",)), "no queue id".replace("no", "not a")),
    ],
    ids=str,
)
def test_what_means_nothing_is_said(selection: Selection, says: str) -> None:
    assert says in selection.problem


WORDS = st.text(max_size=20)


@given(
    st.builds(
        Selection,
        sender=WORDS,
        recipient=WORDS,
        route=WORDS,
        campaign=WORDS,
        priority=st.sampled_from(("", "high", "normal", "bulk", "x")),
        older_than=st.floats(0, 1e9),
        reply=WORDS,
        status=st.sampled_from(("", "queued", "deferred", "held", "x")),
    )
)
def test_no_selection_means_who_is_done_with(selection: Selection) -> None:
    assert msgspec.json.decode(msgspec.json.encode(selection), type=Selection) == selection
    picked = Picker(selection, NOW).pick(mail(), STATES)
    assert set(picked) <= {0, 1, 2}
    assert str(selection)


def test_a_recipients_state_has_a_word() -> None:
    assert [status_word(state) for state in STATES] == [
        "queued",
        "deferred",
        "held",
        "delivered",
        "cancelled",
    ]


@given(st.sampled_from(("", "May", "M")), st.sampled_from(("", "smarthost", "other")), st.booleans())
def test_what_is_meant_holds_the_sieve(campaign: str, route: str, is_other: bool) -> None:
    """Only a mail that is not meant may be passed over for its bytes."""
    recipient = Recipient(b"b@c.test", "other" if is_other else "smarthost")
    of_may = mail(campaign="May", recipients=(recipient,))
    picker = Picker(Selection(campaign=campaign, route=route, all=not (campaign or route)), NOW)
    if picker.pick(of_may, (RecipientState(),)):
        assert picker.sieve in seal_envelope(mail_key(7), of_may)
    assert bool(picker.sieve) is bool(campaign or route)


def test_text_of_any_script_is_its_own_sieve() -> None:
    of_spring = mail(campaign="Frühjahr 春", recipients=(Recipient(b"b@c.test", "smarthost"),))
    picker = Picker(Selection(campaign="Frühjahr 春"), NOW)
    assert picker.pick(of_spring, (RecipientState(),))
    assert picker.sieve in seal_envelope(mail_key(7), of_spring)
