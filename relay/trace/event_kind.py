"""What every event has: a tag that says which it is, and a level. The kinds stand in `event.py` and beside it."""

from typing import Literal

from msgspec import Struct

Level = Literal["debug", "info", "warning", "error"]


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Kind(Struct, frozen=True, tag_field="event", tag=_snake):
    """`WebhookFailed` is written as `"event":"webhook_failed"`."""
