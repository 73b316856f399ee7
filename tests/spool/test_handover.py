"""Hints on the wire: whole in any pieces, and never a frame that the other side refuses."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.spool.handover import MAX_FRAME_BYTES, FrameReader, Hello, Queued, encode, frames

ENVELOPE = Envelope(
    id=7, sender=b"a@b.test", recipients=(Recipient(b"c@d.test", "r"), Recipient(b"e@f.test", "s")), received_at=1.5,
    size=10, chunks=1, client="10.0.0.1", message_id=b"<x@y>", account="erp", priority=Priority.BULK, campaign="May",
)  # fmt: skip


def read(data: bytes, step: int = 65_536) -> list[Queued]:
    reader = FrameReader()
    found: list[Queued] = []
    for start in range(0, len(data), step):
        for frame in reader.feed(data[start : start + step]):
            assert not isinstance(frame, Hello)
            found += frame
    return found


def test_a_hint_has_what_the_queue_and_the_history_must_know() -> None:
    hint = Queued.of(ENVELOPE)
    assert (hint.routes, hint.source, hint.client) == (("r", "s"), "erp", "10.0.0.1")
    assert (hint.account, hint.message_id, hint.recipients) == ("erp", b"<x@y>", (b"c@d.test", b"e@f.test"))
    assert read(encode([hint]), 1) == [hint]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=300))
def test_mails_to_very_many_go_in_as_many_frames_as_it_takes(recipients: list[int]) -> None:
    mails = [
        Queued(i, 0.0, 1, 1, ("r",), recipients=(b"x" * 60 + b"@example.net",) * count)
        for i, count in enumerate(recipients)
    ]
    sent = list(frames(mails))
    assert all(len(frame) - 4 <= MAX_FRAME_BYTES for frame in sent)
    assert len(sent) == 1 or sum(map(len, sent)) > MAX_FRAME_BYTES
    assert read(b"".join(sent)) == mails


def test_the_largest_mail_there_is_fits_into_a_frame() -> None:
    # 1,000 recipients of 320 bytes, RFC 5321 section 4.5.3.1.
    [frame] = frames([Queued(1, 0.0, 1, 1, ("r",), recipients=(b"x" * 320,) * 1_000)])
    assert len(frame) < MAX_FRAME_BYTES / 10
