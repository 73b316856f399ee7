"""The body that docs/webhooks.md describes."""

import json

import pytest
from msgspec.structs import replace

from relay.trace.history.passage import Happened
from relay.trace.history.state import State
from relay.webhook import body

KEY = b"h" * 32
STEP = Happened(
    number=17, state=State.DEFERRED, at_ms=1_800_000_000_123, mail="06gkhwh6wh0r0", recipient="anna@example.net",
    person=4, route="exchange-online", host="smtp.office365.com", identity="relay@contoso.com", remote="",
    session="0123456789ABCDEF", internal_id="", reply="451 4.7.500 Server busy. Please try again later", attempts=2,
    next_attempt_ms=1_800_000_060_000, message_id="<1@app>", accepted_ms=1_799_999_999_000, campaign="May",
    sender="app@contoso.com", client="10.0.0.1", account="crm",
)  # fmt: skip


def told(*steps: Happened, missing: body.Gap | None = None) -> dict[str, object]:
    found = json.loads(body.batch("relay.example.com", "crm", KEY, steps, missing))
    assert isinstance(found, dict)
    return found


def test_a_batch_has_every_field_that_is_documented() -> None:
    found = told(STEP)
    [event] = found["data"]["events"]  # type: ignore[index]
    id = event.pop("id")
    assert id.startswith("event_") and len(id) == 38
    assert found == {
        "type": "mail.events", "timestamp": "2027-01-15T08:00:00.123Z", "version": 1, "relay": "relay.example.com",
        "webhook": "crm", "data": {"events": [event], "missing": None},
    }  # fmt: skip
    assert event == {
        "type": "mail.deferred", "timestamp": "2027-01-15T08:00:00.123Z", "sequence": 17, "queue_id": "06gkhwh6wh0r0",
        "message_id": "<1@app>", "accepted_at": "2027-01-15T07:59:59.000Z", "client": "crm",
        "client_address": "10.0.0.1", "campaign": "May", "sender": "app@contoso.com", "recipient": "anna@example.net",
        "route": "exchange-online", "host": "smtp.office365.com", "identity": "relay@contoso.com", "remote_host": "",
        "session": "0123456789ABCDEF", "internal_id": "", "attempt": 2, "next_attempt": "2027-01-15T08:01:00.000Z",
        "reply": {"code": 451, "enhanced": "4.7.500", "text": "Server busy. Please try again later"},
    }  # fmt: skip


def test_the_same_steps_have_the_same_bytes_and_the_same_id() -> None:
    first = body.batch("r", "crm", KEY, [STEP], None)
    assert first == body.batch("r", "crm", KEY, [STEP], None)
    assert body.id_of(first) == body.id_of(first) != body.id_of(first + b" ")
    assert "." not in body.id_of(first), "a full stop ends the id in what is signed"


def test_an_event_keeps_its_id_in_any_batch_and_a_number_that_is_given_twice_gets_another() -> None:
    again = replace(STEP, at_ms=STEP.at_ms + 1)
    other = replace(STEP, person=5)
    alone, third = (event["id"] for event in told(again, STEP)["data"]["events"])  # type: ignore[index]
    [same] = told(STEP)["data"]["events"]  # type: ignore[index]
    [beside] = told(other)["data"]["events"]  # type: ignore[index]
    assert same["id"] == third
    assert len({alone, third, beside["id"]}) == 3


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("250 2.0.0 OK <a@b>", (250, "2.0.0", "OK <a@b>")),
        ("250 ok", (250, "", "ok")),
        ("550", (550, "", "")),
        ("421 4.3.2", (421, "4.3.2", "")),
        ("no connection to [::1]:25", (None, "", "no connection to [::1]:25")),
        ("2500 tons", (None, "", "2500 tons")),
        ("", (None, "", "")),
        ("550 5.1.1 two\nlines", (550, "5.1.1", "two\nlines")),
    ],
)
def test_a_reply_is_taken_apart_and_other_words_are_text(
    reply: str, said: tuple[int | None, str, str]
) -> None:
    [event] = told(replace(STEP, reply=reply))["data"]["events"]  # type: ignore[index]
    assert (event["reply"]["code"], event["reply"]["enhanced"], event["reply"]["text"]) == said


def test_what_is_missing_is_said() -> None:
    data = told(STEP, missing=body.Gap(12, False))["data"]
    assert data["missing"] == {"steps": 12, "is_new_history": False}  # type: ignore[index]
