"""The shape of `[brakes]`."""

from typing import Annotated

from pydantic import Field

from relay.config.table import Table
from relay.config.value import Count, Network, Seconds


class BrakesTable(Table):
    """`relay.receive.brake_options.BrakeOptions`."""

    exempt: list[Network] | None = None
    connections_per_minute: Count | None = None
    login_failures: Count | None = None
    name_failures: Count | None = None
    refused_recipients: Count | None = None
    faulty_sessions: Count | None = None
    period: Annotated[Seconds, Field(gt=0)] | None = None
    delay_max: Seconds | None = None
    ban: Seconds | None = None
    remembered: Count | None = None
