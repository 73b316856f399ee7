"""From a table's keys to a package's frozen options: the same names, with the unit at the end."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from relay.config.table import Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)
else:
    Options = TypeVar("Options")

KEYS = {
    "message_bytes": "message_size",
    "header_bytes": "header_size",
    "content_bytes": "content_memory",
    "returned_bytes": "returned_size",
    "minimum_rate_bytes_s": "minimum_rate",
    "on_uncertain": "uncertain",
    "on_late": "late",
    "rotate_bytes": "rotate_size",
    "retry_steps_s": "retry",
}
"""Options whose name without its unit says too little, or too much."""
UNITS = ("_bytes", "_s")


def key_of(option: str) -> str:
    """The key that sets an option."""
    return KEYS.get(option) or next((option.removesuffix(u) for u in UNITS if option.endswith(u)), option)


def given(options: Options, table: Table, skip: "set[str] | frozenset[str]" = frozenset()) -> Options:
    """The options with what the table sets; what it leaves out stays."""
    changes: dict[str, object] = {}
    values: Mapping[str, object] = table.model_dump(exclude_none=True)
    for option in fields(options):
        key = key_of(option.name)
        if key in values and key not in skip:
            changes[option.name] = values[key]
    return replace(options, **changes)
