"""The learning mode and the record of who was seen, for `check-config`."""

from relay.config.learning_table import LearningTable
from relay.config.value import written_time
from relay.receive.learning_options import LearningOptions
from relay.receive.learning_watch import moment
from relay.trace.seen.options import InventoryOptions

Row = tuple[str, str]


def learning_rows(learning: LearningOptions | None, inventory: InventoryOptions) -> list[Row]:
    """Key and value."""
    rows: list[Row] = []
    if learning is not None:
        values = {
            "networks": ", ".join(learning.networks),
            "route": learning.route,
            "until": moment(learning.until),
            "outside": str(learning.outside).lower(),
            "devices": str(learning.devices),
            "messages_per_day": str(learning.messages_per_day),
            "recipients_per_message": str(learning.recipients_per_message),
            "message_size": f"{learning.message_bytes} bytes",
        }
        rows += [(f"learning.{key}", values[key]) for key in LearningTable.model_fields]
    rows.append(("inventory.enabled", str(inventory.enabled).lower()))
    rows.append(("inventory.keep", written_time(inventory.keep_s)))
    return rows
