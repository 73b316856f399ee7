"""What every table of the file has in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """One table; a key that is not known is a problem, not a comment."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
