"""The shape of `[audit]`."""

from typing import Annotated

from pydantic import Field

from relay.config.table import Table
from relay.config.value import Count, Seconds, Size


class AuditTable(Table):
    """`relay.audit.options.AuditOptions`."""

    path: Annotated[str, Field(min_length=1)]
    key_file: Annotated[str, Field(min_length=1)] | None = None
    rotate_size: Annotated[Size, Field(ge=65_536)] | None = None
    rotate_age: Annotated[Seconds, Field(ge=3_600)] | None = None
    rows_a_minute: Count | None = None
    rows_waiting: Count | None = None
