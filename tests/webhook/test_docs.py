"""docs/webhooks.md shows what is sent, and how it is verified."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from relay.webhook import body
from relay.webhook.options import EVENTS
from relay.webhook.signature import headers, key_of

TEXT = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
SECRET = f"whsec_{b64encode(b's' * 32).decode()}"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def verifier() -> Callable[[str, dict[str, str], bytes], bool]:
    names: dict[str, object] = {}
    exec(block("python"), names)
    # It is ours, a few lines above.
    return names["is_good"]  # type: ignore[return-value]


def test_the_verifier_that_is_shown_takes_what_is_sent_and_nothing_else() -> None:
    is_good, now, content = verifier(), int(time.time()), b'{"type":"mail.events"}'
    signed = dict(headers([b"n" * 32, key_of(SECRET)], "batch_1", now, content))
    assert is_good(SECRET, signed, content)
    assert not is_good(SECRET, signed, content + b" ")
    assert not is_good(SECRET, signed | {"webhook-id": "batch_2"}, content)
    assert not is_good(f"whsec_{b64encode(b'x' * 32).decode()}", signed, content)
    old = dict(headers([key_of(SECRET)], "batch_1", now - 400, content))
    assert not is_good(SECRET, old, content)


def test_the_example_has_the_fields_that_are_sent() -> None:
    example = json.loads(block("json"))
    assert list(example) == list(body.Batch.__struct_fields__)
    assert list(example["data"]) == list(body.Data.__struct_fields__)
    [event] = example["data"]["events"]
    assert list(event) == list(body.MailEvent.__struct_fields__)
    assert list(event["reply"]) == list(body.Said.__struct_fields__)
    assert example["version"] == body.VERSION


def test_every_event_and_every_field_is_explained() -> None:
    assert set(re.findall(r"^\| `mail\.(\w+)` \|", TEXT, re.MULTILINE)) == EVENTS.keys()
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE))))
    plain = {"type", "message_id", "accepted_at", "campaign", "sender"}
    assert set(body.MailEvent.__struct_fields__) - explained <= plain
