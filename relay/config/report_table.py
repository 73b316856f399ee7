"""The shape of the `[report]` table."""

from typing import Annotated, Literal

from pydantic import Field

from relay.config.rewrite_table import Address
from relay.config.table import Table
from relay.config.value import Count, Seconds, Size

UnreportableWord = Literal["hold", "drop"]
"""Of relay.deliver.report_options.Unreportable; a test compares."""


class ReportTable(Table):
    """`relay.deliver.report_options.ReportOptions`."""

    from_address: Address | None = None
    sender: Address | None = None
    route: Annotated[str, Field(min_length=1)] | None = None
    delay_after: Seconds | None = None
    per_sender_per_hour: Count | None = None
    returned_size: Size | None = None
    unreportable: UnreportableWord | None = None
    suppress: Seconds | None = None
