"""The shape of `[learning]` and `[inventory]`."""

import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from relay.budget.ring import COUNT_MAX
from relay.config.table import Table
from relay.config.value import Count, Network, Seconds, Size

DEVICES_MAX = 4_096
"""Each has a file of 1.5 KB, and a page of memory in each receiver."""


def _until(value: object) -> object:
    is_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if is_date or (isinstance(value, datetime.datetime) and value.tzinfo is not None):
        return value
    raise ValueError(
        "write a date without quotes, such as 2026-12-24 (to the end of that day, UTC), "
        "or a time with its zone, such as 2026-12-24T18:00:00+01:00"
    )


class LearningTable(Table):
    """`relay.receive.learning_options.LearningOptions`."""

    networks: Annotated[list[Network], Field(min_length=1)]
    route: Annotated[str, Field(min_length=1)]
    until: Annotated[datetime.datetime | datetime.date, BeforeValidator(_until)]
    outside: bool | None = None
    devices: Annotated[int, Field(ge=1, le=DEVICES_MAX)] | None = None
    messages_per_day: Annotated[int, Field(ge=1, le=COUNT_MAX)] | None = None
    recipients_per_message: Count | None = None
    message_size: Annotated[Size, Field(ge=1)] | None = None


class InventoryTable(Table):
    """`relay.trace.seen.options.InventoryOptions`."""

    enabled: bool | None = None
    keep: Annotated[Seconds, Field(gt=0)] | None = None
