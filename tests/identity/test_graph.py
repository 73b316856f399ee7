"""Graph's refusals in words that help; a token goes to no other host."""

from email.utils import formatdate
from pathlib import Path

import pytest

from relay.identity import graph
from relay.identity.access import TokenRefused
from relay.identity.graph import GraphOptions, GraphRefused, get
from relay.identity.http import Answer
from relay.route.oauth import Application, ClientSecret

BASE = "https://graph.test"
OPTIONS = GraphOptions(Application("app", "", "", ClientSecret("s"), "ca.pem"), BASE)
TOKEN = "eyJ0.very.secret"
NOW = 1_800_000_000.0
ERROR = '{"error": {"code": "Forbidden", "message": "Insufficient\\nprivileges"}}'


class Fixed:
    """In place of `Http`: answers, and remembers what it was asked."""

    asked: list[tuple[str, dict[str, str]]]
    answer: Answer | TokenRefused

    def __init__(self, within_s: float, *, ca_file: str | None = None) -> None:
        assert ca_file == "ca.pem" and within_s == graph.GET_WITHIN_S

    def get(self, url: str, headers: dict[str, str]) -> Answer:
        Fixed.asked.append((url, headers))
        if isinstance(Fixed.answer, TokenRefused):
            raise Fixed.answer
        return Fixed.answer


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    Fixed.asked = []
    monkeypatch.setattr(graph, "Http", Fixed)


def refused(answer: Answer | TokenRefused, url: str = f"{BASE}/v1.0/x") -> GraphRefused:
    Fixed.answer = answer
    with pytest.raises(GraphRefused) as caught:
        get(OPTIONS, TOKEN, url, NOW)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_an_answer_comes_back_as_it_is() -> None:
    Fixed.answer = Answer(200, "text", {})
    assert get(OPTIONS, TOKEN, f"{BASE}/v1.0/x", NOW) == "text"
    [(_, headers)] = Fixed.asked
    assert headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/v1.0/x",
        "https://graph.test.evil.test/x",
        "http://graph.test/x",
        "https://graph.test@evil/",
    ],
)
def test_a_token_never_goes_to_another_host(url: str) -> None:
    assert refused(Answer(200, "", {}), url).is_fault
    assert not Fixed.asked


@pytest.mark.parametrize(
    ("status", "is_fault", "words"),
    [
        (401, True, "does not take the token"),
        (403, True, "Forbidden: Insufficient privileges"),
        (400, True, "answers 400"),
        (429, False, "answers 429"),
        (500, False, "answers 500"),
        (503, False, "answers 503"),
        (302, False, "answers 302"),
    ],
)
def test_a_refusal_says_what_it_is(status: int, is_fault: bool, words: str) -> None:
    error = refused(Answer(status, ERROR, {}))
    assert error.is_fault is is_fault and words in str(error)


@pytest.mark.parametrize("text", ["", "<html>", "[]", '{"error": "text"}', "x" * 100_000, "\ud800"])
def test_whatever_stands_in_a_refusal_its_words_are_bounded(text: str) -> None:
    assert len(str(refused(Answer(500, text, {})))) < 500


def test_a_missing_permission_says_what_to_do() -> None:
    assert "docs/uncertain.md" in str(refused(Answer(403, ERROR, {})))
    assert "ExchangeMessageTrace.Read.All" in (Path(__file__).parents[2] / "docs/uncertain.md").read_text()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("240", 240.0), (" 7 ", 7.0), ("999999999999999999999", 3600.0), ("-5", 0.0), ("soon", 0.0), ("", 0.0),
        ("²", 0.0), (formatdate(NOW + 90, usegmt=True), 90.0), (formatdate(NOW - 90, usegmt=True), 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float) -> None:
    assert refused(Answer(429, "", {"retry-after": value})).retry_after_s == seconds
    assert refused(Answer(429, "", {"Retry-After": value})).retry_after_s == seconds


def test_a_host_that_cannot_be_reached_is_no_answer() -> None:
    error = refused(TokenRefused("cannot reach graph.test: refused", is_fault=False))
    assert not error.is_fault and "cannot reach" in str(error)
