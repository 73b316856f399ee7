"""The shape of `[[campaign]]`."""

from typing import Annotated

from pydantic import Field

from relay.config.client_table import WEIGHT_MAX
from relay.config.match_table import Campaign
from relay.config.table import Table


class CampaignTable(Table):
    """`relay.queue.weights.CampaignWeight`."""

    match: Campaign
    weight: Annotated[int, Field(ge=1, le=WEIGHT_MAX)]
