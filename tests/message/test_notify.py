"""Who is told of what."""

import pytest

from relay.message.notify import Action, from_xtext, is_answer, is_wanted


@pytest.mark.parametrize(
    ("notify", "failed", "delayed", "relayed"),
    [
        (b"", True, True, False),
        (b"NEVER", False, False, False),
        (b"FAILURE", True, False, False),
        (b"DELAY", False, True, False),
        (b"SUCCESS", False, False, True),
        (b"SUCCESS,FAILURE,DELAY", True, True, True),
    ],
)
def test_notify_says_what_is_wanted(notify: bytes, failed: bool, delayed: bool, relayed: bool) -> None:
    wanted = [is_wanted(notify, action) for action in (Action.FAILED, Action.DELAYED, Action.RELAYED)]
    assert wanted == [failed, delayed, relayed]


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        (b"Auto-Submitted: auto-replied\r\n", True),
        (b"AUTO-SUBMITTED:\r\n Auto-Replied; owner=x\r\n", True),
        (b"Auto-Submitted: auto-generated\r\n", False),
        (b"Auto-Submitted: no\r\n", False),
        (b"Subject: auto-replied\r\n", False),
        (b"", False),
    ],
)
def test_an_answer_says_that_it_is_one(field: bytes, answer: bool) -> None:
    assert is_answer(b"From: a@b.test\r\n" + field + b"\r\nAuto-Submitted: auto-replied\r\n") is answer


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (b"abc", b"abc"),
        (b"a+2Bb+3Dc", b"a+b=c"),
        (b"a+0D+0ABcc:", b"a+0D+0ABcc:"),
        (b"a+2", b"a+2"),
        (b"a+FF", b"a+FF"),
    ],
)
def test_xtext_is_decoded_where_what_it_says_may_be_shown(text: bytes, meant: bytes) -> None:
    assert from_xtext(text) == meant
