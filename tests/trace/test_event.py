"""Every event as those who read the log, the history and the webhooks know it: names, fields in order, levels.

A field more at the end is harmless. Whatever else changes in `events.txt` breaks somebody's reader.
"""

import typing
from pathlib import Path

import msgspec

from relay.trace import event as events
from relay.trace.event_kind import Kind

LISTING = Path(__file__).with_name("events.txt")
KINDS: tuple[type[Kind], ...] = typing.get_args(events.Event)


def line(kind: type[Kind]) -> str:
    """`session_refused (warning): client, listener, reason`."""
    fields = msgspec.structs.fields(kind)
    level = next((field.default for field in fields if field.name == "level"), "given")
    names = [field.name + ("" if field.required else "?") for field in fields if field.name != "level"]
    return f"{kind.__struct_config__.tag} ({level}): {', '.join(names)}"


def test_no_event_changes_by_accident() -> None:
    assert sorted(map(line, KINDS)) == LISTING.read_text().splitlines()


def test_each_event_is_a_member_of_the_union() -> None:
    kinds = {each for each in vars(events).values() if isinstance(each, type) and issubclass(each, Kind)}
    assert kinds - {Kind} == set(KINDS)
