"""Questions and answers between receiver and signer: whole, byte by byte, cut anywhere."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relay.identity.dkim_line import QUESTION, Answers, Questions, SigningRefused, refusal, signature

questions = st.lists(st.tuples(st.integers(0, 65_535), st.binary(min_size=32, max_size=32)), max_size=20)
replies = st.lists(st.one_of(st.binary(max_size=2_048), st.text(min_size=1, max_size=200)), max_size=10)


def pieces(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[a:b] for a, b in pairwise(places)]


@given(questions, st.lists(st.integers(0, 10_000), max_size=10))
def test_questions_arrive_as_they_were_asked_however_they_are_cut(
    asked: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    wire = b"".join([QUESTION.pack(*each) for each in asked])
    for cut in (pieces(wire, cuts), [bytes((octet,)) for octet in wire]):
        ear = Questions()
        assert [each for piece in cut for each in ear.feed(piece)] == asked


@given(replies, st.lists(st.integers(0, 10_000), max_size=10))
def test_answers_arrive_as_they_were_given_however_they_are_cut(
    given_: list[bytes | str], cuts: list[int]
) -> None:
    wire = b"".join(
        [signature(each) if isinstance(each, bytes) else refusal(ValueError(each)) for each in given_]
    )
    for cut in (pieces(wire, cuts), [bytes((octet,)) for octet in wire]):
        ear = Answers()
        heard = [each for piece in cut for each in ear.feed(piece)]
        assert [str(each) if isinstance(each, SigningRefused) else each for each in heard] == given_


def test_a_refusal_without_words_names_its_kind() -> None:
    (heard,) = Answers().feed(refusal(KeyError()))
    assert isinstance(heard, SigningRefused) and str(heard) == "KeyError()"


def test_a_refusal_of_many_words_is_cut() -> None:
    first, second = Answers().feed(refusal(ValueError("x" * 100_000)) + signature(b"next"))
    assert isinstance(first, SigningRefused) and str(first) == "x" * 32_767
    assert second == b"next"
