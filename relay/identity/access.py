"""An access token, and why there is none."""

from dataclasses import dataclass, field

from relay.errors import RelayError


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an authority gives out. The token never shows in a repr."""

    text: str = field(repr=False)
    lifetime_s: float


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token with its times, all monotonic."""

    text: str = field(repr=False)
    fetched_at: float
    refresh_at: float
    """From here on a fresh one is fetched beside it: half of its life is over."""
    expires_at: float

    def is_good(self, now: float, margin_s: float) -> bool:
        """Is there enough time left? A token that lives shorter than twice the margin is used for half of its life."""
        return now < self.expires_at - min(margin_s, (self.expires_at - self.fetched_at) / 2)


class TokenRefused(RelayError):
    """The authority gave no token; `is_fault`: somebody must change something."""

    def __init__(self, reason: str, *, is_fault: bool) -> None:
        super().__init__(reason)
        self.is_fault = is_fault
