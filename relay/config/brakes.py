"""From `[brakes]` to the brakes' options."""

from dataclasses import replace

from relay.config.brakes_table import BrakesTable
from relay.config.options import given
from relay.receive.brake_options import BrakeOptions


def build_brakes(table: BrakesTable) -> BrakeOptions:
    """The options; a network stands in them once it was found to be one."""
    options = given(BrakeOptions(), table, skip={"exempt"})
    return replace(options, exempt=tuple(table.exempt or ()))
